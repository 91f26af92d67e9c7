"""95 % intervals by resampling groups of faces that are not independent (expanded percentile bootstrap)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.evaluate.scores import Floats, Integers, accuracy, macro_f1, weighted_f1

CELLS_AT_ONCE = 4_000_000  # 32 MB of draws


def counts_by_group(groups: Integers, outcomes: Integers, kinds: int) -> Integers:
    """Count outcomes (0 to kinds-1, shape N) in each of the G distinct groups: G x kinds, by rising group."""
    _, row = np.unique(groups, return_inverse=True)
    size = int(row.max(initial=-1)) + 1
    return np.bincount(row * kinds + outcomes, minlength=size * kinds).reshape(size, kinds)


def resample(counts: Integers, resamples: int, seed: int) -> Integers:
    """Draw G of G rows with replacement and add them up, `resamples` times: G x M -> resamples x M.

    Integers throughout (the product in float64 is exact below 2^53), so that a seed gives the same
    sums on any machine and with any number of cores.
    """
    generator = np.random.default_rng(seed)
    size = len(counts)
    exact = counts.astype(np.float64)
    sums = np.empty((resamples, counts.shape[1]), np.int64)
    step = max(1, CELLS_AT_ONCE // max(size, 1))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = generator.integers(0, size, size=(rows, size)) + size * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
        sums[start : start + rows] = times.astype(np.float64) @ exact
    return sums


class Interval(NamedTuple):
    """Bounds of a 95 % interval; NaN where fewer than two groups leave it unknown."""

    low: float
    high: float


def tail(groups: int) -> float:
    """Share of the resampled scores to leave out at each end: 2.5 %, and less where groups are few.

    Plain percentile intervals are too narrow then: with 6 groups they cover 86 % of the time, with this
    correction 94 % (tests/evaluate). Phi(t sqrt(G / (G - 1))), t being Student's 2.5 % quantile with G - 1
    degrees of freedom (Hesterberg 2015, "What teachers should know about the bootstrap").
    """
    from scipy.special import ndtr, stdtrit  # slow to import, and the gate uses this module without it

    return float(ndtr(stdtrit(groups - 1, 0.025) * np.sqrt(groups / (groups - 1))))


def interval(values: NDArray[np.float64], groups: int, concerned: int | None = None) -> Interval:
    """Quantiles (linear between order statistics) of scores from resamples of `groups` groups.

    Where every resample scores 1 (or 0) there is nothing to vary: then the bound on the other side is that
    of Clopper and Pearson (1934) for as many groups of which none (or all) had a mistake.

    Args:
        values: a score of each resample.
        groups: that were resampled.
        concerned: how many of them the score is about, such as those with faces of a class; None: all.
    """
    concerned = groups if concerned is None else concerned
    if min(groups, concerned + 1) < 2 or not np.isfinite(values).all():
        return Interval(float("nan"), float("nan"))
    if (values == 1).all():
        return Interval(0.025 ** (1 / concerned), 1.0)
    if (values == 0).all():
        return Interval(0.0, 1 - 0.025 ** (1 / concerned))
    outside = tail(groups)
    low, high = np.quantile(values, [outside, 1 - outside])
    return Interval(float(low), float(high))


class Intervals(NamedTuple):
    """95 % intervals of the headline scores."""

    accuracy: Interval
    macro_f1: Interval
    weighted_f1: Interval


def intervals(
    actual: Integers, predicted: Integers, groups: Integers, classes: int, resamples: int, seed: int
) -> Intervals:
    """Resample the groups of N faces and score every resample; the faces of a group stay together."""
    counts = counts_by_group(groups, actual * classes + predicted, classes**2)
    stack = resample(counts, resamples, seed).reshape(-1, classes, classes)
    scores: list[Floats] = [accuracy(stack), macro_f1(stack), weighted_f1(stack)]
    return Intervals(*(interval(score, len(counts)) for score in scores))
