"""One affine warp of a batch of faces, by a gather: Keras's own does not compile under XLA on TensorFlow."""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def warp(faces: Tensor, matrix: Tensor, offset: Tensor, fill: str, size: int | None = None) -> Tensor:
    """Resample each face bilinearly under its own affine map.

    An output pixel at p takes its value from the input at `matrix @ p + offset`, where both are measured
    in pixels (x to the right, y down) from the middle of the input and the middle of the output.

    Args:
        faces: uint8, B x H x W x C.
        matrix: float32, B x 2 x 2, acting on (x, y).
        offset: float32, B x 2, pixels.
        fill: what stands outside the face: nearest (its edge, continued) or black.
        size: height and width of the output; None: those of the input.

    Returns:
        float32, B x size x size x C (B x H x W x C), 0 to 255.
    """
    _, height, width, channels = faces.shape
    across, down = _grid(size or width), _grid(size or height)
    x = ops.expand_dims(across, 0)[None]  # 1 x 1 x W
    y = ops.expand_dims(down, 1)[None]  # 1 x H x 1
    from_x = (
        _entry(matrix[:, 0, 0]) * x + _entry(matrix[:, 0, 1]) * y + _entry(offset[:, 0]) + (width - 1) / 2
    )
    from_y = (
        _entry(matrix[:, 1, 0]) * x + _entry(matrix[:, 1, 1]) * y + _entry(offset[:, 1]) + (height - 1) / 2
    )
    # A frame of one pixel holds what lies outside, so that every index falls on a pixel.
    framed = _frame(faces, fill)
    from_x = ops.clip(from_x, -1.0, float(width))
    from_y = ops.clip(from_y, -1.0, float(height))
    left = ops.minimum(ops.floor(from_x), width - 1.0)
    top = ops.minimum(ops.floor(from_y), height - 1.0)
    # The four neighbours of a place lie side by side, so that one gather fetches them: on a CPU the whole
    # warp takes 1.4 times less time (4.4 times under XLA) than with four gathers.
    corners = [framed[:, :-1, :-1], framed[:, :-1, 1:], framed[:, 1:, :-1], framed[:, 1:, 1:]]
    table = ops.reshape(ops.concatenate(corners, axis=-1), (-1, 4 * channels))
    first = ops.arange(ops.shape(faces)[0], dtype="int32") * ((height + 1) * (width + 1))
    index = ops.cast((top + 1) * (width + 1) + left + 1, "int32") + _entry(first)
    values = ops.cast(ops.take(table, index, axis=0), "float32")
    right_share = ops.expand_dims(from_x - left, -1)
    low_share = ops.expand_dims(from_y - top, -1)
    upper_left, upper_right, lower_left, lower_right = ops.split(values, 4, axis=-1)
    upper = upper_left + (upper_right - upper_left) * right_share
    lower = lower_left + (lower_right - lower_left) * right_share
    return upper + (lower - upper) * low_share


def _entry(values: Tensor) -> Tensor:
    """One number a face, ready to be spread over its pixels."""
    return ops.reshape(values, (-1, 1, 1))


def _frame(faces: Tensor, fill: str) -> Tensor:
    """One more pixel on each side (not ops.pad: its modes for edges differ between the backends)."""
    if fill == "black":
        return ops.pad(faces, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taller = ops.concatenate([faces[:, :1], faces, faces[:, -1:]], axis=1)
    return ops.concatenate([taller[:, :, :1], taller, taller[:, :, -1:]], axis=2)


def _grid(count: int) -> Tensor:
    """Pixel places from the middle: -(count - 1) / 2 ... (count - 1) / 2."""
    return ops.arange(count, dtype="float32") - (count - 1) / 2
