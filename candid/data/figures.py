"""Figures of a face that show how it was altered, and from which no face can be rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 48
"""Pixels a side at which faces are compared, whatever data.image_size is."""
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
END_LEVELS = 4
"""Grey levels within which pixels count as piled up at the dark or the bright end."""

_ORDERS = [(u, v) for u in range(11) for v in range(11) if 0 < u + v <= 10 and (u, v) != (5, 5)]
_ROWS, _COLUMNS = np.array(_ORDERS).T
_CHUNK = 1024
"""Faces hashed at a time: 18 MiB as float64."""

Faces = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
Window = tuple[float, float]
"""Start and end, as fractions of a side."""


def _cosines() -> NDArray[np.float64]:
    """The first 11 rows of the DCT, rounded to 1/1024: integer sums are exact on every machine."""
    positions = (2 * np.arange(SIDE) + 1) * np.pi / (2 * SIDE)
    return np.round(1024 * np.cos(np.arange(11)[:, None] * positions))


_DCT = _cosines()


@dataclass(frozen=True)
class Figures:
    """Figures of N faces."""

    hash: Hashes
    """Signs of 64 low DCT coefficients (without the mean)."""
    mean: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    """N x 7, grey levels at PERCENTILES."""
    low: NDArray[np.float64]
    """Share of pixels at most END_LEVELS above the 1 % quantile."""
    high: NDArray[np.float64]
    """Share of pixels at most END_LEVELS below the 99 % quantile."""
    fine: NDArray[np.float64]
    """Gradient energy: mean square of the steps between neighbouring pixels, down plus across."""
    coarse: NDArray[np.float64]
    """The same between neighbouring means of 4 x 4 pixels."""

    def take(self, rows: NDArray[Any]) -> Figures:
        """The figures of some of the faces, by index or mask."""
        return Figures(*(getattr(self, field.name)[rows] for field in fields(self)))


def measure(faces: Faces) -> Figures:
    """Measure faces.

    Args:
        faces: uint8, N x SIDE x SIDE.

    Example:
        >>> measure(np.zeros((1, 48, 48), np.uint8)).high
        array([1.])
    """
    counts = _histograms(faces)
    below = counts.cumsum(axis=1)
    pixels = SIDE * SIDE
    ranks = [round(percent / 100 * (pixels - 1)) for percent in PERCENTILES]
    quantiles = np.stack([(below > rank).argmax(axis=1) for rank in ranks], axis=1)
    dark = np.minimum(quantiles[:, 0] + END_LEVELS, 255)
    bright = np.maximum(quantiles[:, -1] - END_LEVELS, 0)
    rows = np.arange(len(faces))
    blocks = faces.reshape(len(faces), SIDE // 4, 4, SIDE // 4, 4)
    means = np.einsum("nabcd->nac", blocks, dtype=np.int32) / 16
    return Figures(
        hash_faces(faces),
        counts @ np.arange(256) / pixels,
        quantiles.astype(np.float64),
        below[rows, dark] / pixels,
        (pixels - below[rows, bright] + counts[rows, bright]) / pixels,
        _gradient_energy(faces.astype(np.int32)),
        _gradient_energy(means),
    )


def hash_faces(faces: Faces) -> Hashes:
    """Perceptual hash: 64 bits a face, few of which change with tone, blur or re-encoding.

    Args:
        faces: uint8, N x SIDE x SIDE.

    Each bit is the sign of a coefficient of the two-dimensional discrete cosine transform of at most ten half
    waves in all; without the magnitudes it doesn't depend on brightness and contrast. After the phash of
    imagehash, which compares with the median.
    """
    bits = [
        (_DCT @ faces[start : start + _CHUNK].astype(np.float64) @ _DCT.T)[:, _ROWS, _COLUMNS] > 0
        for start in range(0, len(faces), _CHUNK)
    ]
    return _pack(np.concatenate(bits)) if bits else np.empty(0, np.uint64)


def hash_within(faces: Faces, rows: Window, columns: Window) -> Hashes:
    """Hash faces as though each were a part that was cut out of a picture and stretched.

    Args:
        faces: uint8, N x SIDE x SIDE.
        rows, columns: where the part was in the picture. What is missing is filled with the part's edge.
    """
    return next(hash_within_each(faces, [rows], [columns]))[2]


def hash_within_each(
    faces: Faces, rows: Sequence[Window], columns: Sequence[Window]
) -> Iterator[tuple[Window, Window, Hashes]]:
    """hash_within for each of `rows` with each of `columns`; N at most some 1,000."""
    pixels = faces.astype(np.float64)
    downs = [_DCT @ _into(window) for window in rows]
    for across in columns:
        halfway = pixels @ (_DCT @ _into(across)).T
        for window, down in zip(rows, downs, strict=True):
            yield window, across, _pack((down @ halfway)[:, _ROWS, _COLUMNS] > 0)


def hash_turned(faces: Faces) -> dict[str, list[Hashes]]:
    """Hash faces as though each had been mirrored or turned: the hashes of the pictures before that.

    Returns:
        kind -> hashes of each way in which it can have been done.
    """
    ways: dict[str, list[Callable[[Faces], Faces]]] = {
        "mirrored": [lambda faces: faces[:, :, ::-1]],
        "turned": [
            lambda faces: faces[:, ::-1],
            lambda faces: faces[:, ::-1, ::-1],
            lambda faces: faces.swapaxes(1, 2),
            lambda faces: faces.swapaxes(1, 2)[:, ::-1],
            lambda faces: faces.swapaxes(1, 2)[:, :, ::-1],
            lambda faces: faces.swapaxes(1, 2)[:, ::-1, ::-1],
        ],
    }
    return {kind: [hash_faces(undo(faces)) for undo in undos] for kind, undos in ways.items()}


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


def shrink(images: NDArray[np.uint8], rows: slice) -> Faces:
    """Some of the faces that ingest decoded, N x H x W or N x H x W x 3, as grey of SIDE x SIDE for a hash.

    By means over areas: exact enough for a hash, not for the other figures.
    """
    chosen = images[rows]
    if chosen.ndim == 4:
        chosen = chosen.mean(axis=3).astype(np.uint8)
    if chosen.shape[1:] == (SIDE, SIDE):
        return chosen
    down, across = (_averages(length) for length in chosen.shape[1:])
    return np.round(down @ chosen.astype(np.float64) @ across.T).astype(np.uint8)


def hash_images(images: NDArray[np.uint8]) -> Hashes:
    """Hash all the faces that ingest decoded, N x H x W or N x H x W x 3."""
    starts = range(0, len(images), _CHUNK)
    hashes = [hash_faces(shrink(images, slice(start, start + _CHUNK))) for start in starts]
    return np.concatenate(hashes) if hashes else np.empty(0, np.uint64)


def _pack(bits: NDArray[np.bool_]) -> Hashes:
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(">u8").astype(np.uint64)[:, 0]


def _histograms(faces: Faces) -> NDArray[np.int64]:
    """How often each of the 256 grey levels is in each face."""
    cells = faces.reshape(len(faces), SIDE * SIDE) + 256 * np.arange(len(faces))[:, None]
    return np.bincount(cells.ravel(), minlength=256 * len(faces)).reshape(len(faces), 256)


def _gradient_energy(faces: NDArray[Any]) -> NDArray[np.float64]:
    down = (np.diff(faces, axis=1) ** 2).mean(axis=(1, 2))
    across = (np.diff(faces, axis=2) ** 2).mean(axis=(1, 2))
    return np.asarray(down + across, np.float64)


def _into(window: tuple[float, float]) -> NDArray[np.float64]:
    """SIDE x SIDE matrix that squeezes a line of pixels into a window of it and repeats the ends outside."""
    start, end = (SIDE * fraction for fraction in window)
    middle = (np.arange(SIDE) + 0.5 - start) * SIDE / (end - start) - 0.5
    middle = np.clip(middle, 0, SIDE - 1)
    below = np.minimum(middle.astype(np.int64), SIDE - 2)
    matrix = np.zeros((SIDE, SIDE))
    matrix[np.arange(SIDE), below] = 1 - (middle - below)
    matrix[np.arange(SIDE), below + 1] = middle - below
    return matrix


def _averages(length: int) -> NDArray[np.float64]:
    """SIDE x `length` matrix of means over equal stretches of a line of pixels."""
    edges = np.linspace(0, length, SIDE + 1)
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    overlap = np.maximum(overlap, 0)
    return np.asarray(overlap / overlap.sum(axis=1, keepdims=True))


MIRROR_BITS = _pack((_COLUMNS % 2 == 1)[None])[0]
"""The bits of a hash that mirroring turns over."""
