"""Which drawn pictures of `sample` came out too like another one to pass for two photographs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from candid.data.download.sample_plant import zoom

LIMIT = 0.885
"""Correlation of thumbnails from which on two pictures are too alike. The best correlation of the whole
pictures then stays below 0.88; that of near-duplicates is above 0.92."""

_SCALES = (925, 1000, 1080)
_SHIFTS = (-6, -3, 0, 3, 6)
_MARGIN, _BLOCK, _LENGTH, _BATCH = 6, 4, 400, 25


def alike(images: NDArray[np.uint8], fresh: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find those of the `fresh` pictures that are too like an earlier one, or like any that is not fresh.

    Thumbnails of each fresh picture, at shifts up to 6 pixels and three scales, are correlated with those of
    the middles of all others. They hold whole numbers small enough for float32 to add them up exactly: the
    answer does not depend on the order in which a matrix product does that.

    Args:
        images: uint8, n x 48 x 48.
        fresh: ascending rows of `images`.

    Returns:
        Some of `fresh`, ascending.
    """
    others = _thumbnails(_block_sums(images), 0, 0).T
    rows = np.arange(len(images))
    settled = np.isin(rows, fresh, invert=True)
    found = np.zeros(len(fresh), bool)
    for start in range(0, len(fresh), _BATCH):
        some = fresh[start : start + _BATCH]
        views = _views(images[some])
        best = (views.reshape(-1, len(others)) @ others).reshape(*views.shape[:2], -1).max(axis=0)
        matters = settled[None, :] | (rows[None, :] < some[:, None])
        found[start : start + _BATCH] = ((best > LIMIT * _LENGTH * _LENGTH) & matters).any(axis=1)
    return fresh[found]


def _views(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Take each picture's thumbnails at all scales and shifts: views x n x 81."""
    scaled = [_block_sums(zoom(images, scale)) for scale in _SCALES]
    return np.stack(
        [_thumbnails(sums, down, across) for sums in scaled for down in _SHIFTS for across in _SHIFTS]
    )


def _block_sums(images: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Sum the block of 4x4 pixels that begins at each pixel."""
    wide = images.astype(np.int32)
    across = wide[:, :, :-3] + wide[:, :, 1:-2] + wide[:, :, 2:-1] + wide[:, :, 3:]
    sums: NDArray[np.int32] = across[:, :-3] + across[:, 1:-2] + across[:, 2:-1] + across[:, 3:]
    return sums


def _thumbnails(sums: NDArray[np.int32], down: int, across: int) -> NDArray[np.float32]:
    """Take the 9x9 blocks of the picture's middle, moved: whole numbers, mean 0, length about _LENGTH."""
    end = sums.shape[1] - _MARGIN
    rows, columns = (slice(_MARGIN + by, end + by, _BLOCK) for by in (down, across))
    blocks = sums[:, rows, columns].reshape(len(sums), -1).astype(np.int64)
    blocks = blocks * blocks.shape[1] - blocks.sum(axis=1, keepdims=True)
    length = np.sqrt((blocks * blocks).sum(axis=1, keepdims=True).astype(np.float64))
    whole: NDArray[np.float32] = np.rint(blocks * (_LENGTH / np.maximum(length, 1.0))).astype(np.float32)
    return whole
