"""The sheet of where the model looks: a row a class, right answers at the left, wrong ones at the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from candid.evaluation.picture import INK, MUTED, no_frame, short, title
from candid.evaluation.predict import Images
from candid.explain.colours import as_rgb, overlaid
from candid.explain.look import Look, Row
from candid.text import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP = 24
"""Between a face and its map: the side over this."""
FAINTEST = 0.05
"""A map whose largest value is below this much probability is drawn as faint as it is."""


def where_picture(
    rows: Sequence[Row], shown: int, model: str, source: str
) -> tuple[tuple[float, float], Callable[[Figure], None]]:
    """Size in inches, and what draws the sheet.

    Args:
        rows: at least one.
        shown: right answers, and wrong ones, in a row at most.
        model: which one, in words.
        source: of the faces, in words.
    """
    averaged = any(row.mean for row in rows)
    columns = 2 * shown + averaged

    def draw(figure: Figure) -> None:
        title(
            figure,
            "Where the model looks",
            f"{model}; {source}",
            "Each face beside its map. Orange: blurring this place takes probability from what was said,",
            "blue: adds to it. Above: what was said; below: the most that one blurred patch took.",
        )
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes in grid.flat:
            axes.set_xticks([])
            axes.set_yticks([])
            no_frame(axes)
            axes.set_axis_off()
            axes.set_box_aspect(1 / (2 + 1 / GAP))  # empty cells are as high as the others
        for row, line in zip(rows, grid, strict=True):
            cells = iter(line)
            if averaged:
                _mean(next(cells), row)
            for looks in (row.right, row.wrong):
                for place in range(shown):
                    axes = next(cells)
                    if place < len(looks):
                        _look(axes, looks[place])
        if any(row.title for row in rows):
            start = int(averaged)
            _heading(grid[0][start], "right answers")
            _heading(grid[0][start + shown], "wrong answers")

    return (1.75 * columns + 0.3, 1.3 * len(rows) + 1.2), draw


def _heading(axes: Any, text: str) -> None:
    axes.set_title(text, fontsize=10, color=INK, fontweight="bold", loc="left", pad=16)


def _look(axes: Any, look: Look) -> None:
    largest = max(float(np.abs(look.map).max()), FAINTEST)
    _show(axes, as_rgb(look.face), overlaid(look.face, look.map, largest))
    said = f"{short(look.said, 10)} {percent(look.confidence, 0)}"
    if look.label and look.label != look.said:
        said += f", {short(look.label, 10)} {percent(look.of_label, 0)}"
    _above(axes, said, fontsize=7)
    _below(axes, f"{-100 * look.most:+.0f} points".replace("-", "−"))


def _mean(axes: Any, row: Row) -> None:
    _above(axes, short(row.title, 18), fontsize=9, fontweight="bold")
    if row.mean is None:
        return
    face, values, count = row.mean
    _show(axes, as_rgb(face), overlaid(face, values, max(float(np.abs(values).max()), FAINTEST)))
    _below(axes, f"mean of {count} right")


def _above(axes: Any, text: str, **look: Any) -> None:
    axes.text(0, 1.02, text, transform=axes.transAxes, color=INK, va="bottom", **look)


def _below(axes: Any, text: str) -> None:
    axes.text(0, -0.03, text, transform=axes.transAxes, fontsize=6.5, color=MUTED, va="top")


def _show(axes: Any, left: Images, right: Images) -> None:
    gap = np.full((left.shape[0], max(1, left.shape[0] // GAP), 3), 255, np.uint8)
    axes.imshow(np.concatenate([left, gap, right], axis=1), interpolation="nearest")
