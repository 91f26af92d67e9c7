"""Random changes to training faces, in the training graph: one affine warp, then light, then erasing.

All is drawn from one stateless stream, so that a seed fixes every pixel on a backend.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from candid.training.settings import Augment, Crop, Jitter

Tensor = Any

NAMES = (
    *("flip", "angle", "rotation", "shift", "shift_x", "shift_y", "zoom_factor", "zoom"),
    *("window_area", "window_aspect", "window_x", "window_y", "window", "crop_first", "crop_second"),
    *("brightness_factor", "brightness", "contrast_factor", "contrast", "saturation_factor", "saturation"),
    *("erasing_area", "erasing_aspect", "erasing_y", "erasing_x", "erasing"),
)
"""What the columns of the random numbers are for. A new change adds names at the end."""
ENLARGED = 2
COLUMNS = 32  # numbers drawn a face: their count decides their values, so this leaves room for more names


class Draws:
    """Uniform random numbers for a batch of faces, by name."""

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Return B numbers between low and high."""
        return low + self.numbers[:, NAMES.index(name)] * (high - low)

    def log_uniform(self, name: str, most: float) -> Tensor:
        """Return B numbers, log-uniform between 1/most and most."""
        return ops.exp(self.uniform(name, -1, 1) * math.log(most))

    def choose(self, name: str, probability: float, value: Tensor, otherwise: Tensor) -> Tensor:
        """Return `value` with a probability for each face, else `otherwise`."""
        return ops.where(self.uniform(name) < probability, value, otherwise)


def augment(
    faces: Tensor, settings: Augment, seed: Any, uniform: Callable[..., Tensor] = keras.random.uniform
) -> Tensor:
    """Change each face at random: uint8, B x H x W x C, S x S where S is the size of `settings.crop`.

    Equal seeds (int or keras.random.SeedGenerator) give equal pixels; `uniform` draws from 0 to 1 by them.
    """
    draws = Draws(uniform((ops.shape(faces)[0], COLUMNS), seed=seed))
    moves = (settings.rotation, settings.shift, settings.zoom, settings.resized_crop)
    if settings.flip > 0 or settings.crop or any(change.probability > 0 for change in moves):
        matrix, offset = _geometry(draws, settings, faces.shape[1], faces.shape[2])
        values = warp(faces, matrix, offset, settings.fill, settings.crop.size if settings.crop else None)
    else:
        values = ops.cast(faces, "float32")
    values = _light(draws, settings, values)
    if settings.erasing.probability > 0:
        values = _erase(draws, settings, values)
    return ops.cast(ops.clip(ops.round(values), 0.0, 255.0), "uint8")


def sheet(faces: Any, settings: Augment, seed: int, changes: int) -> Any:
    """Draw each face (uint8, B x H x H x C) and, right of it, `changes` that training may make of it.

    Returns uint8, rows x columns (x 3), enlarged. Equal seeds give equal changes.
    """
    side = faces.shape[1]
    changed = [augment(faces, settings, seed + number) for number in range(changes)]
    margin = [(0, 0), *[(0, side - (settings.crop.size if settings.crop else side))] * 2, (0, 0)]
    columns = [faces, *(np.pad(ops.convert_to_numpy(one), margin, constant_values=255) for one in changed)]
    framed = np.pad(np.stack(columns, axis=1), [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)], constant_values=255)
    rows = framed.transpose(0, 2, 1, 3, 4).reshape(len(faces) * (side + 2), -1, faces.shape[3])
    enlarged = rows.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    return enlarged[..., 0] if faces.shape[3] == 1 else enlarged


