"""Scores of many confusion matrices at once, equal to scikit-learn's, which scores one.

The bootstrap and the gate score thousands of resamples: `counts` may be a stack of B matrices, whose
element [..., i, j] is the number of faces of class i that were predicted as j, and gives B scores.
"""

from __future__ import annotations

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
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    undefined = np.full(shape, np.nan)
    quotient: Floats = np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) > 0)
    return quotient


def _hits(counts: Integers) -> Integers:
    hits: Integers = np.diagonal(counts, axis1=-2, axis2=-1)
    return hits


def support(counts: Integers) -> Integers:
    """Faces of each class: (..., K)."""
    return np.asarray(counts.sum(axis=-1))


def precision(counts: Integers) -> Floats:
    """Correct / predicted as the class: (..., K); NaN where nothing was predicted as it."""
    return _ratio(_hits(counts), counts.sum(axis=-2))


def recall(counts: Integers) -> Floats:
    """Correct / faces of the class: (..., K); NaN where there are none."""
    return _ratio(_hits(counts), support(counts))


def f1(counts: Integers) -> Floats:
    """2 correct / (predicted as the class + faces of the class): (..., K); NaN where both are 0."""
    return _ratio(2 * _hits(counts), counts.sum(axis=-2) + support(counts))


def accuracy(counts: Integers) -> Floats:
    """Correct / all faces: (...); NaN without faces."""
    return _ratio(_hits(counts).sum(axis=-1), counts.sum(axis=(-2, -1)))


def balanced_accuracy(counts: Integers) -> Floats:
    """Mean recall over the classes that have faces: (...)."""
    present = support(counts) > 0
    return _ratio(np.nan_to_num(recall(counts)).sum(axis=-1), present.sum(axis=-1))


def macro(values: Floats, counts: Integers) -> Floats:
    """Plain mean of a per-class score over the classes that occur, as actual or as predicted: (...).

    An undefined score (0 / 0) of a class that occurs counts as 0. Both are scikit-learn's defaults
    (labels: those that occur; zero_division: 0).
    """
    occurs = support(counts) + counts.sum(axis=-2) > 0
    return _ratio(np.where(occurs, np.nan_to_num(values), 0.0).sum(axis=-1), occurs.sum(axis=-1))


def weighted(values: Floats, counts: Integers) -> Floats:
    """Mean of a per-class score, weighted by the faces of each class; undefined scores count as 0: (...)."""
    weights = support(counts)
    return _ratio((np.nan_to_num(values) * weights).sum(axis=-1), weights.sum(axis=-1))


def macro_f1(counts: Integers) -> Floats:
    """Macro F1: (...)."""
    return macro(f1(counts), counts)


def weighted_f1(counts: Integers) -> Floats:
    """F1 weighted by support: (...)."""
    return weighted(f1(counts), counts)


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
