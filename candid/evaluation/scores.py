"""Scores of many confusion matrices at once, equal to scikit-learn's, which scores one.

The bootstrap and the gate score thousands of resamples: `counts` may be a stack of B matrices, whose
element [..., i, j] is the number of faces of class i that were predicted as j, and gives B scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def confusion_matrix(actual: Integers, predicted: Integers, classes: int) -> Integers:
    """Count faces by actual and predicted class: K x K, rows actual, for labels 0 to K-1 of shape N."""
    return np.bincount(actual * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _ratio(numerator: Floats | Integers, denominator: Floats | Integers) -> Floats:
    """Divide; NaN where 0 / 0."""
    with np.errstate(invalid="ignore"):
        return np.asarray(numerator / denominator)


def named(counts: Integers, metric: str, classes: Sequence[str] = ()) -> Floats:
    """A score by its key of metrics/report.json, such as macro.f1 or per_class.happy.recall: (...).

    As scikit-learn has it: macro is over the classes that occur, as actual or as predicted, and 0 / 0
    counts as 0. NaN where no confusion matrix gives the score (AUC), and of a class without faces.
    """
    section, _, name = metric.rpartition(".")
    right, actual, predicted = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1), counts.sum(-2)
    if metric == "accuracy" or (section == "micro" and name != "auc"):
        return _ratio(right.sum(-1), actual.sum(-1))
    if metric == "balanced_accuracy":
        return _ratio((right / np.where(actual > 0, actual, np.inf)).sum(-1), (actual > 0).sum(-1))
    among = {"precision": predicted, "recall": actual, "f1": (actual + predicted) / 2}.get(name)
    label = section.removeprefix("per_class.")
    if (among is None and name != "support") or (label == section and label not in ("macro", "weighted")):
        return np.full(counts.shape[:-2], np.nan)
    each = actual if among is None else right / np.where(among > 0, among, np.inf)
    if section == "macro":
        return _ratio(each.sum(-1), (actual + predicted > 0).sum(-1))
    if section == "weighted":
        return _ratio((each * actual).sum(-1), actual.sum(-1))
    number = list(classes).index(label) if label in classes else None
    if number is None:
        return np.full(counts.shape[:-2], np.nan)
    return np.where(actual[..., number] > 0, each[..., number], np.nan)


class Calibration(NamedTuple):
    """Faces by confidence, in equal bins (low, high] of 0 to 1.

    Accuracy and mean confidence are NaN in an empty bin.
    """

    edges: Floats
    faces: Integers
    accuracy: Floats
    confidence: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: |accuracy - confidence| averaged over faces (Guo et al. 2017)."""
        gap = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float((gap * self.faces).sum() / self.faces.sum())


def calibration(correct: NDArray[np.bool_], confidence: Floats, bins: int = 15) -> Calibration:
    """Compare the probability of the predicted class with how often it is right, for N faces."""
    edges = np.linspace(0, 1, bins + 1)
    where = np.searchsorted(edges[1:-1], confidence, side="left")
    faces = np.bincount(where, minlength=bins)
    right = np.bincount(where, weights=correct, minlength=bins)
    claimed = np.bincount(where, weights=confidence, minlength=bins)
    return Calibration(edges, faces, _ratio(right, faces), _ratio(claimed, faces))
