"""Is it the same photograph? One image is aligned with the other; the correlation of fine structure decides.

Alignment takes Gauss-Newton steps from a rough start: image A is regressed on 1, the warped image B and the
change of B by each motion; the coefficients are light, contrast and the step. The sums are of integers, so
equal in any order; the few divisions are plain IEEE 754. A motion is (scale, turn, dx, dy) in pixels of a
48 x 48 image: A's point p lies at B's point M (p - c) + c + (dx, dy) with M = [[scale, -turn], [turn, scale]]
and c the centre.

What falls short of full correlation counts for more where the best fit is suspect. Copies are cut anew,
zoomed and re-encoded, but hardly ever turned; and a copy cut just the same has little reason to differ at
all. Two photographs of one person, brought to the same position by a face detector, are the opposite: the
best fit of one over the other needs no new crop, but mostly a turn of some degrees. The measurements are in
docs/near-duplicates.md.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from candid.duplicates.kernels import exact_sums, in_parallel, kernel

ONE = 65536  # fixed point of coordinates
MIN_HALF = (0.84, 0.88)  # correlation after each step at half size; 998 of 1000 copies have 0.91 and 0.93
FULL_STEPS = 2  # Gauss-Newton steps at full size
HOPELESS = 0.6  # fine correlation after the first full step, which later ones raise by 0.02
DOUBT = 2.3
TURN_FREE, TURN_SUSPECT = 0.007, 0.0175  # radians, 0.4 and 1 degree
CROP_ZOOM, CROP_SHIFT = 0.1, 3.0  # a new crop is one zoomed by a tenth, or shifted by 3 pixels
DECIMALS = 4
BLOCK = 256  # pairs at a time


class Prepared(NamedTuple):
    """What the verifier reads of each image, N x size x size."""

    smooth: NDArray[np.uint8]
    half: NDArray[np.uint8]
    """Smoothed, at half size."""
    fine: NDArray[np.int8]
    """Fine structure: smoothed less its surroundings."""


def prepare(grey: NDArray[np.uint8]) -> Prepared:
    """Smoothed, halved and high-passed versions of N x 48 x 48 images (5 KiB an image)."""

    def block(start: int, stop: int) -> tuple[Any, Any, Any]:
        smooth, half, fine = _filter(grey[start:stop])
        return smooth, half, fine

    smooth, half, fine = zip(*(in_parallel(block, len(grey), 1024) or [block(0, 0)]), strict=True)
    return Prepared(np.concatenate(smooth), np.concatenate(half), np.concatenate(fine))


def similarities(
    images: Prepared,
    pairs: NDArray[np.int64],
    motions: NDArray[np.float64],
    others: Prepared | None = None,
) -> NDArray[np.float64]:
    """Similarity of each pair of rows, 0 to 1, rounded to DECIMALS.

    Args:
        images: from `prepare`.
        pairs: P x 2 rows (a, b).
        motions: P x 4, where to start: how b lies over a, within some 3 pixels.
        others: where each b is taken from, e.g. mirrored images; default: `images`.

    A pair the other way round starts elsewhere and may differ in the last decimals: callers that want one
    answer order their pairs by content, as `find_duplicates` does.
    """
    second = images if others is None else others

    def block(start: int, stop: int) -> NDArray[np.float64]:
        out = np.zeros(stop - start)
        _verify(images, second, pairs[start:stop], motions[start:stop], out)
        return out

    scores = np.concatenate([np.empty(0), *in_parallel(block, len(pairs), BLOCK)])
    return np.asarray(np.round(scores, DECIMALS), np.float64)


@kernel
def _filter(grey: Any) -> Any:
    count, size = grey.shape[0], grey.shape[1]
    smooth, fine = np.empty_like(grey), np.empty(grey.shape, np.int8)
    half = np.empty((count, size // 2, size // 2), np.uint8)
    small = np.empty((size // 2, size // 2), np.uint8)
    once, twice = np.empty((size, size), np.int32), np.empty((size, size), np.int32)
    for n in range(count):
        _binomial(grey[n], smooth[n])
        for j in range(size // 2):
            for i in range(size // 2):
                total = np.int32(2)
                for v in range(2):
                    for u in range(2):
                        total += np.int32(grey[n, 2 * j + v, 2 * i + u])
                small[j, i] = total >> 2
        _binomial(small, half[n])
        _box(smooth[n], once)
        _box(once, twice)
        for j in range(size):
            for i in range(size):
                fine[n, j, i] = min(max(np.int32(smooth[n, j, i]) - twice[j, i], -127), 127)
    return smooth, half, fine


@kernel
def _binomial(image: Any, out: Any) -> None:
    size = image.shape[0]
    for j in range(size):
        up, down = max(j - 1, 0), min(j + 1, size - 1)
        for i in range(size):
            left, right = max(i - 1, 0), min(i + 1, size - 1)
            total = np.int32(8)
            for row, weight in ((up, 1), (j, 2), (down, 1)):
                total += weight * (
                    np.int32(image[row, left]) + 2 * np.int32(image[row, i]) + np.int32(image[row, right])
                )
            out[j, i] = total >> 4


@kernel
def _box(image: Any, out: Any) -> None:
    """Mean over 7 x 7 pixels, the border repeated."""
    size = image.shape[0]
    columns = np.empty((size, size), np.int32)
    for j in range(size):
        for i in range(size):
            total = np.int32(0)
            for v in range(-3, 4):
                total += np.int32(image[min(max(j + v, 0), size - 1), i])
            columns[j, i] = total
    for j in range(size):
        for i in range(size):
            total = np.int32(0)
            for u in range(-3, 4):
                total += columns[j, min(max(i + u, 0), size - 1)]
            out[j, i] = total // 49


@kernel
def _verify(first: Any, second: Any, pairs: Any, motions: Any, out: Any) -> None:
    rows = np.empty((6, first.smooth.shape[1] * first.smooth.shape[2]))
    system, motion = np.empty((5, 6)), np.empty(4)
    for q in range(len(pairs)):
        a, b = pairs[q, 0], pairs[q, 1]
        motion[:] = motions[q]
        likely = True
        for least in MIN_HALF:
            likely = likely and _step(first.half[a], second.half[b], motion, rows, system)
            likely = likely and overlap_correlation(first.half[a], second.half[b], motion, rows) >= least
        if not likely:
            continue
        for _ in range(FULL_STEPS):
            if not _step(first.smooth[a], second.smooth[b], motion, rows, system):
                break
            fine = overlap_correlation(first.fine[a], second.fine[b], motion, rows)
            out[q] = max(out[q], 1 - (1 - fine) * _weight(motion))
            if fine < HOPELESS:
                break


@kernel
def _weight(motion: Any) -> Any:
    """How much a lack of correlation counts: 1 for a new crop without a turn, 1 + DOUBT at most."""
    turned = (abs(motion[1]) / motion[0] - TURN_FREE) / (TURN_SUSPECT - TURN_FREE)
    zoom = max(motion[0], 1 / motion[0]) - 1
    shift = sqrt(motion[2] * motion[2] + motion[3] * motion[3])
    still = 2 * (1 - max(zoom / CROP_ZOOM, shift / CROP_SHIFT))
    return 1 + DOUBT * min(max(turned, still, 0.0), 1.0)


@kernel
def _step(a: Any, b: Any, motion: Any, rows: Any, system: Any) -> Any:
    """Improve the motion; False where it runs away from what crops of one photograph can be."""
    if not improve(a, b, motion, rows, system):
        return False
    near = max(abs(motion[2]), abs(motion[3])) < 14 and abs(motion[1]) < 0.25
    return near and 0.7 < motion[0] < 1.4


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
