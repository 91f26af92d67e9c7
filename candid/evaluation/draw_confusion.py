"""plots/confusion.png: who is taken for whom, as share of the row with the count below."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from candid.evaluation import scores
from candid.evaluation.picture import INK, MUTED, no_frame, short, title, with_interval
from candid.evaluation.summary import Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_WITH_TEXT = 20  # classes; beyond, cells are too small to read


def headline(summary: dict[str, Any]) -> str:
    """Accuracy with its 95 % interval and the count behind it."""
    found = with_interval(summary["accuracy"], summary.get("accuracy_low"), summary.get("accuracy_high"))
    return f"Accuracy {found} on {summary['faces']:,} test faces"


def evidence(summary: dict[str, Any]) -> str:
    """What the interval is, and from how many independent groups where these are fewer than the faces."""
    groups, faces = summary["groups"], summary["faces"]
    among = "" if groups == faces else f" over {groups:,} independent group{'s' * (groups != 1)} of faces"
    return f"95 % bootstrap interval{among}"


def leak_warning(summary: dict[str, Any]) -> str:
    """Lines that say so where the split is leaky, else empty."""
    if not summary["leaky"]:
        return ""
    line = (
        f"Leaky split: {summary['leaked_test_faces']:,} of these faces have a relative in the training part"
    )
    clean = summary["clean"]
    if clean["faces"]:
        line += f"\nOn the other {clean['faces']:,} the accuracy is " + with_interval(
            clean["accuracy"], clean.get("accuracy_low"), clean.get("accuracy_high")
        )
    return line


def confusion_picture(
    found: Predictions, summary: dict[str, Any]
) -> tuple[tuple[float, float], Callable[[Figure], None]]:
    """Size in inches, and what draws the matrix."""
    counts = scores.confusion_matrix(found.actual, found.predicted, len(found.classes))
    side = min(max(5.2, 0.82 * len(found.classes) + 1.0), 18.0)

    def draw(figure: Figure) -> None:
        title(
            figure,
            headline(summary),
            evidence(summary),
            "Cells: share of the row's faces, with the count",
            warning=leak_warning(summary),
        )
        _matrix(figure.add_subplot(), counts, found.classes)

    return (side + 1.2, side + 1.0), draw


def _matrix(axes: Axes, counts: scores.Integers, classes: Any) -> None:
    support = scores.support(counts)
    shares = np.divide(counts, support[:, None], out=np.zeros(counts.shape), where=support[:, None] > 0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    no_frame(axes)
    places = np.arange(len(classes))
    axes.set_xticks(
        places, [short(name) for name in classes], rotation=35, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(
        places, [f"{short(name)}\nn = {number:,}" for name, number in zip(classes, support, strict=True)]
    )
    axes.set_xlabel("predicted", color=MUTED)
    axes.set_ylabel("actual", color=MUTED)
    for edge in np.arange(len(classes) + 1) - 0.5:  # white rules between the cells
        axes.axhline(edge, color="white", linewidth=1.5)
        axes.axvline(edge, color="white", linewidth=1.5)
    if len(classes) > MOST_WITH_TEXT:
        return
    for (row, column), count in np.ndenumerate(counts):
        if not count:
            continue
        color = "white" if shares[row, column] > 0.6 else INK
        weight = "bold" if row == column else "normal"
        share = f"{100 * shares[row, column]:.0f} %" if shares[row, column] >= 0.005 else "<1 %"
        axes.text(
            column, row - 0.1, share, color=color, ha="center", va="center", fontsize=11, fontweight=weight
        )
        axes.text(column, row + 0.24, f"{count:,}", color=color, ha="center", va="center", fontsize=8.5)
