"""A project with everything that a report shows."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from candid.report.run import PICTURES
from tests.gate.conftest import project as project
from tests.gate.project import CLASSES, Project, faces

SETTINGS: dict[str, Any] = {
    "data": {"dataset": "sample", "path": "data/own", "parts": None, "classes": None, "image_size": 48}
    | {"color": "grey", "max_rejected_share": 0.01},
    "dedup": {"policy": "auto", "hash": "phash"},
    "split": {"protocol": "random", "ratios": [0.8, 0.1, 0.1], "groups": ["subject"], "seed": 3},
    "class_weights": {"scheme": "balanced"},
    "archs": {"basic_cnn": {"dropout": 0.3}, "vgg16": {"dropout": 0.5}},
    "train": {"optimizer": "adam", "learning_rate": 0.001, "schedule": "constant", "batch_size": 8}
    | {"epochs": 4, "monitor": "val_accuracy", "seed": 5, "backend": "tensorflow", "precision": "float32"}
    | {"early_stopping": {"monitor": "val_loss", "patience": 2}}
    | {"augment": {"flip": 0.5, "rotation": {"degrees": 10, "probability": 0.0}}},
}
HISTORY = """epoch,loss,accuracy,val_loss,val_accuracy,learning_rate
1,1.1,0.4,1.2,0.41,0.001
2,0.9,0.5,1.0,0.55,0.001
3,0.8,0.6,0.95,0.52,0.001
"""


def reported(root: Path) -> Project:
    """A project whose results stand in one commit."""
    project = Project(root).start()
    own = copy.deepcopy(SETTINGS)  # tests change settings in place
    project.params = {**own, **project.params, "data": own["data"]}
    counts = {name: {"faces": 100, "share": 0.3} for name in CLASSES}
    parts = {part: {"faces": 300, "per_class": counts} for part in ("train", "validation", "test")}
    project.results(faces())
    for name, value in {
        "ingest": {"faces": 900, "rejected": 7, "skipped": 2},
        "dedup": {"policy": "remove", "images_with_copy": 61, "share_with_copy": 0.07, "exact_pairs": 11}
        | {"near_pairs": 22, "groups": 30, "largest_group": 4, "removed": 31}
        | {"conflicting_groups": 3, "conflicting_images": 8},
        "split": {"faces": 900, "leaky": False, "leaked_test_faces": 0, **parts},
        "provenance": {"versions": {"python": "3.11.2", "keras": "3.15.1"}, "revision": "abc123" * 6}
        | {"dirty": False, "device": {"processor": "A <b>CPU</b>", "cores": 2, "devices": ["cpu:0"]}},
    }.items():
        project.write(f"metrics/{name}.json", json.dumps(value))
    project.write("plots/history.csv", HISTORY)
    for name in PICTURES:
        Image.fromarray(np.full((50, 80), len(name), np.uint8)).save(root / f"plots/{name}.png")
    project.commit()
    return project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return reported(tmp_path_factory.mktemp("reported"))
