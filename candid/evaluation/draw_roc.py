"""plots/roc.png: each class against the rest, with the areas under the curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from candid.evaluation import scores
from candid.evaluation.draw_confusion import leak_warning
from candid.evaluation.picture import COLORS, INK, MUTED, short, title
from candid.evaluation.scores import RocCurve
from candid.evaluation.summary import Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)))


def macro_curve(curves: list[RocCurve]) -> RocCurve:
    """Mean of the curves at every false-positive rate at which one of them bends; its area is the mean area.

    Both ends of a vertical step are kept: each rate stands twice, with the lower and the upper value.
    """
    rates = np.unique(np.concatenate([curve.false_positive_rate for curve in curves]))
    ends = np.zeros((2, len(rates)))
    for curve in curves:
        x, y = curve.false_positive_rate, curve.true_positive_rate
        between = np.interp(rates, x, y)
        first, last = np.searchsorted(x, rates, "left"), np.searchsorted(x, rates, "right") - 1
        bends = x[np.minimum(first, len(x) - 1)] == rates
        ends[0] += np.where(bends, y[np.minimum(first, len(x) - 1)], between)
        ends[1] += np.where(bends, y[last], between)
    return RocCurve(np.repeat(rates, 2), (ends / len(curves)).T.ravel())


def roc_picture(
    found: Predictions, summary: dict[str, Any]
) -> tuple[tuple[float, float], Callable[[Figure], None]]:
    """Size in inches, and what draws the curves."""
    truth = np.arange(len(found.classes)) == found.actual[:, None]
    pairs = zip(truth.T, found.probabilities.T, strict=True)
    curves = {
        name: curve
        for name, pair in zip(found.classes, pairs, strict=True)
        if (curve := scores.roc_curve(*pair)) is not None
    }

    def draw(figure: Figure) -> None:
        macro = summary["macro"].get("auc")
        value = "no AUC: the test part has one class only" if macro is None else f"macro AUC {macro:.3f}"
        lines = f"One class against the rest, on {summary['faces']:,} test faces"
        title(figure, f"ROC: {value}", lines, warning=leak_warning(summary))
        axes = figure.add_subplot()
        _frame(axes)
        for number, (name, curve) in enumerate(curves.items()):
            label = f"{short(name)}  {summary['per_class'][name]['auc']:.3f}"
            style = DASHES[number // len(COLORS) % len(DASHES)]
            axes.plot(*curve, color=COLORS[number % len(COLORS)], linestyle=style, linewidth=1.6, label=label)
        if curves:
            axes.plot(
                *macro_curve(list(curves.values())), color=INK, linewidth=2.4, label=f"macro  {macro:.3f}"
            )
        micro = scores.roc_curve(truth.ravel(), found.probabilities.ravel())
        if micro is not None:
            label = f"micro  {summary['micro']['auc']:.3f}"
            axes.plot(*micro, color=INK, linewidth=1.8, linestyle=(0, (2, 2)), label=label)
            columns = 1 + len(found.classes) // 12
            axes.legend(title="area under the curve", loc="lower right", fontsize=9, ncols=columns)

    return (6.6, 6.9), draw


def _frame(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (1, 3)))
    axes.set_aspect("equal")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_xlabel("false-positive rate", color=MUTED)
    axes.set_ylabel("true-positive rate", color=MUTED)
