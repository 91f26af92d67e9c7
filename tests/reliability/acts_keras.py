"""What the server with Keras runs for the tests of models."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ["happy", "sad", "neutral"]  # of the tiny set, in the order of outputs


def make_models() -> None:
    """Write small models that take faces and give scores, most with one thing wrong, as <name>.keras."""
    import h5py
    import keras

    def net(size: int = 24, channels: int = 1, outputs: int = 3, activation: str = "softmax") -> Any:
        faces = keras.Input((size, size, channels), dtype="uint8")
        x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(faces))
        return keras.Model(faces, keras.layers.Dense(outputs, activation)(x))

    h5py.File("empty.h5", "w").close()
    keras.utils.set_random_seed(1)
    broken = net()
    broken.set_weights([np.full_like(weight, np.nan) for weight in broken.get_weights()])
    one, two = keras.Input((24, 24, 1)), keras.Input((24, 24, 1))
    both = keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(keras.layers.Add()([one, two])))
    models = {
        "right": net(),
        "larger": net(size=32),
        "coloured": net(channels=3),
        "four": net(outputs=4),
        "unbounded": net(activation="linear"),
        "nan": broken,
        "two_inputs": keras.Model([one, two], both),
    }
    for name, model in models.items():
        model.save(f"{name}.keras")
        with zipfile.ZipFile(f"{name}.keras", "a") as archive:
            card = {
                "classes": CLASSES,
                "image_size": 32 if name == "larger" else 24,
                "color": "grey",
                "best_epoch": 1,
            }
            archive.writestr("candid.json", json.dumps(card))


def rewritten(path: Path, **entries: bytes | None) -> bytes:
    """The bytes of a .keras file with other entries (dots as two underscores); None leaves one out."""
    changed = {name.replace("__", "."): data for name, data in entries.items()}
    target = path.with_suffix(".rewritten")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            data = changed.get(name, source.read(name))
            if data is not None:
                archive.writestr(name, data)
    return target.read_bytes()


def entry(path: Path, name: str) -> bytes:
    """One entry of a .keras file."""
    with zipfile.ZipFile(path) as source:
        return source.read(name)
