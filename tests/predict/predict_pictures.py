"""A real face and tiny models, for the tests of predict and demo."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image

from candid.predict.detectors import Box

CLASSES = ("angry", "happy", "sad")
FACE = Box(180, 72, 93, 105)
"""Of the astronaut, brow to chin and cheek to cheek, in pixels of 512 x 512."""


def astronaut(side: int = 512) -> Image.Image:
    """The astronaut, RGB, side x side."""
    picture = Image.fromarray(skimage.data.astronaut())
    return picture if side == 512 else picture.resize((side, side), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The picture's file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def on_face(box: Any, factor: float = 1.0) -> bool:
    """Does x, y, width, height frame the astronaut's face in a picture `factor` times as large?"""
    face = FACE.scaled(factor)
    x = box[0] + box[2] / 2 - face.left - face.width / 2
    y = box[1] + box[3] / 2 - face.top - face.height / 2
    return bool(max(abs(x), abs(y)) < face.height / 3 and face.height / 2 < max(box[2:]) < 2 * face.height)


def make_model(
    path: Path, size: int = 48, channels: tuple[int, ...] = (), card: dict[str, Any] | None = None
) -> Path:
    """Write a tiny .keras model with card, by a fixed seed: size x size faces in, three classes out."""
    import keras

    keras.utils.set_random_seed(3)
    given = keras.Input((size, size, *channels), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(given))
    model = keras.Model(given, keras.layers.Dense(len(CLASSES), "softmax")(x), name="tiny")
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():  # TensorFlow's tensors under NumPy 2
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        model.save(path)
    about = {"classes": list(CLASSES), "image_size": size, "color": "rgb" if channels == (3,) else "grey"}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("candid.json", json.dumps(about | (card or {})))
    return path


def exif(orientation: int) -> Image.Exif:
    """EXIF data that names how the camera was held."""
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def noise(width: int, height: int) -> Image.Image:
    """No face."""
    return Image.fromarray(np.random.default_rng(0).integers(90, 160, (height, width, 3)).astype(np.uint8))
