"""What all tests of reliability begin with: a tiny project, and small models."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from candid.backend import use_backend
from candid.predict.classifier import Classifier, load_classifier
from tests.reliability.tiny import CLASSES, Undisturbed


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A project in which the stages before training have run."""
    return Undisturbed.make(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small models that take faces and give scores, <name>.keras, most with one thing wrong."""
    use_backend("tensorflow")
    import h5py
    import keras

    def net(size: int = 24, channels: int = 1, outputs: int = 3, activation: str = "softmax") -> Any:
        faces = keras.Input((size, size, channels), dtype="uint8")
        x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(faces))
        return keras.Model(faces, keras.layers.Dense(outputs, activation)(x))

    folder = tmp_path_factory.mktemp("models")
    h5py.File(folder / "empty.h5", "w").close()
    keras.utils.set_random_seed(1)
    broken = net()
    broken.set_weights([np.full_like(weight, np.nan) for weight in broken.get_weights()])
    one, two = keras.Input((24, 24, 1)), keras.Input((24, 24, 1))
    both = keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(keras.layers.Add()([one, two])))
    nets = {
        "right": net(),
        "larger": net(size=32),
        "coloured": net(channels=3),
        "four": net(outputs=4),
        "unbounded": net(activation="linear"),
        "nan": broken,
        "two_inputs": keras.Model([one, two], both),
    }
    for name, model in nets.items():
        model.save(folder / f"{name}.keras")
        side = 32 if name == "larger" else 24
        card = {"classes": CLASSES, "image_size": side, "color": "grey", "best_epoch": 1}
        with zipfile.ZipFile(folder / f"{name}.keras", "a") as archive:
            archive.writestr("candid.json", json.dumps(card))
    return folder


@pytest.fixture(scope="session")
def classifier(models: Path) -> Classifier:
    """A model that predict takes."""
    return load_classifier(models / "right.keras")


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDID_STATE", str(tmp_path_factory.getbasetemp() / "state"))
