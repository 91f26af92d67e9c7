"""The gate's statistics: has a score of a classifier fallen by more than a margin, beyond chance?

docs/gate.md says what makes a drop a regression: the upper bound of a group bootstrap (max-t over a family
of scores) and a paired permutation test. Both draw how often each *kind* of group occurs, which is the same
as drawing groups, since those with the same outcome (the same faces of each class, each predicted the same
by both models) are interchangeable; the cost does not grow with the faces.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit
from scipy.stats import binomtest

from candid.errors import CandidError
from candid.evaluation.scores import Floats, Integers, named

ALPHA, HEADLINE_ALPHA = 0.05, 0.04
CLASS_ALPHA = ALPHA - HEADLINE_ALPHA
POWER = 0.8
MIN_GROUPS = 5  # exchanging G groups gives a p-value of 2^-G at least: too much for four
MIN_EFFECTIVE_GROUPS = 3
RESAMPLES, SEED = 10_000, 0
BLOCK_NUMBERS = 4_000_000  # 32 MB


@dataclass(frozen=True)
class Pairs:
    """What two models predicted for the same N faces, over K classes."""

    classes: tuple[str, ...]
    actual: Integers
    before: Integers  # predicted by the baseline: N
    after: Integers  # predicted by the candidate: N
    groups: Integers  # faces of one group are not independent: N, counted from 0
    common: float = 1.0  # share of the faces of both test sets that are in both


@dataclass(frozen=True)
class Check:
    """One score, before and after. Scores, changes and margins are fractions."""

    name: str
    before: float
    after: float
    upper95: float  # upper end of the one-sided 95 % interval of the change, of this score alone
    bound: float  # simultaneous upper confidence bound of the change, over all of its family; this fails
    p_value: float  # paired permutation test: chance of a change as bad in any check of the family
    margin: float  # non-inferiority margin
    alpha: float  # share of the error that the family may spend
    detectable: float | None
    """A drop of this size fails in POWER of all cases, at these counts; None where no drop can fail: of few
    groups even the least p-value, 2^-groups, is above alpha."""

    @property
    def change(self) -> float:
        """After - before."""
        return self.after - self.before

    @property
    def failed(self) -> bool:
        """Below the margin by the bound, and not explained by an exchange of the models."""
        return self.bound < -self.margin and self.p_value <= self.alpha

    @property
    def mark(self) -> str:
        """`regression`, why a drop beyond the margin is none, or nothing."""
        if self.failed:
            return "regression"
        if self.change >= -self.margin:
            return ""
        return "too few faces" if self.detectable is None or -self.change < self.detectable else "not proven"


@dataclass(frozen=True)
class ClassChange:
    """What changed on the faces of one class."""

    name: str
    support: int
    lost: int  # correct before, wrong after
    gained: int
    recall_before: float
    recall_after: float
    f1: Check


class McNemar(NamedTuple):
    """Exact two-sided test of McNemar (1947) on faces correct in one model only, taken as independent."""

    lost: int
    gained: int
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """All that was compared, on N faces in G groups."""

    faces: int
    groups: int
    common: float
    headline: tuple[Check, ...]  # accuracy and macro F1
    classes: tuple[ClassChange, ...]  # those that have test faces
    mcnemar: McNemar

    @property
    def checks(self) -> list[Check]:
        """All checks, the headline first."""
        return [*self.headline, *(change.f1 for change in self.classes)]

    @property
    def failed(self) -> list[Check]:
        """Checks that fail."""
        return [check for check in self.checks if check.failed]


def compare_pairs(
    pairs: Pairs, margin: float = 0.005, class_margin: float = 0.05, resamples: int = RESAMPLES
) -> Comparison:
    """Compare two models on the same faces; the same faces give the same answer.

    `margin` is the non-inferiority margin of accuracy and macro F1, a fraction; `resamples` is of the
    bootstrap and of the permutation test. CandidError where no check could fail: too few groups.
    """
    kinds = group_kinds(pairs)
    groups = int(kinds.times.sum())
    if groups < MIN_GROUPS or kinds.effective_groups < MIN_EFFECTIVE_GROUPS:
        has = f"{groups} independent groups, worth {kinds.effective_groups:.1f} groups of equal size"
        least = f"{MIN_GROUPS} groups, worth {MIN_EFFECTIVE_GROUPS} of equal size"
        raise CandidError(f"{len(pairs.actual):,} test faces in {has}; expected at least {least}")
    generator = np.random.default_rng(SEED)
    resampled = bootstrap(kinds, resamples, generator)
    permuted = permutations(kinds, resamples, generator)
    present = np.flatnonzero(kinds.total[0].sum(axis=1))
    draws = kinds, resampled, permuted
    headline = _max_t_checks({"accuracy": 0, "macro F1": 1}, *draws, margin, HEADLINE_ALPHA)
    columns = {f"F1 of {pairs.classes[label]}": 2 + int(label) for label in present}
    each = _max_t_checks(columns, *draws, class_margin, CLASS_ALPHA)
    right = np.array([pairs.before, pairs.after]) == pairs.actual
    swings = np.array([right[0] & ~right[1], right[1] & ~right[0]])  # lost, gained
    classes = []
    for label, check in zip(present, each, strict=True):
        own = pairs.actual == label
        worse, better = swings[:, own].sum(axis=1).tolist()
        before, after = right[:, own].mean(axis=1).tolist()
        classes.append(ClassChange(pairs.classes[label], int(own.sum()), worse, better, before, after, check))
    lost, gained = swings.sum(axis=1).tolist()
    p_value = float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0
    test = McNemar(lost, gained, p_value)
    return Comparison(len(pairs.actual), groups, pairs.common, tuple(headline), tuple(classes), test)


class Kinds(NamedTuple):
    """The distinct outcomes of a group: T of them, over K classes."""

    counts: Integers  # confusion matrices of a group's faces, before and after: T x 2 x K x K
    times: Integers  # groups of each kind: T

    @property
    def total(self) -> Integers:
        """Confusion matrices of all faces, before and after: 2 x K x K."""
        return np.tensordot(self.times, self.counts, axes=1)

    @property
    def effective_groups(self) -> float:
        """Groups of equal size with as much information (Kish 1965): (sum of sizes)^2 / sum of squares."""
        faces = self.counts[:, 0].sum(axis=(1, 2))  # in a group of each kind
        return float((self.times @ faces) ** 2 / (self.times @ faces**2))

    def groups_of(self, column: int) -> int:
        """Groups that a score (a column of `changes`) depends on: all, or those where its class occurs."""
        if column < 2:
            return int(self.times.sum())
        label = column - 2
        occurs = self.counts[:, :, label, :].sum(axis=(1, 2)) + self.counts[:, :, :, label].sum(axis=(1, 2))
        return int(self.times[occurs > 0].sum())


def group_kinds(pairs: Pairs) -> Kinds:
    """Sort the groups by outcome."""
    K = len(pairs.classes)
    outcome = (pairs.actual * K + pairs.before) * K + pairs.after
    order = np.lexsort((outcome, pairs.groups))
    starts = np.flatnonzero(np.diff(pairs.groups[order], prepend=-1))
    times = Counter(tuple(group.tolist()) for group in np.split(outcome[order], starts[1:]))
    sizes = np.array([len(kind) for kind in times])
    rows, codes = np.repeat(np.arange(len(times)), sizes), np.concatenate(list(times)).astype(np.int64)
    counts = np.zeros((len(times), 2, K, K), np.int64)
    for model, predicted in enumerate((codes // K % K, codes % K)):
        cells: Any = (rows, model, codes // K**2, predicted)
        np.add.at(counts, cells, 1)
    return Kinds(counts, np.array(list(times.values())))


def changes(counts: Integers) -> Floats:
    """Change of accuracy, of macro F1, and of the F1 of each class: (..., 2, K, K) -> (..., 2 + K).

    An F1 that is undefined (a resample without the class) counts as 0 on both sides.
    """
    values = _all_scores(counts)
    return np.asarray(values[..., 1, :] - values[..., 0, :])


def _all_scores(counts: Integers) -> Floats:
    """Accuracy, macro F1 and the F1 of each class: (..., K, K) -> (..., 2 + K)."""
    right, faces = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1) + counts.sum(axis=-2)
    headline = [named(counts, metric)[..., None] for metric in ("accuracy", "macro.f1")]
    return np.concatenate([*headline, 2 * right / np.maximum(faces, 1)], axis=-1)


def bootstrap(kinds: Kinds, resamples: int, generator: np.random.Generator) -> Floats:
    """Changes in samples of as many groups, drawn with replacement: resamples x (2 + K).

    One face lost and one gained are added before drawing, spread over the classes by their support.
    It is what Bonett and Price (2012) add to the paired difference of proportions, and keeps the
    interval honest where the models differ on a handful of faces, or on none.
    """
    extra, weights = _one_lost_one_gained(kinds.total)
    counts = np.concatenate([kinds.counts, extra])
    times = np.concatenate([kinds.times, weights])
    size = round(float(times.sum()))
    return _resampled(counts, resamples, lambda rows: generator.multinomial(size, times / times.sum(), rows))


def permutations(kinds: Kinds, resamples: int, generator: np.random.Generator) -> Floats:
    """Changes when each group's two predictions are exchanged with probability 1/2: resamples x (2 + K).

    Two trainings that differ in nothing but the seed are exchangeable, so a test on these is exact at any
    number of faces (Pitman 1937; McNemar's test is the case of accuracy).
    """
    both = np.concatenate([kinds.counts, kinds.counts[:, ::-1]])
    half = np.full(len(kinds.times), 0.5)

    def draw(rows: int) -> Integers:
        swapped = generator.binomial(kinds.times, half, (rows, len(kinds.times)))
        return np.concatenate([kinds.times - swapped, swapped], axis=1)

    return _resampled(both, resamples, draw)


def _one_lost_one_gained(total: Integers) -> tuple[Integers, Floats]:
    """Kinds of one face each, and how much of the two faces each is: T' x 2 x K x K and T'."""
    support = total[0].sum(axis=1)
    K = len(support)
    rows, weights = [], []
    for actual, wrong in ((a, w) for a in range(K) for w in range(K) if a != w and support[a] and support[w]):
        share = support[actual] / support.sum() * support[wrong] / (support.sum() - support[actual])
        lost = np.zeros((2, K, K), np.int64)
        lost[0, actual, actual] = lost[1, actual, wrong] = 1
        rows += [lost, lost[::-1]]
        weights += [share, share]
    return np.array(rows, np.int64).reshape(-1, 2, K, K), np.array(weights, np.float64)


def _resampled(counts: Integers, resamples: int, draw: Callable[[int], Integers]) -> Floats:
    """Score `resamples` weighted sums of T x 2 x K x K confusion matrices, a bounded number at once."""
    K = counts.shape[-1]
    flat = counts.reshape(len(counts), -1).astype(np.float64)  # sums stay integers: exact below 2^53
    step = max(1, BLOCK_NUMBERS // (len(flat) + flat.shape[1]))
    blocks = []
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        sums = draw(rows).astype(np.float64) @ flat
        blocks.append(changes(sums.astype(np.int64).reshape(rows, 2, K, K)))
    return np.concatenate(blocks)


def _max_t_checks(
    family: dict[str, int], kinds: Kinds, resampled: Floats, permuted: Floats, margin: float, alpha: float
) -> list[Check]:
    """Simultaneous bounds and p-values of a family, from the largest of its standardised deviations.

    `family`: name of a score -> its column in `changes`; `alpha`: share of the error that it may spend.
    """
    columns = list(family.values())
    before, after = _all_scores(kinds.total)[:, columns]
    mean, spread = resampled[:, columns].mean(axis=0), resampled[:, columns].std(axis=0)
    deviation = _over(resampled[:, columns] - mean, spread)
    size = kinds.effective_groups  # few widen the bounds: t quantile over normal (Hesterberg 2015)
    wider = float(stdtrit(size - 1, 1 - ALPHA)) / float(ndtri(1 - ALPHA)) * math.sqrt(size / (size - 1))
    upper95 = mean + wider * np.quantile(deviation, 1 - ALPHA, axis=0) * spread
    together = wider * float(np.quantile(deviation.max(axis=1), 1 - alpha))
    by_chance = permuted[:, columns].std(axis=0)
    worst = _over(permuted[:, columns], by_chance).min(axis=1)
    observed = _over(after - before, by_chance)
    p_values = (1 + (worst[:, None] <= observed + 1e-9).sum(axis=0)) / (1 + len(worst))
    needed = math.ceil(-math.log2(alpha))  # groups that must all change for the worse
    checks = []
    bounds = mean + together * spread
    for i, (name, column) in enumerate(family.items()):
        groups = kinds.groups_of(column)
        by_bound = margin + (together + float(ndtri(POWER))) * float(spread[i])
        drop = max(by_bound, _drop(kinds.total[0], column, needed)) if groups >= needed else None
        old, new, upper, bound, p_value = (float(of[i]) for of in (before, after, upper95, bounds, p_values))
        checks.append(Check(name, old, new, upper, bound, p_value, margin, alpha, drop))
    return checks


def _drop(counts: Integers, column: int, faces: int) -> float:
    """How far a score falls when `faces` correct ones become wrong, each in a group of its own."""
    if column < 2:
        return faces / float(counts.sum())
    label = column - 2
    right, support, predicted = counts[label, label], counts[label].sum(), counts[:, label].sum()
    lost = min(faces, int(right))
    return float(2 * right / (support + predicted) - 2 * (right - lost) / (support + predicted - lost))


def _over(value: Floats, spread: Floats) -> Floats:
    """Divide; 0 where nothing varies."""
    return np.asarray(value / np.where(spread > 0, spread, np.inf))
