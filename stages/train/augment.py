"""Random changes to training faces, in the training graph: one warp, then light, then erasing.

Everything is drawn from one stateless stream, so that a seed fixes every pixel on a backend.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from stages.train.params import Augment, Jitter, Range
from stages.train.warp import warp

Tensor = Any

DRAWS = 32  # uniform numbers a face; more than the settings ever use


class _Draws:
    """Hands out the columns of one B x DRAWS array of uniform numbers, in the order they are asked for."""

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers
        self.used = 0

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Return B numbers between low and high."""
        column = self.numbers[:, self.used]
        self.used += 1
        return low + column * (high - low)

    def gated(self, value: Tensor, probability: float, otherwise: float) -> Tensor:
        """Return `value` with the given probability for each face, else `otherwise`."""
        chosen = self.uniform() < probability
        return ops.where(chosen, value, otherwise)


def augment(
    faces: Tensor, settings: Augment, seed: Any, uniform: Callable[..., Tensor] = keras.random.uniform
) -> Tensor:
    """Change each face at random as `settings` says.

    Args:
        faces: uint8, B x H x W x C.
        settings: what is done, with ranges and probabilities.
        seed: an int or a keras.random.SeedGenerator; equal seeds give equal pixels.
        uniform: draws numbers from 0 to 1 of a shape, by `seed=`.

    Returns:
        uint8, B x S x S x C where `settings.crop` is S, else of the shape of `faces`.
    """
    draws = _Draws(uniform((ops.shape(faces)[0], DRAWS), seed=seed))
    if is_geometric(settings):
        values = warp(
            faces, *_geometry(draws, settings, faces.shape[1], faces.shape[2]), settings.fill, settings.crop
        )
    else:
        values = ops.cast(faces, "float32")
    values = _light(draws, settings, values)
    if settings.erasing.probability > 0:
        values = _erase(draws, settings, values)
    return ops.cast(ops.clip(ops.round(values), 0.0, 255.0), "uint8")


def is_geometric(settings: Augment) -> bool:
    """Say whether any pixel moves."""
    changes = (settings.rotation, settings.shift, settings.zoom, settings.resized_crop)
    return settings.flip > 0 or settings.crop is not None or any(change.probability > 0 for change in changes)


