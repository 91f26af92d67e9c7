"""Share faces out over parts: groups whole, part sizes exact, each class within one face of its share.

scikit-learn's StratifiedGroupKFold does neither exact sizes nor ratios, and its stream of chance is not
frozen. Integers and fractions only, so that every machine gives the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = list[list[int]]  # faces by class (rows) and part (columns)

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
    """Return the part of each face.

    Without groups, parts have exactly the sizes of the largest-remainder rule and each class is within one
    face of its share in every part. Groups of two and more are placed first, the biggest first, each where
    it serves the classes' shortfall best; the faces that stand alone then even out what they can.

    `labels` are classes, 0 to K - 1; faces of equal `groups` stay together; the random `keys` are the only
    source of chance; part sizes are in the proportion of `weights`.
    """
    counts = np.bincount(labels).tolist()
    totals = largest_remainder(len(labels), weights)
    target = apportion(counts, weights, totals, [[0] * len(weights) for _ in counts])
    parts = np.full(len(labels), -1, np.int64)
    placed = _place_groups(labels, groups, keys, target, parts)
    final = apportion(counts, weights, _reachable(totals, _columns(placed)), placed)
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
    need = [[*row] for row in target] + [_columns(target)]
    worth = [[SCALE // max(1, faces) for faces in row] for row in need]
    for members in _big_groups(groups, keys):
        classes, counts = np.unique(labels[members], return_counts=True)
        sizes = [*zip(classes.tolist(), counts.tolist(), strict=True), (len(target), len(members))]

        def cost(part: int, sizes: list[tuple[int, int]] = sizes) -> tuple[int, int, int]:
            change = sum(worth[row][part] * size * (size - 2 * need[row][part]) for row, size in sizes)
            return change, -need[-1][part], part

        part = min(range(len(need[-1])), key=cost)
        parts[members] = part
        for row, size in sizes:
            need[row][part] -= size
    return [[a - b for a, b in zip(*rows, strict=True)] for rows in zip(target, need[:-1], strict=True)]


def _big_groups(groups: NDArray[np.integer[Any]], keys: NDArray[np.uint64]) -> list[NDArray[np.int64]]:
    """List the groups of two faces and more, biggest first, equal ones in random order."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    big = [members for members in np.split(order, starts[1:]) if len(members) > 1]
    return sorted(big, key=lambda members: (-len(members), int(keys[members].min()), int(members[0])))


def _reachable(totals: Sequence[int], placed: Sequence[int]) -> list[int]:
    """Make room: where groups overfill a part, the others give up as much, by what they lack."""
    lack = [max(0, total - have) for total, have in zip(totals, placed, strict=True)]
    surplus = sum(max(0, have - total) for total, have in zip(totals, placed, strict=True))
    cuts = largest_remainder(surplus, lack) if surplus else [0] * len(lack)
    return [max(total, have) - cut for total, have, cut in zip(totals, placed, cuts, strict=True)]


def _columns(table: Matrix) -> list[int]:
    return [sum(column) for column in zip(*table, strict=True)]


def largest_remainder(total: int, weights: Sequence[int | Fraction]) -> list[int]:
    """Share `total` out by `weights`: floors first, the rest to the largest remainders (ties: the first)."""
    shares = [Fraction(total) * weight / sum(weights) for weight in weights]
    counts = [int(share) for share in shares]
    order = sorted(range(len(shares)), key=lambda part: (counts[part] - shares[part], part))
    for part in order[: total - sum(counts)]:
        counts[part] += 1
    return counts


def apportion(counts: Sequence[int], weights: Sequence[int], totals: Sequence[int], lower: Matrix) -> Matrix:
    """Share each class out over the parts such that the parts come out at `totals`: classes x parts.

    Each row is first shared out on its own; single faces then move along the cheapest paths from parts with
    too many to parts with too few (successive shortest paths of a convex-cost flow).

    Of the `counts` of class c part p has a share of weights[p] / sum(weights). `totals` sum to sum(counts).
    Of class c `lower` faces are in part p already; no part has more than its total. Of all tables whose rows
    sum to `counts` and columns to `totals` the result is that which, in this order, keeps within one face of
    the shares, leaves no cell empty, and has the least sum of squared deviations. Up to three parts, or any
    number of equal ones, each cell is within one face of its share unless `lower` forbids it.
    """
    whole, parts = sum(weights), range(len(weights))
    cells = len(counts) * len(weights) + 1
    empty_cost = whole**2 * cells  # whole**2: one face's deviation, squared; deviations count 1/whole faces
    far_cost = empty_cost * cells

    def cost(row: int, part: int, faces: int) -> int:
        deviation = abs(whole * faces - counts[row] * weights[part])
        return deviation**2 + empty_cost * max(0, 1 - faces) + far_cost * max(0, deviation - whole)

    def change(row: int, part: int, step: int) -> int:
        faces = table[row][part]
        return cost(row, part, faces + step) - cost(row, part, faces)

    def move(row: int, part: int, step: int) -> None:
        table[row][part] += step
        need[part] -= step

    table = [
        [max(least, count * weight // whole) for least, weight in zip(row, weights, strict=True)]
        for count, row in zip(counts, lower, strict=True)
    ]
    need = [total - column for total, column in zip(totals, _columns(table), strict=True)]
    for row, count in enumerate(counts):
        while missing := count - sum(table[row]):
            step = 1 if missing > 0 else -1
            free = [part for part in parts if step == 1 or table[row][part] > lower[row][part]]
            keys = [(change(row, part, step), -step * need[part], part) for part in free]
            move(row, min(keys)[-1], step)
    while any(need):
        moves: dict[tuple[int, int], tuple[int, int]] = {}  # (source, target) -> cheapest (cost, row)
        for row in range(len(counts)):
            more = [change(row, part, 1) for part in parts]
            for source in (part for part in parts if table[row][part] > lower[row][part]):
                less = change(row, source, -1)
                for target in (part for part in parts if part != source):
                    candidate = (less + more[target], row)
                    moves[source, target] = min(moves.get((source, target), candidate), candidate)
        for source, target in pairwise(_cheapest_path(moves, need)):
            row = moves[source, target][1]
            move(row, source, -1)
            move(row, target, 1)
    return table


def _cheapest_path(moves: dict[tuple[int, int], tuple[int, int]], need: Sequence[int]) -> list[int]:
    """Return the parts from one with too many faces to one with too few, by Bellman and Ford."""
    paths = {part: (0, [part]) for part, lack in enumerate(need) if lack < 0}
    for _ in need:
        for (source, target), (cost, _row) in moves.items():
            if source not in paths or target in paths[source][1]:
                continue
            length, path = paths[source]
            if target not in paths or length + cost < paths[target][0]:
                paths[target] = (length + cost, [*path, target])
    end = min((part for part in paths if need[part] > 0), key=lambda part: (paths[part][0], part))
    return paths[end][1]
