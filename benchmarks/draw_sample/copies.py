"""Near-duplicates of the sample, as they turn up on the web; all in integer arithmetic."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.draw_sample.face import middle
from benchmarks.draw_sample.laws import Stream

Image = NDArray[np.uint8]

CHANGES = (
    *("exact", "reencoded", "shifted", "zoomed", "brightened", "shifted+reencoded", "zoomed+reencoded"),
    *("brightened+reencoded", "zoomed+shifted", "shifted+brightened", "zoomed+brightened+reencoded"),
)
"""What is done to a copy, in this order; copies take the rows in turn."""

MISLABELLED_EVERY = 6  # one copy in so many stands under a wrong label
_BASIS = np.rint(4096 * np.cos((2 * np.arange(8) + 1) * np.arange(8)[:, None] * np.pi / 16)).astype(np.int64)
_BASIS[0] = 2896
"""The 8 x 8 matrix of the DCT in fixed point: 8192 times its orthonormal form. No cosine lies near a half."""

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


class Copy(NamedTuple):
    """One planted copy: of which original, its pixels, what was done, and whether its label is wrong."""

    original: int
    image: Image
    kind: str
    mislabelled: bool


def plant(frames: Image, pairs: int, triples: int, stream: Stream) -> list[Copy]:
    """Copy some of the pictures, `pairs` of them once, `triples` twice: the pairs + 2 * triples copies.

    `frames`: uint8, n x FRAME x FRAME; the pictures are their middles.
    """
    chosen = stream.order(len(frames))[: pairs + triples].tolist()
    copies = []
    for turn, original in enumerate(chosen + chosen[:triples]):
        changes = CHANGES[turn % len(CHANGES)]
        frame = frames[original]
        for change in changes.split("+"):
            frame = _change(frame, change, stream)
        wrong = turn % MISLABELLED_EVERY == MISLABELLED_EVERY - 1
        copies.append(Copy(original, middle(frame), changes + "+mislabelled" * wrong, wrong))
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
    height, width = image.shape
    blocks = image.astype(np.int64).reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2) - 128
    half = 1 << 25  # to round what is divided by the square of 8192
    frequencies = (_BASIS @ blocks @ _BASIS.T + half) >> 26
    levels = np.sign(frequencies) * ((np.abs(frequencies) + quanta // 2) // quanta) * quanta
    blocks = np.asarray(((_BASIS.T @ levels @ _BASIS + half) >> 26) + 128)
    return np.clip(blocks, 0, 255).swapaxes(1, 2).reshape(height, width).astype(np.uint8)
