"""Soft-edged shapes and noise for `sample`, in single float32 operations (see sample_random)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from candid.data.download.sample_random import Floats, Raw, unit

SIZE = 48
"""Pixels, height and width of a face."""

MARGIN = 4
FRAME = SIZE + 2 * MARGIN
"""What is drawn: a copy that is cropped otherwise shows what lies beside the original."""

Number = float | Floats


def middle(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crop frames (... x FRAME x FRAME) to pictures (... x SIZE x SIZE)."""
    return frames[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def cover(distance: Floats, edge: Number = 1.0) -> Floats:
    """Share of a pixel inside a shape, from the signed distance (negative inside) of its centre.

    The edge is `edge` pixels wide; 1 is the anti-aliasing of a sharp edge.
    """
    share: Floats = np.clip(0.5 - distance / edge, 0.0, 1.0)
    return share


def sign(x: Floats) -> Floats:
    """-1 where x is negative, else 1."""
    return np.where(x < 0, np.float32(-1.0), np.float32(1.0))


def over(canvas: Floats, tone: Number, alpha: Floats) -> None:
    """Lay a tone over the canvas, in place."""
    canvas += (tone - canvas) * alpha


def ellipse(x: Floats, y: Floats, a: Number, b: Number) -> Floats:
    """Approximate signed distance from an ellipse of half-axes a and b (first order in the gradient)."""
    u, v = x / a, y / b
    k0 = np.sqrt(u * u + v * v) + 1e-6
    u, v = u / a, v / b
    k1 = np.sqrt(u * u + v * v) + 1e-6
    distance: Floats = k0 * (k0 - 1.0) / k1
    return distance


def bump(x: Floats, y: Floats, a: Number, b: Number) -> Floats:
    """Rounded hill: 1 in the middle, 1/4 on the ellipse of half-axes a and b, towards 0 outside."""
    u, v = x / a, y / b
    k = 1.0 / (1.0 + u * u + v * v)
    return k * k


def stroke(x: Floats, y: Floats, half: Number, curve: Number, slope: Number) -> Floats:
    """Distance from the line y = curve, -half <= x <= half, whose derivative is `slope`."""
    along = np.maximum(np.abs(x) - half, 0.0)
    across = (y - curve) / np.sqrt(np.asarray(1.0 + slope * slope, np.float32))
    distance: Floats = np.sqrt(along * along + across * across)
    return distance


def noise(raw: Raw, rows: int, columns: int) -> Floats:
    """Value noise in -1..1: n grids of random numbers, filled smoothly to n x FRAME x FRAME."""
    grid = unit(raw).reshape(-1, rows, columns) * 2.0 - 1.0
    if (rows, columns) == (FRAME, FRAME):
        return grid
    return _fill(_fill(grid, 1), 2)


def _fill(grid: Floats, axis: int) -> Floats:
    """Interpolate along one axis to FRAME, with the weight 3t² - 2t³."""
    cells = grid.shape[axis] - 1
    where = (np.arange(FRAME, dtype=np.float32) + 0.5) * np.float32(cells / FRAME)
    low = np.minimum(where.astype(np.int64), cells - 1)
    t = where - low.astype(np.float32)
    weight = (t * t * (3.0 - 2.0 * t)).astype(np.float32)
    weight = weight[:, None] if axis == 1 else weight
    below, above = np.take(grid, low, axis), np.take(grid, low + 1, axis)
    filled: Floats = below + (above - below) * weight
    return filled
