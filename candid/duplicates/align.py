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

from candid.duplicates.kernels import exact_sums, kernel

ONE = 65536  # fixed point of coordinates


@kernel
def overlap_correlation(a: Any, b: Any, motion: Any, rows: Any) -> Any:
    """Normalised correlation of A and the warped B over the pixels they share; 0 where either is flat."""
    n = overlay(a, b, motion, rows)
    sums = np.empty(5)
    _correlation_sums(rows, n, sums)
    vary_a, vary_b = n * sums[2] - sums[0] * sums[0], n * sums[3] - sums[1] * sums[1]
    if vary_a <= 0 or vary_b <= 0:
        return 0.0
    return (n * sums[4] - sums[0] * sums[1]) / sqrt(vary_a * vary_b)


@exact_sums
def _correlation_sums(rows: Any, n: int, sums: Any) -> None:
    a = b = aa = bb = ab = 0.0
    for k in range(n):
        p, q = rows[0, k], rows[1, k]
        a += p
        b += q
        aa += p * p
        bb += q * q
        ab += p * q
    sums[0], sums[1], sums[2], sums[3], sums[4] = a, b, aa, bb, ab


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
    sums = np.empty((6, 6))
    _products(rows, n, sums)
    for i in range(5):
        for j in range(i, 5):
            system[i, j] = sums[i, j] - sums[i, 5] * sums[j, 5] / n
            system[j, i] = system[i, j]
        system[i, 5] = sums[5, i] - sums[i, 5] * sums[5, 5] / n
        system[i, i] = system[i, i] * 1.001 + 1.0  # keeps a step along a featureless direction small
    if not solve(system) or system[0, 5] < 0.05:
        return False
    contrast = system[0, 5]
    motion[0] += clip(16 * system[3, 5] / contrast, 0.05)
    motion[1] += clip(16 * system[4, 5] / contrast, 0.05)
    motion[2] += clip(8 * system[1, 5] / contrast / shrink, 2.0)
    motion[3] += clip(8 * system[2, 5] / contrast / shrink, 2.0)
    return True


@exact_sums
def _products(rows: Any, n: int, sums: Any) -> None:
    """Sums of products of B, its changes by dx, dy, scale and turn (columns 0 to 4), 1 and A.

    sums[i, j] for i <= j < 5, sums[i, 5] of column i alone, sums[5, i] of column i with A, sums[5, 5] of A.
    Kept in scalars, which the compiler holds in registers. The largest stays below 2^47.
    """
    s00 = s01 = s02 = s03 = s04 = s11 = s12 = s13 = s14 = s22 = s23 = s24 = s33 = s34 = s44 = 0.0
    a0 = a1 = a2 = a3 = a4 = t0 = t1 = t2 = t3 = t4 = ta = 0.0
    for k in range(n):
        a, f0, f1, f2, u, v = rows[0, k], rows[1, k], rows[2, k], rows[3, k], rows[4, k], rows[5, k]
        f3, f4 = f1 * u + f2 * v, f2 * u - f1 * v
        s00 += f0 * f0
        s01 += f0 * f1
        s02 += f0 * f2
        s03 += f0 * f3
        s04 += f0 * f4
        s11 += f1 * f1
        s12 += f1 * f2
        s13 += f1 * f3
        s14 += f1 * f4
        s22 += f2 * f2
        s23 += f2 * f3
        s24 += f2 * f4
        s33 += f3 * f3
        s34 += f3 * f4
        s44 += f4 * f4
        a0 += a * f0
        a1 += a * f1
        a2 += a * f2
        a3 += a * f3
        a4 += a * f4
        t0 += f0
        t1 += f1
        t2 += f2
        t3 += f3
        t4 += f4
        ta += a
    sums[0, 0], sums[0, 1], sums[0, 2], sums[0, 3], sums[0, 4], sums[0, 5] = s00, s01, s02, s03, s04, t0
    sums[1, 1], sums[1, 2], sums[1, 3], sums[1, 4], sums[1, 5] = s11, s12, s13, s14, t1
    sums[2, 2], sums[2, 3], sums[2, 4], sums[2, 5] = s22, s23, s24, t2
    sums[3, 3], sums[3, 4], sums[3, 5], sums[4, 4], sums[4, 5] = s33, s34, t3, s44, t4
    sums[5, 0], sums[5, 1], sums[5, 2], sums[5, 3], sums[5, 4], sums[5, 5] = a0, a1, a2, a3, a4, ta


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
