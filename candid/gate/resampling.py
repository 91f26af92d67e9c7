"""What chance does to a change of scores: groups drawn again, and the two models' predictions exchanged.

Groups with the same outcome (the same faces of each class, each predicted the same by both models) are
interchangeable, so both resamplings draw how often each *kind* of group occurs. That is the same as
drawing groups one by one, at a cost that does not grow with the faces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from candid.evaluation import scores
from candid.evaluation.scores import Floats, Integers
from candid.gate.pairs import Pairs

NUMBERS_AT_ONCE = 4_000_000  # 32 MB


class Kinds(NamedTuple):
    """The distinct outcomes of a group: T of them, over K classes."""

    counts: Integers
    """Confusion matrices of a group's faces, before and after: T x 2 x K x K."""
    times: Integers
    """Groups of each kind: T."""
    faces: Integers
    """Faces in a group of each kind: T."""

    @property
    def total(self) -> Integers:
        """Confusion matrices of all faces, before and after: 2 x K x K."""
        return np.tensordot(self.times, self.counts, axes=1)

    @property
    def effective_groups(self) -> float:
        """Groups of equal size that would tell as much (Kish 1965): (sum of sizes)^2 / sum of squares."""
        return float((self.times @ self.faces) ** 2 / (self.times @ self.faces**2))


def kinds(pairs: Pairs) -> Kinds:
    """Sort the groups by outcome."""
    K = len(pairs.classes)
    outcome = (pairs.actual * K + pairs.before) * K + pairs.after
    order = np.lexsort((outcome, pairs.groups))
    starts = np.flatnonzero(np.diff(pairs.groups[order], prepend=-1))
    members = np.split(outcome[order], starts[1:])
    times: dict[tuple[int, ...], int] = {}
    for group in members:
        key = tuple(group.tolist())
        times[key] = times.get(key, 0) + 1
    counts = np.zeros((len(times), 2, K, K), np.int64)
    for row, key in enumerate(times):
        for code in key:
            actual, before, after = code // K**2, code // K % K, code % K
            counts[row, 0, actual, before] += 1
            counts[row, 1, actual, after] += 1
    return Kinds(counts, np.array(list(times.values())), np.array([len(key) for key in times]))


def changes(counts: Integers) -> Floats:
    """Change of accuracy, of macro F1, and of the F1 of each class: (..., 2, K, K) -> (..., 2 + K).

    An F1 that is undefined (a resample without the class) counts as 0 on both sides.
    """
    each = np.nan_to_num(scores.f1(counts))
    columns = [scores.accuracy(counts)[..., None], scores.macro_f1(counts)[..., None], each]
    values = np.concatenate(columns, axis=-1)
    return np.asarray(values[..., 1, :] - values[..., 0, :])


def bootstrap(found: Kinds, resamples: int, generator: np.random.Generator) -> Floats:
    """Changes in samples of as many groups, drawn with replacement: resamples x (2 + K).

    One face lost and one gained are added before drawing, spread over the classes by their support.
    It is what Bonett and Price (2012) add to the paired difference of proportions, and keeps the
    interval honest where the models differ on a handful of faces, or on none.
    """
    extra, weights = _one_lost_one_gained(found.total)
    counts = np.concatenate([found.counts, extra])
    times = np.concatenate([found.times, weights])
    size = round(float(times.sum()))
    return _resampled(counts, resamples, lambda rows: generator.multinomial(size, times / times.sum(), rows))


def exchange(found: Kinds, resamples: int, generator: np.random.Generator) -> Floats:
    """Changes when each group's two predictions change places with probability 1/2: resamples x (2 + K).

    Two trainings that differ in nothing but the seed can be exchanged without anybody noticing, so a
    test on these is exact at any number of faces (Pitman 1937; McNemar's test is the case of accuracy).
    """
    both = np.concatenate([found.counts, found.counts[:, ::-1]])
    chance = np.full(len(found.times), 0.5)

    def draw(rows: int) -> Integers:
        swapped = generator.binomial(found.times, chance, (rows, len(found.times)))
        return np.concatenate([found.times - swapped, swapped], axis=1)

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
    found = []
    for rows in _steps(resamples, max(1, NUMBERS_AT_ONCE // (len(flat) + flat.shape[1]))):
        sums = draw(rows).astype(np.float64) @ flat
        found.append(changes(sums.astype(np.int64).reshape(rows, 2, K, K)))
    return np.concatenate(found)


def _steps(total: int, most: int) -> Iterator[int]:
    for start in range(0, total, most):
        yield min(most, total - start)
