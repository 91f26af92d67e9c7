"""How many pairs have which similarity, as bars on both sides of the threshold."""

from __future__ import annotations

import numpy as np

from candid.audit.bands import edges_below
from candid.audit.findings import Findings

BARS = 48
WIDTH, HEIGHT, LABELS = 720, 180, 24  # of the drawing, in its own units


def histogram(found: Findings, threshold: float) -> str:
    """Draw SVG, from the lowest similarity of interest to 1; exact copies are left out."""
    least = edges_below(threshold)[-1]
    near = found.pairs["similarity"][found.pairs["kind"] != "exact"]
    values = np.concatenate([near.to_numpy(float), found.rejected["similarity"].to_numpy(float)])
    values = values[values >= least]
    if not len(values) or least >= 1:
        return "<p>There are none.</p>\n"
    numbers, edges = np.histogram(values, bins=BARS, range=(least, 1))
    tallest = int(numbers.max())
    bars = "".join(
        _bar(
            index,
            number / tallest,
            f"{low:.3f} to {high:.3f}: {number:,} pairs",
            (low + high) / 2 >= threshold,
        )
        for index, (number, low, high) in enumerate(zip(numbers.tolist(), edges, edges[1:], strict=False))
        if number
    )
    at = WIDTH * (threshold - least) / (1 - least)
    base = HEIGHT + LABELS - 7
    return (
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT + LABELS}' role=img aria-label='Pairs by similarity'>\n{bars}"
        f"<line x1='{at:.1f}' x2='{at:.1f}' y1=0 y2={HEIGHT} stroke-dasharray='4 4'/>\n"
        f"<line x1=0 x2={WIDTH} y1={HEIGHT} y2={HEIGHT} />\n<text x=0 y={base}>{least:g}</text>\n"
        f"<text x='{at:.1f}' y={base} text-anchor=middle>{threshold:g}</text>\n"
        f"<text x={WIDTH} y={base} text-anchor=end>1</text>\n</svg>\n"
        f"<p class=soft>Tallest bar: {tallest:,} pairs.</p>\n"
    )


def _bar(index: int, share: float, title: str, accepted: bool) -> str:
    step, height = WIDTH / BARS, HEIGHT * share
    return (
        f"<rect class={'accepted' if accepted else 'rejected'} x='{index * step + 1:.1f}' "
        f"y='{HEIGHT - height:.1f}' width='{step - 2:.1f}' height='{height:.1f}'>"
        f"<title>{title}</title></rect>\n"
    )
