"""Files of faces: coefficients of the JPEG files they came from, or their pixels; read with NumPy alone."""

from __future__ import annotations

import hashlib
import io
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.faces import ORDER, pack, unpack, walk_coefficients, walk_pixels

Faces = NDArray[np.uint8]

# One pass of libjpeg's accurate inverse transform, times 2^13: its products of one factor each, added up.
PASS = np.array(
    [
        [8192, 11363, 10703, 9633, 8192, 6437, 4433, 2260],
        [8192, 9633, 4433, -2259, -8192, -11362, -10704, -6436],
        [8192, 6437, -4433, -11362, -8192, 2261, 10704, 9633],
        [8192, 2260, -10703, -6436, 8192, 9633, -4433, -11363],
        [8192, -2260, -10703, 6436, 8192, -9633, -4433, 11363],
        [8192, -6437, -4433, 11362, -8192, -2261, 10704, -9633],
        [8192, -9633, 4433, 2259, -8192, 11362, -10704, 6436],
        [8192, -11363, 10703, -9633, 8192, -6437, 4433, -2260],
    ],
    np.float64,
)


def decoded(found: NDArray[Any], steps: NDArray[Any], height: int, width: int) -> Faces:
    """Make the pixels of quantised coefficients (N x blocks x 64, row by row) as libjpeg does, to the bit.

    Args:
        steps: of the quantisation, 64, row by row.
    """
    whole = (found.astype(np.int32) * steps.astype(np.int32)).reshape(-1, 8, 8)
    values = np.empty(whole.shape, np.uint8)
    for start in range(0, len(whole), 1 << 16):  # in float64 the integers are exact, and products are fast
        blocks = whole[start : start + (1 << 16)].astype(np.float64)
        columns = np.floor((PASS @ blocks + (1 << 10)) / (1 << 11))
        rows = np.floor((columns @ PASS.T + (1 << 17)) / (1 << 18))
        values[start : start + len(blocks)] = np.clip(rows + 128, 0, 255)
    values = values.reshape(-1, height // 8, width // 8, 8, 8).swapaxes(2, 3)
    return np.ascontiguousarray(values).reshape(-1, height, width)


def write_coefficients(found: NDArray[np.int16], steps: NDArray[np.int32], height: int, width: int) -> bytes:
    """Code faces by their coefficients, as `decoded` takes them."""
    values = found[:, :, ORDER].reshape(len(found), -1).T.astype(np.int32)
    walk = partial(walk_coefficients, high=height // 8, wide=width // 8, steps=steps)
    return _archive({**pack(walk, values, 64), "steps": steps, "shape": np.array([height, width])})


def write_pixels(images: Faces) -> bytes:
    """Code faces (N x H x W, or x 3) by their pixels; colours stand side by side, as if faces were wider."""
    count, height, width = images.shape[:3]
    side = images.reshape(count, height, width, -1).swapaxes(2, 3).reshape(count, height, -1)
    walk = partial(walk_pixels, height=height, width=side.shape[2])
    values = side.reshape(count, -1).T.astype(np.int32)
    return _archive({**pack(walk, values, 1), "shape": np.array(images.shape[1:])})


def read(content: bytes) -> Faces:
    """Return the faces of a file."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        packed = dict(stored)
    height, width, *colours = (int(size) for size in packed["shape"])
    if "steps" in packed:
        walk = partial(walk_coefficients, high=height // 8, wide=width // 8, steps=packed["steps"])
        values = unpack(walk, packed).T.reshape(-1, height * width // 64, 64)
        found = np.empty_like(values)
        found[:, :, ORDER] = values
        return decoded(found, packed["steps"], height, width)
    walk = partial(walk_pixels, height=height, width=width * (colours[0] if colours else 1))
    side = unpack(walk, packed).T.astype(np.uint8).reshape(-1, height, *colours, width)
    return np.ascontiguousarray(side.swapaxes(2, 3)) if colours else side


def digest_of(faces: Faces) -> str:
    """Digest of the pixels of faces (N x H x W, or x 3) in their order."""
    return hashlib.blake2b(faces.tobytes(), digest_size=16).hexdigest()


def _archive(arrays: dict[str, NDArray[Any]]) -> bytes:
    box = io.BytesIO()
    np.savez_compressed(box, **arrays)  # type: ignore[arg-type]
    return box.getvalue()
