"""A tiny model as train writes it, and the folder `data` of a run, for the tools."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from candid.backend import use_backend
from candid.data import faces
from candid.files import write_csv

SIZE, CLASSES = 24, ("angry", "happy", "sad")


def write_tiny(path: Path, channels: int = 1, flat: bool = False, **card: Any) -> Path:
    """Write a net of one convolution with batch norm (or, `flat`, of none) and random weights."""
    keras = use_backend("tensorflow")
    from candid.training.save import write_model

    keras.utils.set_random_seed(11)
    keras.backend.clear_session(free_memory=False)
    given = keras.Input((SIZE, SIZE, channels), dtype="uint8", name="faces")
    x = keras.layers.Rescaling(1 / 255, name="scaling")(given)
    if flat:
        x = keras.layers.Flatten(name="flat")(x)
    else:
        x = keras.layers.Conv2D(8, 5, padding="same", use_bias=False, name="stem_conv")(x)
        x = keras.layers.BatchNormalization(name="stem_norm")(x)
        x = keras.layers.ReLU(name="stem_relu")(x)
        x = keras.layers.MaxPooling2D(4, name="pool")(x)
        x = keras.layers.Flatten(name="head_flat")(x)
    x = keras.layers.Dense(len(CLASSES), kernel_initializer="glorot_normal", name="head_logits")(x)
    net = keras.Model(given, keras.layers.Softmax(name="head_softmax")(x), name="tiny")
    for layer in net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(np.linspace(-0.3, 0.3, 8))
            layer.moving_variance.assign(np.linspace(0.5, 2, 8))
    about = {"classes": list(CLASSES), "image_size": SIZE, "color": "grey" if channels == 1 else "rgb"}
    with warnings.catch_warnings():  # TensorFlow's tensors under NumPy 2
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        write_model(path, net, about | card)
    return path


def write_data(folder: Path, total: int = 90, test: int = 45, channels: int = 1) -> Path:
    """Write faces of noise whose class shows in the place of a bright bar, and a split of them."""
    generator = np.random.default_rng(5)
    ids = np.arange(total)
    shape = (total, SIZE, SIZE, 3)[: 3 if channels == 1 else 4]
    images = generator.integers(0, 140, shape).astype(np.uint8)
    for place in ids:
        images[place, 6 * (place % 3) : 6 * (place % 3) + 4] = 230
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "faces.npy", images)
    labels = np.array(CLASSES)[ids % 3]
    table = pd.DataFrame({"id": ids, "label": labels, "source": [f"a/{n}.png" for n in ids]})
    table = table.assign(dataset="sample", part="", subject="", sequence="")
    write_csv(folder / "faces.csv", table[list(faces.FACES_COLUMNS)])
    part = np.where(ids < total - test, "train", "test")
    write_csv(
        folder / "splits.csv", pd.DataFrame({"id": ids, "label": labels, "part": part, "group": ids // 2})
    )
    kept = pd.DataFrame({"id": ids, "group": -1, "kept": True, "reason": ""})
    write_csv(folder / "kept.csv", kept)
    return folder
