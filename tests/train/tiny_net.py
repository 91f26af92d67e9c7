"""A tiny net and tiny faces for the tests of training."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd

from stages.train.inputs import TrainingSet
from stages.train.params import TrainSettings
from stages.train.train import COLUMNS
from stages.train.train import train as train_net

AUGMENT: dict[str, Any] = {
    "flip": 0.0,
    "rotation": {"degrees": 10.0, "probability": 0.0},
    "shift": {"fraction": 0.1, "probability": 0.0},
    "zoom": {"low": 0.9, "high": 1.1, "probability": 0.0},
    "resized_crop": {"low": 0.8, "high": 1.2, "aspect": 1.333, "probability": 0.0},
    "fill": "nearest",
    "brightness": {"amount": 0.2, "probability": 0.0},
    "contrast": {"amount": 0.2, "probability": 0.0},
    "saturation": {"amount": 0.2, "probability": 0.0},
    "erasing": {"low": 0.02, "high": 0.33, "aspect": 3.3, "probability": 0.0},
    "crop": None,
    "crop_from": "ten",
}

TRAIN: dict[str, Any] = {
    "backend": "tensorflow",
    "precision": "float32",
    "epochs": 3,
    "batch_size": 16,
    "steps_per_execution": 1,
    "optimizer": "nadam",
    "learning_rate": 0.01,
    "momentum": 0.9,
    "nesterov": False,
    "weight_decay": 0.0,
    "clip_norm": None,
    "schedule": "constant",
    "min_lr": 1e-7,
    "plateau": {"monitor": "val_accuracy", "patience": 2, "factor": 0.1},
    "warmup_epochs": 0,
    "step_epochs": [],
    "step_factor": 0.1,
    "early_stopping": {"monitor": "val_accuracy", "patience": None},
    "monitor": "val_accuracy",
    "label_smoothing": 0.0,
    "mixup": 0.0,
    "averaging": 0.0,
    "batch_norm": "recomputed",
    "freeze_epochs": 0,
    "thaw_learning_rate": 0.001,
    "augment": AUGMENT,
    "seed": 0,
}


def settings(augment: dict[str, Any] | None = None, **changes: Any) -> TrainSettings:
    """Section `train` for tests, with some keys changed."""
    return TrainSettings.model_validate({**TRAIN, "augment": {**AUGMENT, **(augment or {})}, **changes})


def build(size: int = 12, channels: int = 1, classes: int = 3) -> Any:
    """A net of two layers with batch norm and dropout."""
    faces = keras.Input((size, size, channels), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(faces)
    x = keras.layers.Conv2D(8, 3, activation="relu", name="body")(x)
    x = keras.layers.BatchNormalization(name="body_norm")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    x = keras.layers.Dense(classes, name="head")(x)
    return keras.Model(faces, keras.layers.Softmax(dtype="float32")(x), name="tiny")


def train(*given: Any, **options: Any) -> tuple[Any, pd.DataFrame]:
    """Train, with the history as the table that the stage writes."""
    net, history = train_net(*given, **options)
    return net, pd.DataFrame(history, columns=list(COLUMNS))


def body_layers(net: Any) -> list[Any]:
    """The layers below the head."""
    return [layer for layer in net.layers if layer.name.startswith("body")]


def faces(
    train: int = 40, validation: int = 20, size: int = 12, channels: int = 1, classes: int = 3, wrong: int = 0
) -> TrainingSet:
    """Faces whose class shows in the place of a bright bar, on noise; every `wrong`-th has a wrong label."""
    rng = np.random.default_rng(0)
    labels = np.arange(train + validation, dtype=np.int32) % classes
    pixels = rng.integers(0, 120, (train + validation, size, size, channels), dtype=np.uint8)
    for i, label in enumerate(labels):
        pixels[i, 4 * label : 4 * label + 3] = 250 - 60 * label
    if wrong:
        labels[::wrong] = (labels[::wrong] + 1) % classes
    return TrainingSet(
        faces=pixels,
        labels=labels,
        classes=["happy", "sad", "neutral"][:classes],
        class_weights=np.ones(classes, np.float32),
        train=train,
    )
