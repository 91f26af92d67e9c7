"""From a box around a face to the square of pixels that the model was trained on."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from candid.data.images import Color, decode


class Box(NamedTuple):
    """A rectangle in pixels; it may reach beyond the picture."""

    left: float
    top: float
    width: float
    height: float

    def scaled(self, factor: float) -> Box:
        """The same rectangle in a picture `factor` times as large."""
        return Box(*(value * factor for value in self))

    def clipped(self, width: int, height: int) -> Box:
        """The part within a picture of this size, in whole pixels, at least one."""
        left, top = min(max(round(self.left), 0), width - 1), min(max(round(self.top), 0), height - 1)
        right, bottom = round(self.left + self.width), round(self.top + self.height)
        return Box(left, top, max(min(right, width) - left, 1), max(min(bottom, height) - top, 1))


class Square(NamedTuple):
    """A square in whole pixels; it may reach beyond the picture."""

    left: int
    top: int
    side: int


def square(box: Box, margin: float) -> Square:
    """The square that is cut around a box, about the same centre.

    Args:
        box: as the detector gave it.
        margin: added on each side, as a share of the box's longer side; below 0 cuts into the box.
    """
    longer = max(box.width, box.height)
    side = max(1, round(longer * (1 + 2 * margin)))
    x, y = box.left + box.width / 2, box.top + box.height / 2
    return Square(round(x - side / 2), round(y - side / 2), side)


def cut(image: Image.Image, place: Square) -> Image.Image:
    """Cut a square out; beyond the border the outermost pixels are repeated, as training fills them."""
    left, top = min(max(place.left, 0), image.width - 1), min(max(place.top, 0), image.height - 1)
    right = max(min(place.left + place.side, image.width), left + 1)
    bottom = max(min(place.top + place.side, image.height), top + 1)
    part = image.crop((left, top, right, bottom))
    before_x, before_y = max(left - place.left, 0), max(top - place.top, 0)
    after_x = max(place.side - before_x - part.width, 0)
    after_y = max(place.side - before_y - part.height, 0)
    if not (before_x or before_y or after_x or after_y):
        return part
    pixels = np.asarray(part)
    borders = ((before_y, after_y), (before_x, after_x), (0, 0))[: pixels.ndim]
    padded = np.pad(pixels, borders, mode="edge")
    return Image.fromarray(padded[: place.side, : place.side])


def as_trained(crop: Image.Image, size: int, color: Color) -> NDArray[np.uint8]:
    """A crop (mode L or RGB) as ingest would store it: size x size (x 3), through ingest's own decoder."""
    buffer = io.BytesIO()
    crop.save(buffer, "PPM")
    return decode(buffer.getvalue(), size, color)
