"""Near-duplicates of the sample: copies as they turn up on the web, and faces that came out too much alike.

All in integer arithmetic, or in whole numbers small enough for float32 to add them up exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.draw_sample.face import middle
from benchmarks.draw_sample.laws import Stream

Image = NDArray[np.uint8]

CHANGES = (
    ("exact",),
    ("reencoded",),
    ("shifted",),
    ("zoomed",),
    ("brightened",),
    ("shifted", "reencoded"),
    ("zoomed", "reencoded"),
    ("brightened", "reencoded"),
    ("zoomed", "shifted"),
    ("shifted", "brightened"),
    ("zoomed", "brightened", "reencoded"),
)
"""What is done to a copy, in this order; copies take the rows in turn."""

MISLABELLED_EVERY = 6
"""One copy in so many stands under a wrong label."""

_COSINES = (2896, 4017, 3784, 3406, 2896, 2276, 1567, 799)
"""The 8-point DCT in fixed point: 8192 * cos(k * pi / 16) / 2, and for k = 0 that over sqrt(2)."""

_QUANTA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Luminance quantisation of JPEG (ITU-T T.81, table K.1)."""


@dataclass(frozen=True)
class Copy:
    """One planted copy: of which original, its pixels, what was done, and whether its label is wrong."""

    original: int
    image: Image
    kind: str
    mislabelled: bool


def plant(frames: Image, pairs: int, triples: int, stream: Stream) -> list[Copy]:
    """Copy some of the pictures: `pairs` of them once, `triples` twice.

    Args:
        frames: uint8, n x FRAME x FRAME; the pictures are their middles.

    Returns:
        The pairs + 2 * triples copies.
    """
    chosen = stream.order(len(frames))[: pairs + triples].tolist()
    copies = []
    for turn, original in enumerate(chosen + chosen[:triples]):
        changes = CHANGES[turn % len(CHANGES)]
        frame = frames[original]
        for change in changes:
            frame = _change(frame, change, stream)
        wrong = turn % MISLABELLED_EVERY == MISLABELLED_EVERY - 1
        copies.append(Copy(original, middle(frame), "+".join((*changes, *["mislabelled"] * wrong)), wrong))
    return copies


def _change(image: Image, change: str, stream: Stream) -> Image:
    first, second = stream.below(1 << 16, 2).tolist()
    if change == "shifted":
        far, near = 1 + first % 4, second % 9 - 4
        across, down = (far, near) if second & 256 else (near, far)
        return shift(image, across if first & 256 else -across, down if first & 512 else -down)
    if change == "zoomed":
        share = 30 + first % 51
        return zoom(image, 1000 + (share if second & 1 else -share))
    if change == "brightened":
        up = int(image.sum(dtype=np.int64)) < 118 * image.size  # away from the end where it would be cut off
        return brighten(image, (1040 if up else 720) + first % 200, 4 + second % 24 if up else -(second % 20))
    return reencode(image, 40 + first % 41) if change == "reencoded" else image


def shift(image: Image, across: int, down: int) -> Image:
    """Move the picture by whole pixels, right and down; its edge is repeated."""
    height, width = image.shape
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - across, 0, width - 1)
    return image[rows[:, None], columns]


def zoom(image: Image, thousandths: int) -> Image:
    """Enlarge pictures (... x height x width) about their middle, bilinear; below 1000 edges are repeated."""
    once = _zoom_rows(image.astype(np.int32), thousandths).swapaxes(-1, -2)
    twice = _zoom_rows(once, thousandths).swapaxes(-1, -2)
    return ((twice + (1 << 15)) >> 16).astype(np.uint8)


def _zoom_rows(image: NDArray[np.int32], thousandths: int) -> NDArray[np.int32]:
    """Interpolate between rows; the result is 256 times as large."""
    size = image.shape[-2]
    middle = 2 * np.arange(size, dtype=np.int64) + 1 - size  # in half pixels
    where = (middle * 1000 * 128) // thousandths + (size - 1) * 128
    where = np.clip(where, 0, (size - 1) * 256)
    low = np.minimum(where >> 8, size - 2)
    weight = (where - (low << 8)).astype(np.int32)[:, None]
    between: NDArray[np.int32] = image[..., low, :] * (256 - weight) + image[..., low + 1, :] * weight
    return between


def brighten(image: Image, gain: int, offset: int) -> Image:
    """Multiply by gain / 1000 and add the offset (grey levels)."""
    return np.clip(image.astype(np.int64) * gain // 1000 + offset, 0, 255).astype(np.uint8)


def reencode(image: Image, quality: int) -> Image:
    """Lose what JPEG would lose at this quality (1 to 100): the 8x8 DCT, quantised, and back.

    The transform is in fixed point and the table is scaled as the Independent JPEG Group does, so the result
    looks like libjpeg's without depending on its version.
    """
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    quanta = np.clip((np.array(_QUANTA) * scale + 50) // 100, 1, 255).astype(np.int64)
    basis = _basis()
    height, width = image.shape
    blocks = image.astype(np.int64).reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2) - 128
    frequencies = _round_shift(basis @ blocks @ basis.T, 26)
    half = quanta // 2
    levels = np.sign(frequencies) * ((np.abs(frequencies) + half) // quanta) * quanta
    blocks = _round_shift(basis.T @ levels @ basis, 26) + 128
    return np.clip(blocks, 0, 255).swapaxes(1, 2).reshape(height, width).astype(np.uint8)


def _round_shift(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    return (values + (1 << (bits - 1))) >> bits


def _basis() -> NDArray[np.int64]:
    """The 8 x 8 matrix of the DCT times 8192: cos((2x + 1) k pi / 16) by the cosine's symmetries."""
    basis = np.zeros((8, 8), np.int64)
    for k in range(8):
        for x in range(8):
            turn = (2 * x + 1) * k % 32
            turn = min(turn, 32 - turn)
            basis[k, x] = _COSINES[turn] if turn < 8 else 0 if turn == 8 else -_COSINES[16 - turn]
    return basis


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
