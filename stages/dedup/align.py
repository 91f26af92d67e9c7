"""Bring one image over another: shift, scale and turn, by integer sums.

Gauss-Newton steps from a rough start: the image A is regressed on 1, the warped image B and the change of
B by each motion; the coefficients are light, contrast and the step. The sums are of integers, so equal in
any order; the few divisions are plain IEEE 754.

A motion is (scale, turn, dx, dy) in pixels of a 48 x 48 image: A's point p lies at B's point
M (p - c) + c + (dx, dy) with M = [[scale, -turn], [turn, scale]] and c the centre.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from stages.dedup.kernels import kernel

ONE = 65536  # fixed point of coordinates


@kernel
def correlation(n: int, sa: int, sb: int, saa: int, sbb: int, sab: int) -> Any:
    """Normalised correlation from integer sums; 0 where either side does not vary."""
    va, vb = n * saa - sa * sa, n * sbb - sb * sb
    if va <= 0 or vb <= 0:
        return 0.0
    return (n * sab - sa * sb) / sqrt(float(va) * float(vb))


@kernel
def overlap_correlation(a: Any, b: Any, motion: Any, rows: Any) -> Any:
    """Normalised correlation of A and the warped B over the pixels they share."""
    n = overlay(a, b, motion, rows)
    sa = sb = saa = sbb = sab = np.int64(0)
    for k in range(n):
        p, r = np.int64(rows[0, k]), np.int64(rows[1, k])
        sa += p
        sb += r
        saa += p * p
        sbb += r * r
        sab += p * r
    return correlation(n, sa, sb, saa, sbb, sab)


@kernel
def overlay(a: Any, b: Any, motion: Any, rows: Any) -> int:
    """Warp B over A: rows get A, B, 8 dB/dx, 8 dB/dy, 2u, 2v of each common pixel; returns their count."""
    size = a.shape[0]
    shrink = size / 48.0
    scale, turn = np.int64(round(motion[0] * ONE)), np.int64(round(motion[1] * ONE))
    dx, dy = np.int64(round(motion[2] * shrink * ONE)), np.int64(round(motion[3] * shrink * ONE))
    centre, limit = (size - 1) * (ONE // 2), (size - 1) * ONE
    n = 0
    for j in range(size):
        v = 2 * j - (size - 1)
        for i in range(size):
            u = 2 * i - (size - 1)
            x = centre + dx + ((scale * u - turn * v) >> 1)
            y = centre + dy + ((turn * u + scale * v) >> 1)
            if x < 0 or y < 0 or x >= limit or y >= limit:
                continue
            column, row, fx, fy = x >> 16, y >> 16, (x >> 11) & 31, (y >> 11) & 31
            b00, b01 = np.int32(b[row, column]), np.int32(b[row, column + 1])
            b10, b11 = np.int32(b[row + 1, column]), np.int32(b[row + 1, column + 1])
            top, low = 32 * b00 + fx * (b01 - b00), 32 * b10 + fx * (b11 - b10)
            rows[0, n] = a[j, i]
            rows[1, n] = (32 * top + fy * (low - top) + 512) >> 10
            rows[2, n] = ((32 - fy) * (b01 - b00) + fy * (b11 - b10)) >> 2
            rows[3, n] = (low - top) >> 2
            rows[4, n] = u
            rows[5, n] = v
            n += 1
    return n


@kernel
def improve(a: Any, b: Any, motion: Any, rows: Any, system: Any) -> bool:
    """One Gauss-Newton step of the motion; False when the images part or the system is singular."""
    size = a.shape[0]
    shrink = size / 48.0
    n = overlay(a, b, motion, rows)
    if 10 * n < 4 * size * size:
        return False
    sums = np.zeros(
        (5, 7), np.int64
    )  # products of B and the four changes with each other, with A, and with 1
    for q in range(n):
        f0 = np.int64(rows[1, q])
        f1 = np.int64(rows[2, q])
        f2 = np.int64(rows[3, q])
        f3 = (f1 * rows[4, q] + f2 * rows[5, q]) >> 4
        f4 = (f2 * rows[4, q] - f1 * rows[5, q]) >> 4
        p = np.int64(rows[0, q])
        sums[0, 0] += f0 * f0
        sums[0, 1] += f0 * f1
        sums[0, 2] += f0 * f2
        sums[0, 3] += f0 * f3
        sums[0, 4] += f0 * f4
        sums[1, 1] += f1 * f1
        sums[1, 2] += f1 * f2
        sums[1, 3] += f1 * f3
        sums[1, 4] += f1 * f4
        sums[2, 2] += f2 * f2
        sums[2, 3] += f2 * f3
        sums[2, 4] += f2 * f4
        sums[3, 3] += f3 * f3
        sums[3, 4] += f3 * f4
        sums[4, 4] += f4 * f4
        sums[0, 5] += f0 * p
        sums[1, 5] += f1 * p
        sums[2, 5] += f2 * p
        sums[3, 5] += f3 * p
        sums[4, 5] += f4 * p
        sums[0, 6] += f0
        sums[1, 6] += f1
        sums[2, 6] += f2
        sums[3, 6] += f3
        sums[4, 6] += f4
    total = np.int64(0)
    for q in range(n):
        total += rows[0, q]
    for i in range(5):
        for j in range(i, 5):
            system[i, j] = float(sums[i, j]) - float(sums[i, 6]) * float(sums[j, 6]) / n
            system[j, i] = system[i, j]
        system[i, 5] = float(sums[i, 5]) - float(sums[i, 6]) * float(total) / n
        system[i, i] = system[i, i] * 1.001 + 1.0  # keeps a step along a featureless direction small
    if not solve(system) or system[0, 5] < 0.05:
        return False
    contrast = system[0, 5]
    motion[0] += clip(system[3, 5] / contrast, 0.05)
    motion[1] += clip(system[4, 5] / contrast, 0.05)
    motion[2] += clip(8 * system[1, 5] / contrast / shrink, 2.0)
    motion[3] += clip(8 * system[2, 5] / contrast / shrink, 2.0)
    return True


@kernel
def clip(value: float, limit: float) -> float:
    """Keep a step within +-limit."""
    return min(max(value, -limit), limit)


@kernel
def solve(system: Any) -> bool:
    """Solve the symmetric positive system in place; the last column becomes the solution."""
    size = system.shape[0]
    for p in range(size):
        if system[p, p] <= 1e-9:
            return False
        for q in range(p + 1, size):
            factor = system[q, p] / system[p, p]
            for w in range(p, size + 1):
                system[q, w] -= factor * system[p, w]
    for p in range(size - 1, -1, -1):
        for q in range(p + 1, size):
            system[p, size] -= system[p, q] * system[q, size]
        system[p, size] /= system[p, p]
    return True
