"""What the search and the verifier look at: a working size, small thumbnails of crops, and flat images.

All of it is integer arithmetic, so that it is the same on every machine.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.dedup.hashes import BLOCK, resize, to_grey
from stages.dedup.kernels import in_parallel, kernel

SIZE = 48  # pixels, height and width, at which images are compared
THUMB = 10
RADIUS = 4000  # length of a feature vector: RADIUS squared stays below 2^24, so that float32 sums are exact
FLAT_DEVIATION = 4  # grey levels; a standard deviation below this carries no picture to compare
CENTRE = 40.0  # width in pixels of the crop that is searched for
SHIFT = 3.5


class View(NamedTuple):
    """A square crop: its centre's offset from the image's centre and its width, in pixels of SIZE."""

    dx: float
    dy: float
    width: float


def search_views() -> list[View]:
    """Crops in which the centre crop of another image is looked for, the centre crop itself first.

    Of two inverse views (shifted right, shifted left) one is enough, as all ordered pairs are compared.
    """
    chosen = [View(0.0, 0.0, CENTRE)]
    for width in (CENTRE - 4, CENTRE, CENTRE + 4):
        for dy in (-SHIFT, 0.0, SHIFT):
            for dx in (-SHIFT, 0.0, SHIFT):
                view, inverse = View(dx, dy, width), View(-dx, -dy, 2 * CENTRE - width)
                inside = max(abs(dx), abs(dy)) + width / 2 <= SIZE / 2
                if inside and view not in chosen and inverse not in chosen:
                    chosen.append(view)
    return chosen


def working_images(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Any uint8 N x H x W (x 3) -> grey N x SIZE x SIZE."""
    if images.ndim == 3 and images.shape[1:] == (SIZE, SIZE):
        return np.ascontiguousarray(images)
    out = np.empty((len(images), SIZE, SIZE), np.uint8)
    for start in range(0, len(images), BLOCK):
        grey = to_grey(images[start : start + BLOCK])
        out[start : start + BLOCK] = resize(grey, SIZE, SIZE, Image.Resampling.BOX)
    return out


def flat_images(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which images are of (nearly) one grey: standard deviation below FLAT_DEVIATION."""
    out = np.zeros(len(grey), np.bool_)
    for start in range(0, len(grey), BLOCK):
        block = grey[start : start + BLOCK].reshape(-1, grey.shape[1] * grey.shape[2]).astype(np.int64)
        pixels = block.shape[1]
        out[start : start + BLOCK] = (
            pixels * (block**2).sum(axis=1) - block.sum(axis=1) ** 2 < (FLAT_DEVIATION * pixels) ** 2
        )
    return out


def features(grey: NDArray[np.uint8], view: View) -> NDArray[np.float32]:
    """Thumbnails of one crop of every image, less their mean, scaled to length RADIUS and rounded.

    The product of two rows is their correlation times RADIUS squared, exact in float32 whatever the order
    of the additions: the entries are whole numbers and no partial sum reaches 2^24.
    """
    weights_x, weights_y = _weights(view.dx, view.width), _weights(view.dy, view.width)

    def block(start: int, stop: int) -> Any:
        thumbs = _thumbnails(grey[start:stop], weights_x, weights_y).reshape(stop - start, THUMB * THUMB)
        centred = thumbs * np.int64(THUMB * THUMB) - thumbs.sum(axis=1, keepdims=True)
        length = np.sqrt((centred.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
        return np.rint(centred * (RADIUS / np.maximum(length, 1.0))).astype(np.float32)

    return np.concatenate(in_parallel(block, len(grey), BLOCK)) if len(grey) else block(0, 0)


def _weights(offset: float, width: float) -> NDArray[np.int32]:
    """THUMB x SIZE: share of each pixel in each cell of the crop, in 64ths of a pixel."""
    edges = (SIZE + 2 * offset - width) / 2 + np.arange(THUMB + 1) * width / THUMB
    pixel = np.arange(SIZE)
    share = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.asarray(np.rint(64 * np.clip(share, 0, 1)), np.int32)


@kernel
def _thumbnails(grey: Any, weights_x: Any, weights_y: Any) -> Any:
    count, size = grey.shape[0], grey.shape[1]
    cells = weights_x.shape[0]
    out = np.zeros((count, cells, cells), np.int64)
    rows = np.zeros((cells, size), np.int64)
    for n in range(count):
        rows[:] = 0
        for k in range(cells):
            for y in range(size):
                if weights_y[k, y]:
                    for x in range(size):
                        rows[k, x] += weights_y[k, y] * np.int64(grey[n, y, x])
        for k in range(cells):
            for c in range(cells):
                total = np.int64(0)
                for x in range(size):
                    total += weights_x[c, x] * rows[k, x]
                out[n, k, c] = total
    return out
