"""A tiny model as train writes it, and the folder `data` of a run, for the tools."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from candid.backend import use_backend
from candid.data import faces
from candid.files import write_csv

SIZE, CLASSES = 24, ("angry", "happy", "sad")


def write_tiny(
    path: Path, size: int = SIZE, channels: int | None = 1, flat: bool = False, **card: Any
) -> Path:
    """Write a net of one convolution with batch norm (or, `flat`, of none) and random weights.

    `channels` None: its input has no axis of channels (of a flat net only).
    """
    keras = use_backend("tensorflow")
    from candid.training.save import write_model

    layers = keras.layers
    keras.utils.set_random_seed(11)
    keras.backend.clear_session(free_memory=False)
    inputs = keras.Input((size, size, channels)[: 2 if channels is None else 3], dtype="uint8", name="faces")
    x = layers.Rescaling(1 / 255, name="scaling")(inputs)
    if not flat:
        x = layers.Conv2D(8, 5, padding="same", use_bias=False, name="stem_conv")(x)
        norm = layers.BatchNormalization(name="stem_norm")
        x = layers.MaxPooling2D(4, name="pool")(layers.ReLU(name="stem_relu")(norm(x)))
        norm.moving_mean.assign(np.linspace(-0.3, 0.3, 8))
        norm.moving_variance.assign(np.linspace(0.5, 2, 8))
    x = layers.Flatten(name="head_flat")(x)
    x = layers.Dense(len(CLASSES), kernel_initializer="glorot_normal", name="head_logits")(x)
    net = keras.Model(inputs, layers.Softmax(name="head_softmax")(x), name="tiny")
    about = {"classes": list(CLASSES), "image_size": size, "color": "rgb" if channels == 3 else "grey"}
    write_model(path, net, about | card)
    return path


def change(path: Path, changed: dict[str, Any], compression: int = zipfile.ZIP_STORED) -> Path:
    """Write entries anew: bytes, or what JSON takes; None leaves one out."""
    with zipfile.ZipFile(path) as file:
        entries: dict[str, Any] = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, value in (entries | changed).items():
            if value is not None:
                file.writestr(name, value if isinstance(value, bytes) else json.dumps(value))
    return path


def write_data(folder: Path, total: int = 90, part: Any = None, group: Any = None, copies: Any = -1) -> Path:
    """Write faces of noise whose class shows in the place of a bright bar, and a split of them.

    By face: its part (half train, half test), group of related faces (two each), and group of copies (none).
    """
    ids = np.arange(total)
    images = np.random.default_rng(5).integers(0, 140, (total, SIZE, SIZE)).astype(np.uint8)
    for number in ids:
        images[number, 6 * (number % 3) : 6 * (number % 3) + 4] = 230
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "faces.npy", images)
    table = pd.DataFrame({"id": ids, "label": np.array(CLASSES)[ids % 3]})
    rest = {"dataset": "sample", "part": "", "subject": "", "sequence": ""}
    described = table.assign(source=[f"a/{number}.png" for number in ids], **rest)
    write_csv(folder / "faces.csv", described[list(faces.FACES_COLUMNS)])
    part = np.where(ids < total // 2, "train", "test") if part is None else part
    write_csv(folder / "splits.csv", table.assign(part=part, group=ids // 2 if group is None else group))
    write_csv(folder / "kept.csv", pd.DataFrame({"id": ids, "group": copies, "kept": True, "reason": ""}))
    return folder