def _geometry(draws: Draws, settings: Augment, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Draw the map from output to input pixels, as `warp` takes it: the changes undone, last first.

    Order of the changes: resized crop, zoom, rotation, flip, shift, crop.
    """
    rotation, shift, zoom = settings.rotation, settings.shift, settings.zoom
    mirror = draws.choose("flip", settings.flip, -1.0, 1.0)
    turn = draws.uniform("angle", -1, 1) * math.radians(rotation.degrees)
    angle = draws.choose("rotation", rotation.probability, turn, 0.0)
    reach = draws.choose("shift", shift.probability, shift.fraction, 0.0)
    move_x = reach * draws.uniform("shift_x", -1, 1) * width
    move_y = reach * draws.uniform("shift_y", -1, 1) * height
    factor = draws.uniform("zoom_factor", zoom.low, zoom.high)
    shrink = 1.0 / draws.choose("zoom", zoom.probability, factor, 1.0)
    wide, high, at_x, at_y = _window(draws, settings)
    crop_x, crop_y, crop_mirror = _crop(draws, settings.crop, height, width)

    # p -> window * shrink * rotate(-angle) * mirror * (crop_mirror * p + crop - move) + middle of the window
    cos, sin = ops.cos(angle) * shrink, ops.sin(angle) * shrink
    rows = [[wide * cos * mirror, wide * sin], [-high * sin * mirror, high * cos]]
    matrix = ops.stack([ops.stack(row, axis=-1) for row in rows], axis=1)
    position = ops.stack([crop_x - move_x, crop_y - move_y], axis=-1)
    middle = ops.stack([at_x * width, at_y * height], axis=-1)
    offset = ops.sum(matrix * ops.expand_dims(position, 1), axis=-1) + middle
    flipped = ops.expand_dims(ops.stack([crop_mirror, ops.ones_like(crop_mirror)], axis=-1), 1)
    return matrix * flipped, offset


def _window(draws: Draws, settings: Augment) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Width and height of the resized crop's window and its middle, as shares of the face (middle: 0)."""
    window = settings.resized_crop
    area = draws.uniform("window_area", window.low, window.high)
    aspect = draws.log_uniform("window_aspect", window.aspect)
    wide, high = ops.sqrt(area * aspect), ops.sqrt(area / aspect)
    at_x = (draws.uniform("window_x") - 0.5) * (1.0 - wide)
    at_y = (draws.uniform("window_y") - 0.5) * (1.0 - high)
    whole = ((wide, 1.0), (high, 1.0), (at_x, 0.0), (at_y, 0.0))
    wide, high, at_x, at_y = (draws.choose("window", window.probability, *pair) for pair in whole)
    return wide, high, at_x, at_y


def _crop(draws: Draws, crop: Crop | None, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Middle of the crop, in pixels from the face's, and its mirror sign."""
    first, second = draws.uniform("crop_first"), draws.uniform("crop_second")
    if crop is None:
        return ops.zeros_like(first), ops.zeros_like(first), ops.ones_like(first)
    wide, high = width - crop.size, height - crop.size  # of what is cut off
    if crop.name == "random":
        left, top = ops.floor(first * (wide + 1)), ops.floor(second * (high + 1))
        mirror = ops.ones_like(first)
    else:
        which, mirror = ops.floor(first * 5), ops.where(second < 0.5, -1.0, 1.0)
        # 0 1
        #  4    the middle is rounded to a whole pixel, as torchvision's TenCrop does
        # 2 3
        left = ops.where((which == 0) | (which == 2), 0.0, float(wide))
        top = ops.where(which < 2, 0.0, float(high))
        left = ops.where(which == 4, float(round(wide / 2)), left)
        top = ops.where(which == 4, float(round(high / 2)), top)
    return left - wide / 2, top - high / 2, mirror


def _light(draws: Draws, settings: Augment, values: Tensor) -> Tensor:
    """Brightness, contrast about the face's mean, saturation about its grey."""
    if settings.brightness.probability > 0:
        values = values * _factor(draws, "brightness", settings.brightness)
    if settings.contrast.probability > 0:
        mean = ops.mean(_grey(values), axis=(1, 2, 3), keepdims=True)
        values = mean + (values - mean) * _factor(draws, "contrast", settings.contrast)
    if settings.saturation.probability > 0 and values.shape[-1] == 3:
        grey = _grey(values)
        values = grey + (values - grey) * _factor(draws, "saturation", settings.saturation)
    return values


def _factor(draws: Draws, name: str, jitter: Jitter) -> Tensor:
    factor = 1.0 + draws.uniform(f"{name}_factor", -1, 1) * jitter.amount
    return ops.reshape(draws.choose(name, jitter.probability, factor, 1.0), (-1, 1, 1, 1))


def _grey(values: Tensor) -> Tensor:
    """Luminance (ITU-R BT.601), B x H x W x 1."""
    if values.shape[-1] == 1:
        return values
    return values[..., 0:1] * 0.299 + values[..., 1:2] * 0.587 + values[..., 2:3] * 0.114


def _erase(draws: Draws, settings: Augment, values: Tensor) -> Tensor:
    erasing = settings.erasing
    _, height, width, _ = values.shape
    area = draws.uniform("erasing_area", erasing.low, erasing.high)
    aspect = draws.log_uniform("erasing_aspect", erasing.aspect)
    high = ops.clip(ops.round(ops.sqrt(area * aspect) * height), 1.0, float(height))
    wide = ops.clip(ops.round(ops.sqrt(area / aspect) * width), 1.0, float(width))
    top = ops.floor(draws.uniform("erasing_y") * (height - high + 1))[:, None]
    left = ops.floor(draws.uniform("erasing_x") * (width - wide + 1))[:, None]
    chosen = (draws.uniform("erasing") < erasing.probability)[:, None]
    y, x = ops.arange(height, dtype="float32")[None], ops.arange(width, dtype="float32")[None]
    rows = (y >= top) & (y < top + high[:, None]) & chosen
    columns = (x >= left) & (x < left + wide[:, None])
    inside = rows[:, :, None, None] & columns[:, None, :, None]
    return ops.where(inside, ops.mean(values, axis=(1, 2), keepdims=True), values)


def warp(faces: Tensor, matrix: Tensor, offset: Tensor, fill: str, size: int | None = None) -> Tensor:
    """Resample each face bilinearly under its own affine map, by a gather: float32, B x size x size x C.

    (keras.ops.image.affine_transform does not compile under XLA on TensorFlow.) An output pixel at p takes
    its value from the input, uint8 B x H x W x C, at `matrix @ p + offset` (B x 2 x 2 and B x 2, float32),
    where both are measured in pixels (x to the right, y down) from the middle of the input and the middle
    of the output. `fill` says what is outside the face: nearest (its edge, continued) or black. Without
    `size` the output is as large as the input.
    """
    _, height, width, channels = faces.shape
    x = _from_middle(size or width)[None, None, :]
    y = _from_middle(size or height)[None, :, None]
    matrix, offset = matrix[..., None, None], offset[..., None, None]
    from_x = matrix[:, 0, 0] * x + matrix[:, 0, 1] * y + offset[:, 0] + (width - 1) / 2
    from_y = matrix[:, 1, 0] * x + matrix[:, 1, 1] * y + offset[:, 1] + (height - 1) / 2
    # A frame of one pixel holds what lies outside, so that every index falls on a pixel.
    framed = _frame(faces, fill)
    from_x, from_y = ops.clip(from_x, -1.0, float(width)), ops.clip(from_y, -1.0, float(height))
    left = ops.minimum(ops.floor(from_x), width - 1.0)
    top = ops.minimum(ops.floor(from_y), height - 1.0)
    # The four neighbours lie side by side, so that one gather fetches them: on a CPU the whole warp takes 1.4
    # times less time (4.4 times under XLA) than with four gathers.
    corners = [framed[:, :-1, :-1], framed[:, :-1, 1:], framed[:, 1:, :-1], framed[:, 1:, 1:]]
    table = ops.reshape(ops.concatenate(corners, axis=-1), (-1, 4 * channels))
    first = ops.arange(ops.shape(faces)[0], dtype="int32") * ((height + 1) * (width + 1))
    index = ops.cast((top + 1) * (width + 1) + left + 1, "int32") + first[:, None, None]
    values = ops.cast(ops.take(table, index, axis=0), "float32")
    right_share, low_share = ops.expand_dims(from_x - left, -1), ops.expand_dims(from_y - top, -1)
    upper_left, upper_right, lower_left, lower_right = ops.split(values, 4, axis=-1)
    upper = upper_left + (upper_right - upper_left) * right_share
    lower = lower_left + (lower_right - lower_left) * right_share
    return upper + (lower - upper) * low_share


def _frame(faces: Tensor, fill: str) -> Tensor:
    """One more pixel on each side (not ops.pad: its modes for edges differ between the backends)."""
    if fill == "black":
        return ops.pad(faces, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taller = ops.concatenate([faces[:, :1], faces, faces[:, -1:]], axis=1)
    return ops.concatenate([taller[:, :, :1], taller, taller[:, :, -1:]], axis=2)


def _from_middle(count: int) -> Tensor:
    """Positions of pixels from the middle: -(count - 1) / 2 ... (count - 1) / 2."""
    return ops.arange(count, dtype="float32") - (count - 1) / 2
