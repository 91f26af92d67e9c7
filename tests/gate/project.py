"""A small project in git whose results are drawn, for the tests of the gate and of the report."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from candid.evaluation.predictions import with_predictions
from candid.evaluation.report import evaluate, headline
from candid.files import write_csv
from candid.gate.verdict import STAGES

CLASSES = ("angry", "happy", "sad")
PARAMS: dict[str, Any] = {
    "data": {"dataset": "sample"},
    "model": {"arch": "basic_cnn"},
    "evaluate": {"bootstrap": 200, "seed": 0},
    "gate": {"margin": 0.005},
}
GIT = {f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
GIT |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


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


def pipeline() -> dict[str, Any]:
    """A pipeline of the seven stages; a stage is a file that says it ran."""
    stages: dict[str, Any] = {
        name: {"cmd": f"python -m stages.{name}", "deps": [f"stages/{name}.py"], "outs": [f"data/{name}"]}
        for name in STAGES
    }
    stages["train"] |= {"params": ["model"], "deps": ["stages/train.py", "data/split"]}
    outputs = ("metrics/report.json", "metrics/metrics.json", "plots/predictions.csv")
    stages["evaluate"] |= {
        "params": ["evaluate"],
        "deps": ["stages/evaluate.py", "data/train"],
        "outs": [{path: {"cache": False, "persist": True}} for path in outputs],
    }
    return {"stages": stages}


@dataclass
class Project:
    """A project's folder; what is written stays uncommitted until `commit`."""

    root: Path
    params: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(PARAMS))

    def copy(self, root: Path) -> Project:
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        return Project(root, copy.deepcopy(self.params))

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout.strip()

    def dvc(self, *arguments: str) -> None:
        self.run(sys.executable, "-m", "dvc", *arguments)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": "."}
        environment = {**os.environ, **GIT, **path}
        return subprocess.run(
            command, cwd=self.root, env=environment, check=True, capture_output=True, text=True
        )

    def start(self) -> Project:
        self.git("init", "-q", "-b", "main")
        self.write(".dvc/config", "[core]\n    analytics = false\n")
        self.write(".dvc/.gitignore", "/tmp\n/cache\n")
        for name in STAGES:
            made = "" if name == "evaluate" else f"Path('data/{name}').write_text('made')"
            self.write(f"stages/{name}.py", f"from pathlib import Path\n{made}\n")
        self.write(".dvcignore", "__pycache__\n")
        self.write(".gitignore", "__pycache__\n/data/*\n/report/\n/plots/*.png\n/plots/history.csv\n")
        self.write("data/.keep", "")
        self.write_yaml("dvc.yaml", pipeline())
        return self

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")

    def write_yaml(self, path: str, value: Any) -> None:
        with (self.root / path).open("w", encoding="utf-8") as file:
            YAML().dump(value, file)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace the first `old` of a file; it must be there."""
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text
        self.write(path, text.replace(old, new, 1))

    def results(self, table: pd.DataFrame, *rest: Any, **options: Any) -> Project:
        self.write_yaml("params.yaml", self.params)
        self.predictions(table, *rest, **options)
        return self

    def predictions(
        self, table: pd.DataFrame, classes: tuple[str, ...] = CLASSES, leaky: bool = False
    ) -> None:
        numbers = {name: number for number, name in enumerate(classes)}
        predicted = table["predicted"].map(numbers).to_numpy()
        likely = np.where(np.arange(len(classes)) == predicted[:, None], 0.7, 0.3 / (len(classes) - 1))
        masks = dict.fromkeys(("leaked", "copied", "validated"), leaky)
        named = table.drop(columns=["actual", "predicted"]).assign(**masks, actual=table["actual"])
        written = with_predictions(named, classes, likely)
        report = evaluate(written, 200, 0)
        write_csv(self.root / "plots/predictions.csv", written)
        self.write("metrics/report.json", json.dumps(report))
        self.write("metrics/metrics.json", json.dumps(headline(report)))

    def commit(self, message: str = "results") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")
