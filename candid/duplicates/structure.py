"""What alignment reads of each image: smoothed, at half size, and its fine structure.

All of it is whole numbers, and the few roots and quotients are plain IEEE 754, so that it is the same on
every machine.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from candid.duplicates.kernels import in_parallel, kernel

CELL = 8  # pixels, the side of a cell: 36 of an image, compared each by itself
NOISE = 6.0  # grey levels; fine structure much weaker than this is not raised to the strength of the rest
EVENED = 48.0  # strength to which it is
CORNERS = 25  # mean square slope of fine structure along its lesser axis; below, a cell shows but lines


class Prepared(NamedTuple):
    """What the verifier reads of each image, N x size x size."""

    smooth: NDArray[np.uint8]
    half: NDArray[np.uint8]  # smoothed, at half size
    fine: NDArray[np.int8]  # fine structure: smoothed less its surroundings
    corners: NDArray[np.bool_]  # N x cells: which of them show more than straight lines


def prepare(grey: NDArray[np.uint8], rows: NDArray[np.int64] | None = None) -> Prepared:
    """Smoothed, halved and high-passed versions of N x S x S images, or of some rows of these.

    They take 5 KiB an image of 48 pixels.
    """
    count, size = len(grey) if rows is None else len(rows), grey.shape[1]
    out = Prepared(
        np.empty((count, size, size), np.uint8),
        np.empty((count, size // 2, size // 2), np.uint8),
        np.empty((count, size, size), np.int8),
        np.empty((count, (size // CELL) ** 2), np.bool_),
    )

    def block(start: int, stop: int) -> None:
        here = slice(start, stop)
        some = grey[here] if rows is None else grey[rows[here]]
        out.smooth[here], out.fine[here] = _filter(some)
        out.half[here], out.corners[here] = _halves(some), _corners(out.fine[here])

    in_parallel(block, count, 1024)
    return out


def halves(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """N x S x S images, smoothed at half size."""
    blocks = in_parallel(lambda start, stop: _halves(grey[start:stop]), len(grey), 1024)
    return np.concatenate(blocks or [_halves(grey)])


@kernel
def _halves(grey: Any) -> Any:
    count, size = grey.shape[0], grey.shape[1]
    half = np.empty((count, size // 2, size // 2), np.uint8)
    small = np.empty((size // 2, size // 2), np.uint8)
    for n in range(count):
        for j in range(size // 2):
            for i in range(size // 2):
                total = np.int32(grey[n, 2 * j : 2 * j + 2, 2 * i : 2 * i + 2].sum())
                small[j, i] = (total + 2) >> 2
        _binomial(small, half[n])
    return half


@kernel
def _filter(grey: Any) -> Any:
    count, size = grey.shape[0], grey.shape[1]
    smooth, fine = np.empty_like(grey), np.empty(grey.shape, np.int8)
    once, twice = np.empty((size, size), np.int32), np.empty((size, size), np.int32)
    power = np.empty((size, size), np.int32)
    for n in range(count):
        _binomial(grey[n], smooth[n])
        _box(smooth[n], once)
        _box(once, twice)
        for j in range(size):
            for i in range(size):
                twice[j, i] = np.int32(smooth[n, j, i]) - twice[j, i]
                once[j, i] = twice[j, i] * twice[j, i]
        _box(once, power)
        for j in range(size):
            for i in range(size):
                contrast = sqrt(max(power[j, i], 0)) + NOISE
                fine[n, j, i] = min(max(np.int32(round(EVENED * twice[j, i] / contrast)), -127), 127)
    return smooth, fine


def _corners(fine: Any) -> Any:
    across, down, both = np.moveaxis(slopes(fine), -1, 0)
    across, down = across - CORNERS, down - CORNERS
    return (np.minimum(across, down) >= 0) & (across * down >= both * both)


@kernel
def slopes(fine: Any) -> Any:
    """Mean squares of the slope of fine structure across and down, and their product, N x cells x 3."""
    count, size = fine.shape[0], fine.shape[1]
    across_all = size // CELL
    out = np.zeros((count, across_all * across_all, 3))
    for n in range(count):
        for j in range(1, size - 1):
            for i in range(1, size - 1):
                across = np.int64(fine[n, j, i + 1]) - fine[n, j, i - 1]
                down = np.int64(fine[n, j + 1, i]) - fine[n, j - 1, i]
                c = j // CELL * across_all + i // CELL
                out[n, c, 0] += across * across
                out[n, c, 1] += down * down
                out[n, c, 2] += across * down
    return out / (4 * CELL * CELL)  # slopes are taken over two pixels


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
    """Mean over 7 x 7 pixels; beyond the border a slope goes on evenly, so that it shows no structure."""
    size = image.shape[0]
    tall, wide = np.empty((size + 6, size), np.int32), np.empty(size + 6, np.int32)
    tall[3:-3] = image
    for k in range(1, 4):
        for i in range(size):
            tall[3 - k, i] = 2 * tall[3, i] - tall[3 + k, i]
            tall[size + 2 + k, i] = 2 * tall[size + 2, i] - tall[size + 2 - k, i]
    for j in range(size):
        line = wide[3:-3]
        line[:] = 0
        for v in range(7):
            row = tall[j + v]
            for i in range(size):
                line[i] += row[i]
        for k in range(1, 4):
            wide[3 - k] = 2 * line[0] - line[k]
            wide[size + 2 + k] = 2 * line[-1] - line[size - 1 - k]
        into = out[j]
        for i in range(size):
            total = np.int32(24)
            for u in range(7):
                total = np.int32(total + wide[i + u])
            into[i] = np.floor((total + 0.5) * (1 / 49))  # as total // 49, which is slow
