"""Share whole faces out: exact part sizes, and each class within one face of its share.

Integers and fractions only, so that every machine gives the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

Matrix = list[list[int]]


def largest_remainder(total: int, weights: Sequence[int | Fraction]) -> list[int]:
    """Share `total` out by `weights`: floors first, the rest to the largest remainders (ties: the first)."""
    shares = [Fraction(total) * weight / sum(weights) for weight in weights]
    counts = [int(share) for share in shares]
    order = sorted(range(len(shares)), key=lambda part: (counts[part] - shares[part], part))
    for part in order[: total - sum(counts)]:
        counts[part] += 1
    return counts


def apportion(counts: Sequence[int], weights: Sequence[int], totals: Sequence[int], lower: Matrix) -> Matrix:
    """Share each class out over the parts such that the parts come out at `totals`.

    Args:
        counts: faces of each class.
        weights: of the parts; the share of class c in part p is counts[c] * weights[p] / sum(weights).
        totals: faces wanted in each part; they sum to sum(counts).
        lower: faces of class c that are in part p already (classes x parts); no part has more than its total.

    Returns:
        classes x parts: rows sum to `counts`, columns to `totals`. Of all such tables it is the one
        that, in this order, keeps within one face of the shares, leaves no cell empty, and has the
        least sum of squared deviations. Up to three parts, or any number of equal ones, every
        cell is within one face of its share unless `lower` forbids it.

    Each row is first shared out on its own; single faces then move along the cheapest paths from
    parts with too many to parts with too few (successive shortest paths of a convex-cost flow).
    """
    table = _Table(counts, weights, lower)
    need = [total - sum(column) for total, column in zip(totals, zip(*table.cells, strict=True), strict=True)]
    for row in range(len(counts)):
        for _ in range(table.missing(row)):
            part = min(table.parts, key=lambda p: (table.change(row, p, 1), -need[p]))
            table.cells[row][part] += 1
            need[part] -= 1
        for _ in range(-table.missing(row)):
            open_parts = [p for p in table.parts if table.cells[row][p] > lower[row][p]]
            part = min(open_parts, key=lambda p: (table.change(row, p, -1), need[p]))
            table.cells[row][part] -= 1
            need[part] += 1
    while any(need):
        source, target = table.move_along_cheapest_path(need)
        need[source] += 1
        need[target] -= 1
    return table.cells


class _Table:
    """The cells and what it costs to change one."""

    def __init__(self, counts: Sequence[int], weights: Sequence[int], lower: Matrix) -> None:
        self.counts, self.weights, self.lower = counts, weights, lower
        self.whole = sum(weights)
        self.parts = range(len(weights))
        self.cells = [
            [max(least, count * weight // self.whole) for least, weight in zip(row, weights, strict=True)]
            for count, row in zip(counts, lower, strict=True)
        ]
        square = self.whole**2  # one face's deviation, squared; deviations are counted in 1/whole faces
        self.empty_cost = square * (len(counts) * len(weights) + 1)
        self.far_cost = self.empty_cost * (len(counts) * len(weights) + 1)

    def missing(self, row: int) -> int:
        return self.counts[row] - sum(self.cells[row])

    def cost(self, row: int, part: int, faces: int) -> int:
        deviation = abs(self.whole * faces - self.counts[row] * self.weights[part])
        far = max(0, deviation - self.whole)
        return deviation**2 + self.empty_cost * max(0, 1 - faces) + self.far_cost * far

    def change(self, row: int, part: int, step: int) -> int:
        faces = self.cells[row][part]
        return self.cost(row, part, faces + step) - self.cost(row, part, faces)

    def cheapest_moves(self) -> dict[tuple[int, int], tuple[int, int]]:
        """(from, to) -> (cost, row) of the best single face to move between each two parts."""
        moves: dict[tuple[int, int], tuple[int, int]] = {}
        for row in range(len(self.counts)):
            more = [self.change(row, part, 1) for part in self.parts]
            for source in self.parts:
                if self.cells[row][source] <= self.lower[row][source]:
                    continue
                less = self.change(row, source, -1)
                for target in self.parts:
                    move = (less + more[target], row)
                    if target != source and ((source, target) not in moves or move < moves[source, target]):
                        moves[source, target] = move
        return moves

    def move_along_cheapest_path(self, need: list[int]) -> tuple[int, int]:
        """Move one face from a part with too many to one with too few, by Bellman and Ford."""
        moves = self.cheapest_moves()
        far: dict[int, tuple[int, list[int]]] = {part: (0, [part]) for part in self.parts if need[part] < 0}
        for _ in self.parts:
            for (source, target), (cost, _row) in moves.items():
                if source not in far or target in far[source][1]:
                    continue
                length, path = far[source]
                if target not in far or length + cost < far[target][0]:
                    far[target] = (length + cost, [*path, target])
        end = min((part for part in far if need[part] > 0), key=lambda part: (far[part][0], part))
        path = far[end][1]
        for source, target in pairwise(path):
            row = moves[source, target][1]
            self.cells[row][source] -= 1
            self.cells[row][target] += 1
        return path[0], end
