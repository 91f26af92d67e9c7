"""A tiny net and tiny faces for the tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from candid.training.checkpoints import Checkpoints
from candid.training.data import TrainingSet
from candid.training.fit import COLUMNS, Progress, train
from candid.training.settings import TrainSettings

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
}

TRAIN: dict[str, Any] = {
    "backend": "tensorflow",
    "precision": "float32",
    "epochs": 3,
    "batch_size": 16,
    "steps_per_execution": 1,
    "optimizer": "nadam",
    "learning_rate": 0.01,
    "weight_decay": 0.0,
    "clip_norm": None,
    "schedule": "constant",
    "early_stopping": None,
    "monitor": "val_accuracy",
    "label_smoothing": 0.0,
    "mixup": 0.0,
    "averaging": 0.0,
    "batch_norm": "recomputed",
    "freeze": None,
    "augment": AUGMENT,
    "seed": 0,
}


class CutShort(BaseException):
    """Stands for SIGKILL: nothing may catch it, and what is on disk is the same."""


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
    x = keras.layers.Dense(classes, name="head_dense")(x)
    return keras.Model(faces, keras.layers.Softmax(dtype="float32")(x), name="tiny")


def fit(
    folder: Path,
    settings: TrainSettings,
    data: TrainingSet | None = None,
    make: Any = build,
    cut_after: int | None = None,
    lines: list[str] | None = None,
    **options: Any,
) -> tuple[Any, pd.DataFrame]:
    """Train with checkpoints in `folder`; CutShort after the line of an epoch. The net and its history."""

    def say(line: str) -> None:
        if lines is not None:
            lines.append(line)
        if line.startswith(f"epoch {cut_after}/"):
            raise CutShort

    keras.backend.clear_session()  # as in a new process, layers are named from the start
    checkpoints = Checkpoints(folder)
    net, history = train(make, data or faces(), settings, checkpoints, progress=Progress(say), **options)
    return net, pd.DataFrame(history, columns=list(COLUMNS))


def faces(
    train: int = 40, validation: int = 20, size: int = 12, channels: int = 1, classes: int = 3, wrong: int = 0
) -> TrainingSet:
    """Faces whose class shows in where a bright bar is, on noise; every `wrong`-th has a wrong label."""
    rng = np.random.default_rng(0)
    labels = np.arange(train + validation, dtype=np.int32) % classes
    pixels = rng.integers(0, 120, (train + validation, size, size, channels), dtype=np.uint8)
    for i, label in enumerate(labels):
        pixels[i, 4 * label : 4 * label + 3] = 250 - 60 * label
    if wrong:
        labels[::wrong] = (labels[::wrong] + 1) % classes
    names, weights = ["happy", "sad", "neutral"][:classes], np.ones(classes, np.float32)
    return TrainingSet(faces=pixels, labels=labels, classes=names, class_weights=weights, train=train)
