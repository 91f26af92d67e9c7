"""Stages in part, or in need, for the server to run."""

from __future__ import annotations

from candid.data.faces import load_images, read_splits
from candid.files import read_json
from candid.settings import read_section
from candid.training.data import training_set
from candid.training.settings import ModelSettings, TrainSettings


def read_training_set() -> None:
    """Read what train reads, without starting TensorFlow."""
    training_set(
        load_images("data/faces.npy"), read_splits("data/splits.csv"), read_json("data/class_weights.json")
    )


def read_train_settings() -> None:
    """Read the settings of train, without starting TensorFlow."""
    read_section("train", TrainSettings)
    read_section("model", ModelSettings)
