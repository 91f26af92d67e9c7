"""A real face, for the tests of predict and demo."""

from __future__ import annotations

from typing import Any

import numpy as np
import skimage.data
from PIL import Image

from candid.predict.detectors import Box
from tests.data.made import encoded as encoded
from tests.data.made import exif as exif

FACE = Box(180, 72, 93, 105)
"""Of the astronaut, brow to chin and cheek to cheek, in pixels of 512 x 512."""


def astronaut(side: int = 512) -> Image.Image:
    """The astronaut, RGB, side x side."""
    picture = Image.fromarray(skimage.data.astronaut())
    return picture if side == 512 else picture.resize((side, side), Image.Resampling.BICUBIC)


def on_face(box: Any, factor: float = 1.0) -> bool:
    """Does x, y, width, height frame the astronaut's face in a picture `factor` times as large?"""
    face = FACE.scaled(factor)
    x = box[0] + box[2] / 2 - face.left - face.width / 2
    y = box[1] + box[3] / 2 - face.top - face.height / 2
    return bool(max(abs(x), abs(y)) < face.height / 3 and face.height / 2 < max(box[2:]) < 2 * face.height)


def noise(width: int, height: int) -> Image.Image:
    """No face."""
    return Image.fromarray(np.random.default_rng(0).integers(90, 160, (height, width, 3)).astype(np.uint8))


def pair() -> Image.Image:
    """The astronaut's head twice, side by side."""
    both, head = Image.new("RGB", (520, 260)), astronaut().crop((100, 0, 360, 260))
    both.paste(head, (0, 0))
    both.paste(head, (260, 0))
    return both
