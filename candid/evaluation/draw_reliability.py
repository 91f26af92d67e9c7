"""plots/reliability.png: is a face that the model is 80 % sure of right in 80 of 100 cases?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from candid.evaluation import scores
from candid.evaluation.draw_confusion import leak_warning
from candid.evaluation.picture import COLORS, INK, MUTED, percent, title
from candid.evaluation.summary import Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE = COLORS[0], COLORS[1]


def reliability_picture(
    found: Predictions, summary: dict[str, Any]
) -> tuple[tuple[float, float], Callable[[Figure], None]]:
    """Size in inches, and what draws accuracy by confidence above the histogram of confidence."""
    bins = scores.calibration(found.predicted == found.actual, found.confidence)
    confidence, accuracy = float(found.confidence.mean()), summary["accuracy"]

    def draw(figure: Figure) -> None:
        line = f"{summary['faces']:,} test faces: mean confidence {percent(confidence)}, "
        line += f"right in {percent(accuracy)}"
        title(
            figure,
            f"Calibration error {percent(summary['ece'])}{_leaning(confidence, summary)}",
            line,
            warning=leak_warning(summary),
        )
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _diagram(upper, bins)
        _histogram(lower, bins, confidence, accuracy)

    return (6.4, 7.4), draw


def _leaning(confidence: float, summary: dict[str, Any]) -> str:
    """Say which way only where the interval of the accuracy excludes the mean confidence."""
    if confidence > summary.get("accuracy_high", 1):
        return ": overconfident"
    return ": underconfident" if confidence < summary.get("accuracy_low", 0) else ""


def _diagram(axes: Axes, bins: scores.Calibration) -> None:
    full = bins.faces > 0
    left, width = bins.edges[:-1][full], np.diff(bins.edges)[full]
    right, claimed = bins.accuracy[full], bins.confidence[full]
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)), label="perfectly calibrated")
    axes.bar(left, right, width, align="edge", color=BLUE, edgecolor="white", label="share that is right")
    axes.bar(
        left,
        claimed - right,
        width,
        bottom=right,
        align="edge",
        facecolor="none",
        edgecolor=ORANGE,
        hatch="////",
        linewidth=0,
        label="gap to the confidence",
    )
    axes.set_ylim(0, 1)
    axes.set_ylabel("accuracy", color=MUTED)
    axes.legend(loc="upper left")


def _histogram(axes: Axes, bins: scores.Calibration, confidence: float, accuracy: float) -> None:
    axes.bar(
        bins.edges[:-1], bins.faces, np.diff(bins.edges), align="edge", color="#b8c4d0", edgecolor="white"
    )
    axes.axvline(confidence, color=ORANGE, linewidth=1.8, label="mean confidence")
    axes.axvline(accuracy, color=INK, linewidth=1.8, linestyle=(0, (3, 1.5)), label="accuracy")
    axes.set_xlim(0, 1)
    axes.set_xlabel("confidence: probability of the predicted class", color=MUTED)
    axes.set_ylabel("faces", color=MUTED)
    axes.legend(loc="upper left", fontsize=9)
