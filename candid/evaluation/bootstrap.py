"""95 % intervals by resampling groups of faces that are not independent (expanded percentile bootstrap)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from candid.evaluation.scores import Floats, Integers, named

if TYPE_CHECKING:
    from candid.evaluation.predictions import Predictions

CELLS_AT_ONCE = 4_000_000  # 32 MB of draws
MIN_MISTAKEN_GROUPS = 5  # groups with a mistake, of which that many at least tell how mistakes cluster
MIN_GROUPS = 5  # with two "95 %" would hold 49 % of the time, with four 83 %


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
    """Bounds of a 95 % interval; NaN where fewer than MIN_GROUPS groups leave it unknown."""

    low: float
    high: float


UNKNOWN = Interval(float("nan"), float("nan"))


def tail(groups: int) -> float:
    """Share of the resampled scores to leave out at each end: 2.5 %, and less where groups are few.

    Plain percentile intervals are too narrow then: with 6 groups they cover 86 % of the time, with this
    correction 94 % (tests/evaluate). Phi(t sqrt(G / (G - 1))), t being Student's 2.5 % quantile with G - 1
    degrees of freedom (Hesterberg 2015, "What teachers should know about the bootstrap").
    """
    from scipy.special import ndtr, stdtrit  # slow to import, and the gate uses this module without it

    return float(ndtr(stdtrit(groups - 1, 0.025) * np.sqrt(groups / (groups - 1))))


def percentiles(values: Floats, groups: int) -> Interval:
    """Quantiles (linear between order statistics) of scores from resamples of `groups` groups."""
    if groups < MIN_GROUPS or not np.isfinite(values).all():
        return UNKNOWN
    outside = tail(groups)
    low, high = np.quantile(values, [outside, 1 - outside])
    return Interval(float(low), float(high))


def interval(values: Floats, right: Integers, wrong: Integers, proportion: bool = False) -> Interval:
    """Percentiles of a score's resamples (`values`), and no narrower than is known.

    Near 0 and 1 resampling sees too little: 99 right faces of 99 never vary, and 98 of 99 would get a higher
    lower bound than those. So a proportion keeps at least the bounds of Clopper and Pearson (1934) for as
    many draws as Korn and Graubard (1998) count: p (1 - p) / variance, times the square of the normal
    quantile over Student's for the groups. Where fewer than MIN_MISTAKEN_GROUPS groups have a mistake,
    nothing is known of how mistakes cluster, and groups count as the draws; other scores than proportions
    then keep the bound of no mistake at all. The same holds for the upper bound and what is right.

    `right` and `wrong`, G each, are faces of each group that the score counts so; groups without either say
    nothing of the score. `proportion`: whether the score is the share of the right ones.
    """
    low, high = percentiles(values, len(right))
    if not (right + wrong).any() or not np.isfinite(low):
        return UNKNOWN
    variance = float(values.var())
    low = min(low, _bound(right, wrong, variance, proportion))
    high = max(high, 1 - _bound(wrong, right, variance, proportion))
    return Interval(low, high)


def _bound(right: Integers, wrong: Integers, variance: float, proportion: bool) -> float:
    """The lower bound that a score has at most."""
    from scipy.special import betaincinv, ndtri, stdtrit

    share = float(right.sum() / (right + wrong).sum())
    draws = float((right + wrong > 0).sum())
    if (wrong > 0).sum() >= MIN_MISTAKEN_GROUPS:
        if not proportion or variance == 0:
            return 1.0
        draws = share * (1 - share) / variance * (ndtri(0.025) / stdtrit(draws - 1, 0.025)) ** 2
    elif not proportion:
        share = 1.0
    missed = (1 - share) * draws
    return float(betaincinv(share * draws, missed + 1, 0.025)) if share > 0 else 0.0


class Drawn(NamedTuple):
    """Confusion matrices of resamples of test faces; those of a group stay together."""

    classes: Sequence[str]
    counts: Integers  # of the resamples: B x K x K
    groups: Integers  # of the groups: G x K x K

    def bounds(self, metric: str) -> tuple[float, float] | None:
        """95 % interval of a score of `scores.named`; None where none is known."""
        bounds = self.interval(metric)
        return None if np.isnan(bounds.low) or metric.endswith(".support") else bounds

    def interval(self, metric: str) -> Interval:
        """The same; UNKNOWN where none is known."""
        values = named(self.counts, metric, self.classes)
        values = values[~np.isnan(values)]  # a resample without the class says nothing of it
        if not len(values):
            return UNKNOWN
        section, _, name = metric.rpartition(".")
        if not section.startswith("per_class."):
            right = self.groups.trace(axis1=1, axis2=2)
            wrong = self.groups.sum(axis=(1, 2)) - right
            return interval(values, right, wrong, metric == "accuracy" or section == "micro")
        number = list(self.classes).index(section.removeprefix("per_class."))
        right = self.groups[:, number, number]
        missed = self.groups[:, number].sum(axis=1) - right
        mistaken = self.groups[:, :, number].sum(axis=1) - right
        wrong = {"recall": missed, "precision": mistaken}.get(name, missed + mistaken)
        return interval(values, right, wrong, name in ("precision", "recall"))


def draw(predictions: Predictions, resamples: int = 2000, seed: int = 0) -> Drawn:
    """Resample the groups of the test faces, of one or of more experiments on the same set."""
    K = len(predictions.classes)
    counts = counts_by_group(predictions.groups, predictions.actual * K + predictions.predicted, K**2)
    drawn = resample(counts, resamples, seed).reshape(-1, K, K)
    return Drawn(predictions.classes, drawn, counts.reshape(-1, K, K))
