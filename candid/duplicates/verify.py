"""Is it the same photograph? The correlation of fine structure once two images lie over each other.

What falls short of full correlation counts for more where the best fit is suspect. Copies are cut anew,
zoomed and re-encoded, but hardly ever turned; and a copy cut just the same has little reason to differ at
all. Two photographs of one person, brought to the same place by a face detector, are the opposite: the best
fit of one over the other needs no new crop, but mostly a turn of some degrees. The measurements are in
docs/near-duplicates.md.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from candid.duplicates.align import improve, overlap_correlation
from candid.duplicates.kernels import in_parallel, kernel

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
        motions: P x 4, where to start: how b lies over a, within some 3 pixels; see candid.duplicates.align.
        others: where each b is taken from, e.g. mirrored images; default: `images`.

    A pair the other way round starts elsewhere and may differ in the last decimals: callers that want one
    answer order their pairs by content, as `find_duplicates` does.
    """
    second = images if others is None else others

    def block(start: int, stop: int) -> NDArray[np.float64]:
        out = np.zeros(stop - start)
        _verify(*images, *second, pairs[start:stop], motions[start:stop], out)
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
def _verify(
    smooth_a: Any, half_a: Any, fine_a: Any, smooth_b: Any, half_b: Any, fine_b: Any,
    pairs: Any, motions: Any, out: Any,
) -> None:  # fmt: skip
    rows = np.empty((6, smooth_a.shape[1] * smooth_a.shape[2]))
    system, motion = np.empty((5, 6)), np.empty(4)
    for q in range(len(pairs)):
        a, b = pairs[q, 0], pairs[q, 1]
        motion[:] = motions[q]
        likely = True
        for least in MIN_HALF:
            likely = likely and _step(half_a[a], half_b[b], motion, rows, system)
            likely = likely and overlap_correlation(half_a[a], half_b[b], motion, rows) >= least
        if not likely:
            continue
        for _ in range(FULL_STEPS):
            if not _step(smooth_a[a], smooth_b[b], motion, rows, system):
                break
            fine = overlap_correlation(fine_a[a], fine_b[b], motion, rows)
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
