"""A set of faces as ingest to class_weights write it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ingest to class_weights write, for 90 faces of which the last 20 are in no part."""
    folder = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(0)
    (folder / "data").mkdir()
    names = np.array(["happy", "sad", "neutral"])[np.arange(90) % 3]
    np.save(folder / "data/faces.npy", rng.integers(0, 256, (90, 16, 16), dtype=np.uint8))
    ids = np.arange(90)
    columns = {"id": ids, "label": names, "source": [f"{i}.png" for i in ids], "dataset": "own", "part": ""}
    pd.DataFrame({**columns, "subject": "", "sequence": ""}).to_csv(folder / "data/faces.csv", index=False)
    kept = {"id": ids, "group": np.where(np.isin(ids, [3, 65]), 0, -1), "kept": "true", "reason": ""}
    pd.DataFrame(kept).to_csv(folder / "data/kept.csv", index=False)
    part = np.repeat(["train", "validation", "test"], [40, 15, 15])
    order = rng.permutation(70)  # rows need not stand by id
    splits = pd.DataFrame({"id": ids[:70], "label": names[:70], "part": part, "group": ids[:70]}).iloc[order]
    splits.to_csv(folder / "data/splits.csv", index=False)
    (folder / "data/class_weights.json").write_text(json.dumps({"happy": 1.0, "sad": 2.0, "neutral": 0.5}))
    return folder
