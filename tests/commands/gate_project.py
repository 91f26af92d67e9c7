"""A small project in git whose results are drawn, for the tests of the gate and of the report."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from candid.evaluation.predictions import with_predictions
from candid.evaluation.report import evaluate

CLASSES = ("angry", "happy", "sad")
PARAMS: dict[str, Any] = {
    "data": {"dataset": "sample"},
    "model": {"arch": "basic_cnn"},
    "evaluate": {"bootstrap": 200, "seed": 0},
    "gate": {"margin": 0.005, "resamples": 2000},
}
PIPELINE: dict[str, Any] = {
    "stages": {
        "train": {
            "cmd": "python -m stages.train",
            "deps": ["stages/train", "data/faces.npy"],
            "params": ["model"],
            "outs": ["models/model.keras"],
        },
        "evaluate": {
            "cmd": "python -m stages.evaluate",
            "deps": ["stages/evaluate.py", "models/model.keras"],
            "params": ["evaluate"],
            "metrics": [{"metrics/report.json": {"cache": False}}],
            "plots": [{"plots/predictions.csv": {"cache": False}}],
        },
    }
}
GIT = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def faces(n: int = 400, seed: int = 0, right: float = 0.75, group: int = 1) -> pd.DataFrame:
    """A table of n test faces with predictions that are right with probability `right`."""
    generator = np.random.default_rng(seed)
    actual = generator.choice(3, n, p=[0.2, 0.5, 0.3])
    other = (actual + generator.integers(1, 3, n)) % 3
    predicted = np.where(generator.random(n) < right, actual, other)
    return pd.DataFrame(
        {
            "id": np.arange(n) * 3,
            "source": [f"{CLASSES[label]}/{row}.png" for row, label in enumerate(actual)],
            "digest": [hashlib.md5(f"{row}".encode()).hexdigest() for row in range(n)],
            "dataset": "sample",
            "group": np.arange(n) // group,
            "actual": np.array(CLASSES)[actual],
            "predicted": np.array(CLASSES)[predicted],
        }
    )


def worse(table: pd.DataFrame, lost: int, only: str | None = None) -> pd.DataFrame:
    """The same faces, with the first `lost` right ones (of a class) now wrong."""
    right = table["actual"] == table["predicted"]
    if only:
        right &= table["actual"] == only
    rows = table.index[right][:lost]
    assert len(rows) == lost
    changed = table.copy()
    after = {"angry": "sad", "happy": "angry", "sad": "angry"}
    changed.loc[rows, "predicted"] = changed.loc[rows, "actual"].map(after)
    return changed


@dataclass
class Project:
    """A project's folder; what is written stays uncommitted until `commit`."""

    root: Path
    params: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(PARAMS)))

    def git(self, *arguments: str) -> str:
        """Run git and give what it prints."""
        done = subprocess.run(
            ["git", "-C", str(self.root), *arguments],
            env={**os.environ, **GIT},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def start(self) -> Project:
        """Make the repository with its code and its pipeline."""
        self.git("init", "-q", "-b", "main")
        self.write("stages/train/net.py", "size = 1\n")
        self.write("stages/train/__pycache__/net.pyc", "not part of it\n")
        self.write("stages/evaluate.py", "bins = 15\n")
        self.write(".dvcignore", "__pycache__\n")
        self.write(".gitignore", "__pycache__\n/data/*\n/models/*\n/report/\n")
        self.write_yaml("dvc.yaml", PIPELINE)
        return self

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")

    def write_yaml(self, path: str, value: Any) -> None:
        """Write a YAML file of the project."""
        with (self.root / path).open("w", encoding="utf-8") as file:
            YAML().dump(value, file)

    def results(
        self, table: pd.DataFrame, classes: tuple[str, ...] = CLASSES, leaky: bool = False
    ) -> Project:
        """Write predictions and metrics as evaluate does, and a dvc.lock that matches the tree."""
        self.predictions(table, classes, leaky)
        self.lock()
        return self

    def predictions(
        self, table: pd.DataFrame, classes: tuple[str, ...] = CLASSES, leaky: bool = False
    ) -> None:
        """Write plots/predictions.csv and metrics/report.json."""
        numbers = {name: number for number, name in enumerate(classes)}
        predicted = table["predicted"].map(numbers).to_numpy()
        likely = np.where(np.arange(len(classes)) == predicted[:, None], 0.7, 0.3 / (len(classes) - 1))
        masks = dict.fromkeys(("leaked", "copied", "validated"), leaky)
        made = with_predictions(table.drop(columns="predicted").assign(**masks), classes, likely)
        self.write("plots/predictions.csv", made.to_csv(index=False))
        self.write("metrics/report.json", json.dumps(evaluate(made, 200, 0)))

    def lock(self) -> None:
        """Write params.yaml and the dvc.lock that DVC would write for the tree as it is."""
        self.write_yaml("params.yaml", self.params)
        net = self.md5("stages/train/net.py")
        folder = hashlib.md5(json.dumps([{"md5": net, "relpath": "net.py"}]).encode()).hexdigest() + ".dir"
        entries = {
            "train": {
                "cmd": "python -m stages.train",
                "deps": [
                    {"path": "data/faces.npy", "md5": "1" * 32},
                    {"path": "stages/train", "md5": folder},
                ],
                "params": {"params.yaml": {"model": self.params["model"]}},
                "outs": [{"path": "models/model.keras", "md5": "2" * 32}],
            },
            "evaluate": {
                "cmd": "python -m stages.evaluate",
                "deps": [
                    {"path": "models/model.keras", "md5": "2" * 32},
                    {"path": "stages/evaluate.py", "md5": self.md5("stages/evaluate.py")},
                ],
                "params": {"params.yaml": {"evaluate": self.params["evaluate"]}},
                "outs": [
                    {"path": path, "md5": self.md5(path)}
                    for path in ("metrics/report.json", "plots/predictions.csv")
                ],
            },
        }
        ingest = {
            "cmd": "python -m stages.ingest",
            "outs": [{"path": "data/faces.npy", "md5": "1" * 32}],
        }
        self.write_yaml("dvc.lock", {"schema": "2.0", "stages": {"ingest": ingest, **entries}})

    def md5(self, path: str) -> str:
        """Fingerprint of a file of the project."""
        return hashlib.md5((self.root / path).read_bytes()).hexdigest()

    def commit(self, message: str = "results") -> str:
        """Commit everything and give the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")
