"""A small project as it stands before evaluate runs, with a tiny model."""

from __future__ import annotations

import json
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from candid.backend import use_backend
from candid.data import faces
from candid.files import write_csv
from candid.settings import PARAMS, read_yaml

REPOSITORY = Path(__file__).resolve().parents[2]
SIZE, CLASSES = 24, ("angry", "happy", "sad")


def add_card(path: Path, **changes: Any) -> None:
    """Append entry candid.json to a .keras file."""
    card = {"classes": list(CLASSES), "image_size": SIZE, "color": "grey", "best_epoch": 2} | changes
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("candid.json", json.dumps(card))


@pytest.fixture(scope="session", name="add_card")
def give_add_card() -> Callable[..., None]:
    return add_card


@pytest.fixture(scope="session")
def bare_model(tmp_path_factory) -> Callable[..., Path]:
    """Give the path of a Keras model without card, made once for each kind: uint8 faces in, softmax out."""
    made: dict[tuple[Any, ...], Path] = {}

    def build(size: int = SIZE, channels: tuple[int, ...] = (), activation: str = "softmax") -> Path:
        key = (size, channels, activation)
        if key not in made:
            keras = use_backend("tensorflow")
            keras.utils.set_random_seed(3)
            given = keras.Input((size, size, *channels), dtype="uint8")
            x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(given))
            model = keras.Model(given, keras.layers.Dense(len(CLASSES), activation)(x))
            made[key] = tmp_path_factory.mktemp("model") / "bare.keras"
            with warnings.catch_warnings():  # TensorFlow's tensors under NumPy 2
                warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
                model.save(made[key])
        return made[key]

    return build


@pytest.fixture
def make_project(tmp_path, monkeypatch, bare_model) -> Callable[..., Path]:
    """Fill tmp_path with what evaluate reads (75 faces, 45 of them test) and go there."""

    def make(tta: str = "none", card: dict[str, Any] | None = None, **kind: Any) -> Path:
        generator = np.random.default_rng(5)
        total = 75
        ids = np.arange(total)
        labels = np.array(CLASSES)[ids % 3]
        (tmp_path / "data").mkdir()
        np.save(tmp_path / "data/faces.npy", generator.integers(0, 256, (total, SIZE, SIZE)).astype(np.uint8))
        table = pd.DataFrame({"id": ids, "label": labels, "source": [f"a/{n}.png" for n in ids]})
        table = table.assign(dataset="made", part="", subject="", sequence="")
        write_csv(tmp_path / "data/faces.csv", table[list(faces.FACES_COLUMNS)])
        # 40..43 are copies of each other in the test part, 50 has a copy (0) in train, 60 only a relative (1)
        duplicates = np.full(total, -1)
        duplicates[40:44], duplicates[[0, 50]] = 40, 0
        kept = pd.DataFrame({"id": ids, "group": duplicates, "kept": True, "reason": ""})
        write_csv(tmp_path / "data/kept.csv", kept)
        honest = ids.copy()
        honest[40:44], honest[50], honest[60] = 40, 0, 1
        parts = np.where(ids < 20, "train", np.where(ids < 30, "validation", "test"))
        splits = pd.DataFrame({"id": ids, "label": labels, "part": parts, "group": honest})
        write_csv(tmp_path / "data/splits.csv", splits)
        history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [1.0, 0.8, 0.6], "accuracy": [0.4, 0.5, 0.6]})
        history = history.assign(val_loss=[1.0, 0.9, 0.95], val_accuracy=[0.3, 0.5, 0.4], learning_rate=0.001)
        write_csv(tmp_path / "plots/history.csv", history)
        (tmp_path / "models").mkdir()
        shutil.copy(bare_model(**kind), tmp_path / "models/model.keras")
        add_card(tmp_path / "models/model.keras", **(card or {}))
        params = read_yaml(REPOSITORY / PARAMS)
        params["evaluate"] = {"tta": tta, "bootstrap": 200, "seed": 0}
        params["train"]["seed"], params["split"]["seed"] = 7, 3
        (tmp_path / PARAMS).write_text(json.dumps(params, indent=1))
        monkeypatch.chdir(tmp_path)
        return Path.cwd()

    return make
