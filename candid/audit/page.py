"""The report as one HTML page that needs nothing else: no network, no script, the pictures inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from candid.audit.findings import NO_GROUP, Findings, Section, conflicts_by_labels, counts
from candid.duplicates.settings import Aligned, Method
from candid.html import data_uri, render

ROWS = 20  # rows of a table on the page; the whole is in the CSV files
PIXEL_EXACT = 96  # pixels a side; up to this size pictures go in unchanged
BARS = 48


class Picture(NamedTuple):
    """One image as the page shows it."""

    uri: str
    small: bool
    file: str
    name: str
    label: str
    part: str


def page(
    name: str, search: str, findings: Findings, sections: list[Section],
    pictures: Mapping[int, Image.Image], method: Method,
) -> str:  # fmt: skip
    """Write the page.

    Args:
        name: the image set, as its user gave it.
        search: the options in words.
        sections: the groups that are shown.
        pictures: row of findings.images -> picture, of every image in those groups.
    """
    images, numbers = findings.images, counts(findings)
    sizes = images["group"][images["group"] != NO_GROUP].value_counts().value_counts().sort_index()
    lists = [
        ("Too little contrast", "Too even to compare: only their exact copies count.", "low_contrast.csv",
         images[images["flat"]][["file", "label"]]),
        ("Skipped files", "Left out of everything above.", "unreadable.csv", findings.skipped),
    ]  # fmt: skip
    return render(
        "audit.html",
        title=f"Audit of {name}",
        search=search,
        findings=findings,
        numbers=numbers,
        histogram=_histogram(findings, method),
        conflicts=[[names, f"{n:,}"] for names, n in conflicts_by_labels(findings).head(ROWS).items()],
        sections=sections,
        pictures_of=lambda rows: [_picture(images.loc[row], pictures[row]) for row in rows],
        sizes=[[f"{size:,}", f"{count:,}"] for size, count in sizes.head(ROWS).items()],
        lists=[
            (title, note, file, list(rows), rows.head(ROWS).to_numpy().tolist(), len(rows))
            for title, note, file, rows in lists if len(rows)
        ],
    )  # fmt: skip


def _picture(row: Any, image: Image.Image) -> Picture:
    buffer, small = io.BytesIO(), max(image.size) <= PIXEL_EXACT
    if small:
        image.save(buffer, "PNG", optimize=True)
        uri = data_uri(buffer.getvalue())
    else:
        image.save(buffer, "JPEG", quality=82)
        uri = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Picture(uri, small, row["file"], PurePosixPath(row["file"]).name, row["label"], row["part"])


def _histogram(findings: Findings, method: Method) -> str:
    """Pairs by similarity, on both sides of the threshold, exact copies left out; "" where there are none."""
    near = findings.pairs["similarity"][findings.pairs["kind"] != "exact"].to_numpy(float)
    values = np.concatenate([near, findings.rejected["similarity"].to_numpy(float)])
    if not len(values):
        return ""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    least = float(values.min())
    threshold = method.min_similarity if isinstance(method, Aligned) else least
    figure = Figure(figsize=(7, 2.4), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    numbers, edges = np.histogram(values, bins=BARS, range=(min(least, threshold), 1.0))
    middle = (edges[1:] + edges[:-1]) / 2
    colors = np.where(middle >= threshold, "#14713d", "#b3541e").tolist()
    axes.bar(middle, numbers, width=0.85 * (edges[1] - edges[0]), color=colors)
    if threshold > least:
        axes.axvline(threshold, color="#59616b", linestyle="--", linewidth=1)
    axes.set_xlabel("similarity")
    axes.set_ylabel("pairs")
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return data_uri(buffer.getvalue())
