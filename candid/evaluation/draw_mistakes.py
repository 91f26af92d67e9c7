"""plots/mistakes.png: the faces on which the model was most sure and wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from candid.evaluation.picture import INK, MUTED, no_frame, percent, short, title
from candid.evaluation.scores import Integers
from candid.evaluation.summary import Predictions
from candid.evaluation.views import Images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS, MOST_ROWS = 8, 5


def worst(found: Predictions) -> Integers:
    """Positions of the wrong predictions, the most confident first, equal ones in their order."""
    wrong = np.flatnonzero(found.predicted != found.actual)
    return wrong[np.argsort(-found.confidence[wrong], kind="stable")]


def mistakes_picture(
    found: Predictions, faces: Images, wrong: Integers
) -> tuple[tuple[float, float], Callable[[Figure], None]]:
    """Size in inches, and what draws the sheet.

    Args:
        found: predictions on N test faces.
        faces: the faces at wrong[: COLUMNS * MOST_ROWS], in that order.
        wrong: positions of all mistakes, as `worst` gives them.
    """
    rows = max(1, -(-len(faces) // COLUMNS))

    def draw(figure: Figure) -> None:
        share = percent(len(wrong) / len(found.actual))
        headline = f"The {len(faces)} most confident of {len(wrong):,} mistakes"
        if not len(wrong):
            headline = "No mistakes"
        line = (
            f"{share} of {len(found.actual):,} test faces; above a face: what was predicted, below: its label"
        )
        title(figure, headline, line)
        for axes, face, position in zip(figure.subplots(rows, COLUMNS).flat, faces, wrong, strict=False):
            said = short(found.classes[found.predicted[position]], 10)
            label = short(found.classes[found.actual[position]], 12)
            axes.imshow(face, cmap="gray", vmin=0, vmax=255)
            axes.set_title(f"{said} {found.confidence[position]:.0%}", fontsize=8.5, color=INK, pad=3)
            axes.set_xlabel(label, fontsize=8.5, color=MUTED, labelpad=2)
            axes.set_xticks([])
            axes.set_yticks([])
        for axes in figure.axes:
            no_frame(axes)
        for axes in figure.axes[len(faces) :]:
            axes.set_axis_off()

    return (10.4, 1.62 * rows + 0.9), draw
