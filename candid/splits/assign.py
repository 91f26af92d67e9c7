"""Share faces out over parts, groups whole, classes in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candid.splits.apportion import Matrix, apportion, largest_remainder

SCALE = 1 << 24  # resolution of 1/target in the integer cost of placing a group


def random_keys(count: int, *seeds: int) -> NDArray[np.uint64]:
    """One random 64-bit key a face.

    These are PCG64's raw bits, which NumPy promises never to change (NEP 19); what its Generator makes
    of them may change from version to version.
    """
    return np.asarray(np.random.PCG64(np.random.SeedSequence(seeds)).random_raw(count), np.uint64)


def assign(
    labels: NDArray[np.integer[Any]],
    groups: NDArray[np.integer[Any]],
    keys: NDArray[np.uint64],
    weights: Sequence[int],
) -> NDArray[np.int64]:
    """Give each face a part.

    Args:
        labels: class of each face, 0 to K - 1.
        groups: faces with the same number stay together.
        keys: random, one a face; the only source of chance.
        weights: of the parts, whole numbers; part sizes are in their proportion.

    Returns:
        part of each face. Without groups, parts have exactly the sizes of the largest-remainder rule and
        each class is within one face of its share in every part. Groups of two and more are placed
        first, the biggest first, each where it serves the classes' shortfall best; the faces
        that stand alone then even out what they can.
    """
    counts = np.bincount(labels).tolist()
    totals = largest_remainder(len(labels), weights)
    nothing: Matrix = [[0] * len(weights) for _ in counts]
    target = apportion(counts, weights, totals, nothing)
    parts = np.full(len(labels), -1, np.int64)

    placed = _place_groups(labels, groups, keys, target, parts)
    final = apportion(
        counts, weights, _reachable(totals, [sum(c) for c in zip(*placed, strict=True)]), placed
    )
    order = np.argsort(keys, kind="stable")
    for label in range(len(counts)):
        alone = order[(labels[order] == label) & (parts[order] == -1)]
        ends = accumulate(after - before for after, before in zip(final[label], placed[label], strict=True))
        for part, faces in enumerate(np.split(alone, list(ends)[:-1])):
            parts[faces] = part
    return parts


def _place_groups(
    labels: NDArray[np.integer[Any]],
    groups: NDArray[np.integer[Any]],
    keys: NDArray[np.uint64],
    target: Matrix,
    parts: NDArray[np.int64],
) -> Matrix:
    """Write the part of every face that does not stand alone into `parts`; count them, classes x parts.

    A group goes where the sum over classes of (shortfall**2 / target) falls most. Dividing by the target
    keeps all big groups from landing in the biggest part.
    """
    placed: Matrix = [[0] * len(row) for row in target]
    need = [[*row] for row in target] + [[sum(column) for column in zip(*target, strict=True)]]
    worth = [[SCALE // max(1, faces) for faces in row] for row in need]
    for members in _big_groups(groups, keys):
        found, counts = np.unique(labels[members], return_counts=True)
        sizes = [*zip(found.tolist(), counts.tolist(), strict=True), (len(placed), len(members))]
        cost = [
            (
                sum(worth[row][part] * size * (size - 2 * need[row][part]) for row, size in sizes),
                -need[-1][part],
                part,
            )
            for part in range(len(need[-1]))
        ]
        part = min(cost)[-1]
        parts[members] = part
        for row, size in sizes:
            need[row][part] -= size
        for row, size in sizes[:-1]:
            placed[row][part] += size
    return placed


def _big_groups(groups: NDArray[np.integer[Any]], keys: NDArray[np.uint64]) -> list[NDArray[np.int64]]:
    """List the groups of two faces and more, biggest first, equal ones in random order."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    found = [members for members in np.split(order, starts[1:]) if len(members) > 1]
    return sorted(found, key=lambda members: (-len(members), int(keys[members].min()), int(members[0])))


def _reachable(totals: Sequence[int], placed: Sequence[int]) -> list[int]:
    """Make room: where groups overfill a part, the others give up as much, by what they lack."""
    lack = [max(0, total - have) for total, have in zip(totals, placed, strict=True)]
    surplus = sum(max(0, have - total) for total, have in zip(totals, placed, strict=True))
    cuts = largest_remainder(surplus, lack) if surplus else [0] * len(lack)
    return [max(total, have) - cut for total, have, cut in zip(totals, placed, cuts, strict=True)]
