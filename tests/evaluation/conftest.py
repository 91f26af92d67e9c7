"""A small project as it stands before evaluate runs, with a tiny model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from candid.files import write_csv
from candid.settings import PARAMS, read_yaml
from tests.conftest import REPOSITORY
from tests.predict.tiny_model import write_data, write_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Callable[..., Path]:
    """Give a copy at a path of a tiny flat model, made once for each kind."""
    folder: Path = tmp_path_factory.mktemp("model")

    def make(path: Path, **kind: Any) -> Path:
        kind = {"channels": None, "best_epoch": 2, **kind}
        made = folder / f"{kind}.keras"
        if not made.exists():
            write_tiny(made, flat=True, **kind)
        return Path(shutil.copy(made, path))

    return make


@pytest.fixture
def make_project(tmp_path, monkeypatch, tiny) -> Callable[..., Path]:
    """Fill tmp_path with what evaluate reads (75 faces, 45 of them test) and go there."""

    def make(tta: str = "none", **kind: Any) -> Path:
        # 40..43 are copies of each other in the test part, 50 has a copy (0) in train, 60 only a relative (1)
        ids, copies, related = np.arange(75), np.full(75, -1), np.arange(75)
        copies[40:44], copies[[0, 50]] = 40, 0
        related[40:44], related[50], related[60] = 40, 0, 1
        parts = np.where(ids < 20, "train", np.where(ids < 30, "validation", "test"))
        write_data(tmp_path / "data", 75, parts, related, copies)
        (tmp_path / "models").mkdir()
        history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [1.0, 0.8, 0.6], "accuracy": [0.4, 0.5, 0.6]})
        history = history.assign(val_loss=[1.0, 0.9, 0.95], val_accuracy=[0.3, 0.5, 0.4], learning_rate=0.001)
        write_csv(tmp_path / "plots/history.csv", history)
        tiny(tmp_path / "models/model.keras", **kind)
        params = read_yaml(REPOSITORY / PARAMS)
        params["evaluate"] = {"tta": tta, "bootstrap": 200, "seed": 0}
        params["train"]["seed"], params["split"]["seed"] = 7, 3
        (tmp_path / PARAMS).write_text(json.dumps(params, indent=1))
        monkeypatch.chdir(tmp_path)
        return Path(tmp_path)

    return make
