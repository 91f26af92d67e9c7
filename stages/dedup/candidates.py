"""Pairs worth verifying: images of which a shifted or scaled crop looks like the other's centre."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.dedup.kernels import kernel
from stages.dedup.views import RADIUS, features, search_views

BLOCK = 2048  # images a side of one matrix product: 16 MiB of products
MIN_CORRELATION = 0.88  # of thumbnails


def thumbnail_pairs(
    grey: NDArray[np.uint8], mirrored: NDArray[np.uint8] | None = None, least: float = MIN_CORRELATION
) -> NDArray[np.int64]:
    """All pairs of images of which some crop correlates with the other's centre by `least` or more.

    Args:
        grey: uint8, N x SIZE x SIZE.
        mirrored: the images in which the crops are taken, where these are not `grey` itself.
        least: correlation of the thumbnails.

    Returns:
        P x 2 rows of `grey`, a < b, sorted, each pair once. Time grows with the square of N.
    """
    views = search_views()
    base = features(grey, views[0])
    keys = []
    for view in views:
        crops = (
            base
            if mirrored is None and view == views[0]
            else features(grey if mirrored is None else mirrored, view)
        )
        keys.append(_unique_keys(_matches(crops, base, int(least * RADIUS**2)), len(grey)))
    joined = np.unique(np.concatenate(keys))
    return np.stack([joined // len(grey), joined % len(grey)], axis=1)


def _matches(crops: NDArray[np.float32], base: NDArray[np.float32], least: int) -> NDArray[np.int32]:
    found = []
    for i in range(0, len(crops), BLOCK):
        first = i if crops is base else 0  # the product of a matrix with itself is symmetric
        for j in range(first, len(base), BLOCK):
            found.append(_at_least(crops[i : i + BLOCK] @ base[j : j + BLOCK].T, np.float32(least), i, j))
    return np.concatenate(found)


def _unique_keys(pairs: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    low, high = pairs.min(axis=1).astype(np.int64), pairs.max(axis=1).astype(np.int64)
    return np.unique((low * count + high)[low != high])


@kernel
def _at_least(products: Any, least: Any, first_row: int, first_column: int) -> Any:
    out = np.empty((256, 2), np.int32)
    n = 0
    for i in range(products.shape[0]):
        row = products[i]
        for j in range(products.shape[1]):
            if row[j] >= least:
                if n == len(out):
                    grown = np.empty((2 * n, 2), np.int32)
                    grown[:n] = out
                    out = grown
                out[n, 0] = first_row + i
                out[n, 1] = first_column + j
                n += 1
    return out[:n].copy()
