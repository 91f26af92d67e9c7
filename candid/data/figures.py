"""Figures of a face that show how it was altered, and from which no face can be rebuilt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from candid.data.images import resized

SIDE = 48  # pixels a side at which faces are compared, whatever data.image_size is
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
QUANTILES = [f"q{percent:02}" for percent in PERCENTILES]
_NUMBERS = ("mean", *QUANTILES, "low", "high", "fine", "coarse")
FIGURES = np.dtype([("hash", np.uint64), *((name, np.float64) for name in _NUMBERS)])
"""Of a face: signs of 64 low DCT coefficients; mean and quantiles of its grey levels; shares of pixels at
most END_LEVELS above the 1 % and below the 99 % quantile; gradient energy: mean square of the steps between
neighbouring pixels, down plus across, and between neighbouring means of 4 x 4 pixels."""
END_LEVELS = 4  # grey levels within which pixels count as piled up at the dark or the bright end
_ORDERS = [(u, v) for u in range(11) for v in range(11) if 0 < u + v <= 10 and (u, v) != (5, 5)]
_ROWS, _COLUMNS = np.array(_ORDERS).T
_DCT = np.round(1024 * np.cos(np.arange(11)[:, None] * (2 * np.arange(SIDE) + 1) * np.pi / (2 * SIDE)))
"""The first 11 rows of the DCT, rounded to 1/1024: integer sums are exact on every machine."""
_CHUNK = 1024  # faces hashed at a time: 18 MiB as float64

Faces = NDArray[np.uint8]
Figures = NDArray[np.void]  # N of FIGURES
Hashes = NDArray[np.uint64]
Window = tuple[float, float]  # start and end, as fractions of a side


def measure(faces: Faces) -> Figures:
    """Measure faces: uint8, N x SIDE x SIDE.

    Example:
        >>> measure(np.zeros((1, 48, 48), np.uint8))["high"]
        array([1.])
    """
    pixels = SIDE * SIDE
    cells = faces.reshape(len(faces), pixels) + 256 * np.arange(len(faces))[:, None]
    counts = np.bincount(cells.ravel(), minlength=256 * len(faces)).reshape(len(faces), 256)
    below = counts.cumsum(axis=1)
    figures = np.empty(len(faces), FIGURES)
    figures["hash"] = hash_faces(faces)
    figures["mean"] = counts @ np.arange(256) / pixels
    quantiles = [(below > round(percent / 100 * (pixels - 1))).argmax(axis=1) for percent in PERCENTILES]
    for name, levels in zip(QUANTILES, quantiles, strict=True):
        figures[name] = levels
    rows = np.arange(len(faces))
    bright = np.maximum(quantiles[-1] - END_LEVELS, 0)
    figures["low"] = below[rows, np.minimum(quantiles[0] + END_LEVELS, 255)] / pixels
    figures["high"] = (pixels - below[rows, bright] + counts[rows, bright]) / pixels
    blocks = faces.reshape(len(faces), SIDE // 4, 4, SIDE // 4, 4)
    means = np.einsum("nabcd->nac", blocks, dtype=np.int32) / 16
    for name, grid in (("fine", faces.astype(np.int32)), ("coarse", means)):
        figures[name] = sum((np.diff(grid, axis=axis) ** 2).mean(axis=(1, 2)) for axis in (1, 2))
    return figures


def hash_faces(faces: Faces) -> Hashes:
    """Hash faces (uint8, N x SIDE x SIDE) by 64 bits, few of which change with tone, blur or re-encoding.

    Each bit is the sign of a coefficient of the two-dimensional discrete cosine transform of at most ten half
    waves in all; without the magnitudes it doesn't depend on brightness and contrast. After the phash of
    imagehash, which compares with the median.
    """
    starts = range(0, len(faces), _CHUNK)
    bits = [_signs(_DCT @ faces[start : start + _CHUNK].astype(np.float64) @ _DCT.T) for start in starts]
    return np.concatenate([np.empty(0, np.uint64), *bits])


def hash_within(
    faces: Faces, rows: Sequence[Window], columns: Sequence[Window]
) -> Iterator[tuple[Window, Window, Hashes]]:
    """Hash faces (uint8, N x SIDE x SIDE, N up to some 1,000) as parts cut out of a picture and stretched.

    `rows` and `columns`: where the part may have been in the picture: each of the one is tried with each of
    the other. What is missing is filled with the part's edge.
    """
    pixels = faces.astype(np.float64)
    downs = [_DCT @ _into(window) for window in rows]
    for across in columns:
        halfway = pixels @ (_DCT @ _into(across)).T
        for window, down in zip(rows, downs, strict=True):
            yield window, across, _signs(down @ halfway)


def hash_turned(faces: Faces) -> dict[str, list[Hashes]]:
    """Hash the pictures before they were mirrored or turned: kind -> hashes of each way that this is done."""
    flips = [faces, faces[:, :, ::-1], faces[:, ::-1], faces[:, ::-1, ::-1]]
    ways = [hash_faces(way) for way in (*flips[1:], *(flip.swapaxes(1, 2) for flip in flips))]
    return {"mirrored": ways[:1], "turned": ways[1:]}


def distance_bits(a: Hashes, b: Hashes) -> NDArray[np.uint8]:
    """Bits in which hashes differ, 0 to 64; for hashes of unrelated faces 30 on average."""
    return np.asarray(np.bitwise_count(a ^ b), np.uint8)


def nearest(hashes: Hashes, others: Hashes) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """For each hash the nearest of `others` (at least one): its index, the first of equals, and the bits."""
    index = np.empty(len(hashes), np.int64)
    bits = np.empty(len(hashes), np.uint8)
    for start in range(0, len(hashes), 64):
        rows = slice(start, start + 64)
        distances = distance_bits(hashes[rows, None], others[None])
        index[rows] = distances.argmin(axis=1)
        bits[rows] = distances.min(axis=1)
    return index, bits


def shrink(images: NDArray[np.uint8]) -> Faces:
    """Faces that ingest decoded, N x H x W or N x H x W x 3, as grey of SIDE x SIDE.

    Exact enough for a hash; the other figures want a face that was decoded at this size.
    """
    if images.shape[1:] == (SIDE, SIDE):
        return images
    faces = [resized(Image.fromarray(image), SIDE, "grey") for image in images]
    return np.array(faces, np.uint8).reshape(-1, SIDE, SIDE)


def hash_images(images: NDArray[np.uint8]) -> Hashes:
    """Hash all the faces that ingest decoded, N x H x W or N x H x W x 3."""
    return hash_faces(shrink(images))


def _signs(coefficients: NDArray[np.float64]) -> Hashes:
    return _pack(coefficients[:, _ROWS, _COLUMNS] > 0)


def _pack(bits: NDArray[np.bool_]) -> Hashes:
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(">u8").astype(np.uint64)[:, 0]


def _into(window: Window) -> NDArray[Any]:
    """SIDE x SIDE matrix that squeezes a line of pixels into a window of it and repeats the ends outside."""
    start, end = (SIDE * fraction for fraction in window)
    middle = np.clip((np.arange(SIDE) + 0.5 - start) * SIDE / (end - start) - 0.5, 0, SIDE - 1)
    return np.asarray(np.maximum(1 - np.abs(middle[:, None] - np.arange(SIDE)), 0))


MIRROR_BITS = _pack((_COLUMNS % 2 == 1)[None])[0]  # the bits of a hash that mirroring turns over
