"""Is it the same photograph? The correlation of fine structure once two images lie over each other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.dedup.align import coarse, correlation, improve, overlay, zoomed_thumbnails
from stages.dedup.kernels import in_parallel, kernel

STEPS = 3  # Gauss-Newton steps at half and at full size
MIN_COARSE = 0.7  # below this correlation of aligned thumbnails no pair of the same photograph was seen
DECIMALS = 4
BLOCK = 256  # pairs at a time


class Prepared(NamedTuple):
    """What the verifier reads of each image, uint8 but for `fine` (int8)."""

    grey: NDArray[np.uint8]
    smooth: NDArray[np.uint8]
    half: NDArray[np.uint8]
    fine: NDArray[np.int8]
    thumbs: NDArray[np.uint8]


def prepare(grey: NDArray[np.uint8]) -> Prepared:
    """Smoothed, halved and high-passed versions of N x 48 x 48 images (about 8 KiB an image)."""

    def block(start: int, stop: int) -> tuple[Any, Any, Any, Any]:
        smooth, half, fine = _filter(grey[start:stop])
        return smooth, half, fine, zoomed_thumbnails(smooth)

    blocks = in_parallel(block, len(grey), 1024)
    if not blocks:
        blocks = [block(0, 0)]
    smooth, half, fine, thumbs = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return Prepared(grey, smooth, half, fine, thumbs)


def similarities(
    images: Prepared, pairs: NDArray[np.int64], others: Prepared | None = None
) -> NDArray[np.float64]:
    """Similarity of each pair of rows, 0 to 1, rounded to DECIMALS; symmetric in its arguments.

    Args:
        images: from `prepare`.
        pairs: P x 2 rows.
        others: where the second row of each pair is taken from, e.g. mirrored images; default: `images`.
    """
    second = images if others is None else others

    def block(start: int, stop: int) -> NDArray[np.float64]:
        out = np.zeros(stop - start)
        _verify(*images, *second, pairs[start:stop], out)
        return out

    found = in_parallel(block, len(pairs), BLOCK)
    scores = np.concatenate([np.empty(0), *found])
    return np.asarray(np.round(np.maximum(scores, 0), DECIMALS), np.float64)


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
    grey_a: Any, smooth_a: Any, half_a: Any, fine_a: Any, thumbs_a: Any,
    grey_b: Any, smooth_b: Any, half_b: Any, fine_b: Any, thumbs_b: Any, pairs: Any, out: Any,
) -> None:  # fmt: skip
    rows = np.empty((6, grey_a.shape[1] * grey_a.shape[2]), np.int32)
    system, motion, start = np.empty((5, 6)), np.zeros(4), np.zeros(4)
    for q in range(len(pairs)):
        a, b = pairs[q, 0], pairs[q, 1]
        if _comes_first(grey_b[b], grey_a[a]):  # so that (a, b) and (b, a) are the same question
            out[q] = _similarity(
                smooth_b[b], half_b[b], fine_b[b], thumbs_b[b],
                smooth_a[a], half_a[a], fine_a[a], thumbs_a[a], rows, system, motion, start,
            )  # fmt: skip
        else:
            out[q] = _similarity(
                smooth_a[a], half_a[a], fine_a[a], thumbs_a[a],
                smooth_b[b], half_b[b], fine_b[b], thumbs_b[b], rows, system, motion, start,
            )  # fmt: skip


@kernel
def _comes_first(a: Any, b: Any) -> bool:
    for j in range(a.shape[0]):
        for i in range(a.shape[1]):
            if a[j, i] != b[j, i]:
                return bool(a[j, i] < b[j, i])
    return False


@kernel
def _similarity(
    smooth_a: Any, half_a: Any, fine_a: Any, thumbs_a: Any,
    smooth_b: Any, half_b: Any, fine_b: Any, thumbs_b: Any,
    rows: Any, system: Any, motion: Any, start: Any,
) -> Any:  # fmt: skip
    if coarse(thumbs_a, thumbs_b, motion) < MIN_COARSE:
        return 0.0
    start[:] = motion
    kept = True
    for _ in range(STEPS):
        kept = kept and improve(half_a, half_b, motion, rows, system)
    for _ in range(STEPS):
        kept = kept and improve(smooth_a, smooth_b, motion, rows, system)
    far = max(abs(motion[2]), abs(motion[3])) > 14 or abs(motion[1]) > 0.25 or not 0.7 < motion[0] < 1.4
    if far or not kept:
        motion[:] = start
    n = overlay(fine_a, fine_b, motion, rows)
    sa = sb = saa = sbb = sab = np.int64(0)
    for k in range(n):
        p, r = np.int64(rows[0, k]), np.int64(rows[1, k])
        sa += p
        sb += r
        saa += p * p
        sbb += r * r
        sab += p * r
    return correlation(n, sa, sb, saa, sbb, sab)