def _geometry(draws: _Draws, settings: Augment, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Draw the map from output to input pixels, as `warp` takes it: the changes undone, last first.

    Order of the changes: resized crop, zoom, rotation, flip, shift, crop.
    """
    rotation, shift, zoom = settings.rotation, settings.shift, settings.zoom
    mirror = draws.gated(-1.0, settings.flip, 1.0)
    angle = draws.gated(draws.uniform(-1, 1) * math.radians(rotation.degrees), rotation.probability, 0.0)
    reach = draws.gated(shift.fraction, shift.probability, 0.0)
    move_x, move_y = (reach * draws.uniform(-1, 1) * side for side in (width, height))
    shrink = 1.0 / draws.gated(_factor(draws, zoom), zoom.probability, 1.0)
    wide, high, at_x, at_y = _window(draws, settings)
    crop_x, crop_y, crop_mirror = _crop(draws, settings, height, width)

    # p -> window * shrink * rotate(-angle) * mirror * (crop_mirror * p + crop - move) + window's place
    cos, sin = ops.cos(angle) * shrink, ops.sin(angle) * shrink
    rows = [[wide * cos * mirror, wide * sin], [-high * sin * mirror, high * cos]]
    matrix = ops.stack([ops.stack(row, axis=-1) for row in rows], axis=1)
    place = ops.stack([crop_x - move_x, crop_y - move_y], axis=-1)
    middle = ops.stack([at_x * width, at_y * height], axis=-1)
    offset = ops.sum(matrix * ops.expand_dims(place, 1), axis=-1) + middle
    turned = ops.expand_dims(ops.stack([crop_mirror, ops.ones_like(crop_mirror)], axis=-1), 1)
    return matrix * turned, offset


def _factor(draws: _Draws, change: Range) -> Tensor:
    return draws.uniform(change.low, change.high)


def _log_factor(draws: _Draws, most: float) -> Tensor:
    """Log-uniform between 1/most and most."""
    return ops.exp(draws.uniform(-1, 1) * math.log(most))


def _window(draws: _Draws, settings: Augment) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Width and height of the resized crop's window and its middle, as shares of the face (middle: 0)."""
    window = settings.resized_crop
    area, aspect = _factor(draws, window), _log_factor(draws, window.aspect)
    wide, high = ops.sqrt(area * aspect), ops.sqrt(area / aspect)
    at_x = (draws.uniform() - 0.5) * (1.0 - wide)
    at_y = (draws.uniform() - 0.5) * (1.0 - high)
    chosen = draws.uniform() < window.probability
    return (
        ops.where(chosen, wide, 1.0),
        ops.where(chosen, high, 1.0),
        ops.where(chosen, at_x, 0.0),
        ops.where(chosen, at_y, 0.0),
    )


def _crop(draws: _Draws, settings: Augment, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Middle of the crop, in pixels from the face's, and its mirror sign."""
    first, second = draws.uniform(), draws.uniform()
    size = settings.crop
    if size is None:
        return ops.zeros_like(first), ops.zeros_like(first), ops.ones_like(first)
    if settings.crop_from == "anywhere":
        left, top = ops.floor(first * (width - size + 1)), ops.floor(second * (height - size + 1))
        return left - (width - size) / 2, top - (height - size) / 2, ops.ones_like(first)
    which, side = ops.floor(first * 5), second
    # 0 1
    #  4    the middle is rounded to a whole pixel, as torchvision's TenCrop does
    # 2 3
    left = ops.where((which == 0) | (which == 2), 0.0, float(width - size))
    top = ops.where(which < 2, 0.0, float(height - size))
    left = ops.where(which == 4, float(round((width - size) / 2)), left)
    top = ops.where(which == 4, float(round((height - size) / 2)), top)
    return left - (width - size) / 2, top - (height - size) / 2, ops.where(side < 0.5, -1.0, 1.0)


def _light(draws: _Draws, settings: Augment, values: Tensor) -> Tensor:
    """Brightness, contrast about the face's mean, saturation about its grey."""
    if settings.brightness.probability > 0:
        values = values * _amount(draws, settings.brightness)
    if settings.contrast.probability > 0:
        mean = ops.mean(_grey(values), axis=(1, 2, 3), keepdims=True)
        values = mean + (values - mean) * _amount(draws, settings.contrast)
    if settings.saturation.probability > 0 and values.shape[-1] == 3:
        grey = _grey(values)
        values = grey + (values - grey) * _amount(draws, settings.saturation)
    return values


def _amount(draws: _Draws, jitter: Jitter) -> Tensor:
    factor = draws.gated(1.0 + draws.uniform(-1, 1) * jitter.amount, jitter.probability, 1.0)
    return ops.reshape(factor, (-1, 1, 1, 1))


def _grey(values: Tensor) -> Tensor:
    """Luminance (ITU-R BT.601), B x H x W x 1."""
    if values.shape[-1] == 1:
        return values
    return values[..., 0:1] * 0.299 + values[..., 1:2] * 0.587 + values[..., 2:3] * 0.114


def _erase(draws: _Draws, settings: Augment, values: Tensor) -> Tensor:
    erasing = settings.erasing
    _, height, width, _ = values.shape
    area, aspect = _factor(draws, erasing), _log_factor(draws, erasing.aspect)
    high = ops.clip(ops.round(ops.sqrt(area * aspect) * height), 1.0, float(height))
    wide = ops.clip(ops.round(ops.sqrt(area / aspect) * width), 1.0, float(width))
    top = ops.floor(draws.uniform() * (height - high + 1))
    left = ops.floor(draws.uniform() * (width - wide + 1))
    chosen = draws.uniform() < erasing.probability
    y, x = ops.arange(height, dtype="float32")[None], ops.arange(width, dtype="float32")[None]
    top, left = top[:, None], left[:, None]
    rows = (y >= top) & (y < top + high[:, None]) & chosen[:, None]
    columns = (x >= left) & (x < left + wide[:, None])
    inside = rows[:, :, None, None] & columns[:, None, :, None]
    return ops.where(inside, ops.mean(values, axis=(1, 2), keepdims=True), values)
