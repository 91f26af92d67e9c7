"""A project that the whole pipeline runs through in seconds, and what stands in it at each point."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from candid.settings import read_yaml
from tests.duplicates.made import cut, made_pictures

ROOT = Path(__file__).resolve().parents[2]
PIPELINE: dict[str, Any] = read_yaml(ROOT / "dvc.yaml")["stages"]
CLASSES = ("happy", "neutral", "sad")
EARLIER = b"what an earlier run wrote\n"
LEFT_ASIDE = re.compile(r"\..+-[0-9]+-[a-z0-9_]{8}(\.\w+)?")
"""How files.writing names what isn't finished."""
SETTINGS: dict[str, dict[str, Any]] = {
    "data": {"dataset": "folder", "path": "own", "image_size": 24},
    "split": {"ratios": [0.6, 0.2, 0.2]},
    "model": {"arch": "self_built"},
    "archs": {"self_built": {"widths": [2, 2]}},
    "train": {"epochs": 2, "batch_size": 16, "steps_per_execution": 1},
    "evaluate": {"bootstrap": 100},
}


def write_params(folder: Path, **changes: dict[str, Any]) -> None:
    """Write the repository's params.yaml with SETTINGS, and these changes to its sections."""
    params = read_yaml(ROOT / "params.yaml")
    for given in (SETTINGS, changes):
        for section, values in given.items():
            params[section] |= values
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(params, file)


def write_pictures(folder: Path) -> None:
    """Write 60 pictures in three classes below own/, and copies of six of them."""
    pictures = made_pictures(60, size=24)
    copies = [cut(picture, 1, 0, 22) for picture in pictures[:6]]
    for number, picture in enumerate([*pictures, *copies]):
        path = folder / "own" / CLASSES[number % 3] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(picture)).save(path)


def outputs(stage: str) -> list[str]:
    """Paths of what dvc.yaml says that a stage makes, and of the provenance beside the metrics."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in PIPELINE[stage].get(kind, [])]
    paths = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return paths + (["metrics/provenance.json"] if stage == "evaluate" else [])


def inputs(stage: str) -> list[str]:
    """Paths of the data that a stage reads."""
    if stage == "download":
        return ["own"]
    return [path for path in PIPELINE[stage]["deps"] if not path.startswith("stages/")]


def files_at(folder: Path, paths: list[str]) -> dict[str, bytes]:
    """What stands at these paths and, for folders, below them: relative path -> bytes."""
    found = []
    for path in (folder / name for name in paths):
        found += [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def left_aside(folder: Path) -> list[str]:
    """Unfinished files in the folders that stages write to."""
    places = ("data", "data/raw", "metrics", "plots", "models")
    files = [path for place in places if (folder / place).is_dir() for path in (folder / place).iterdir()]
    return sorted(path.name for path in files if LEFT_ASIDE.fullmatch(path.name))


def run_process(stage: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m stages.<stage>` in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", f"stages.{stage}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CANDID_STATE": str(folder / "state"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Undisturbed:
    """A project in which stages ran without any trouble, each as a process of its own."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, stages: tuple[str, ...]) -> Undisturbed:
        """Run the stages in an empty folder."""
        write_pictures(folder)
        write_params(folder)
        return cls.run(folder, stages)

    @classmethod
    def run(cls, folder: Path, stages: tuple[str, ...]) -> Undisturbed:
        """Run the stages in a project."""
        for stage in stages:
            done = run_process(stage, folder)
            assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return cls(folder)

    def before(self, stage: str, folder: Path) -> Path:
        """Make a project as it is before `stage` runs, with outputs that an earlier run of it left."""
        folder.mkdir()
        shutil.copy(self.folder / "params.yaml", folder)
        for path in inputs(stage):
            if not (self.folder / path).exists():
                continue
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (self.folder / path).is_dir() else shutil.copy
            copy(self.folder / path, folder / path)
        for path in self.wanted(stage):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(EARLIER)
        return folder

    def wanted(self, stage: str) -> dict[str, bytes]:
        """Files that the stage makes and what is in them."""
        return files_at(self.folder, outputs(stage))

    def broken(self, stage: str, folder: Path) -> list[str]:
        """Outputs in `folder` that are neither an earlier run's nor this one's, whole."""
        wanted = self.wanted(stage)
        return [
            path
            for path, content in files_at(folder, outputs(stage)).items()
            if not LEFT_ASIDE.fullmatch(Path(path).name) and content not in (EARLIER, wanted.get(path))
        ]
