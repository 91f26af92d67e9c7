"""A project that the whole pipeline runs through in seconds, and its stages run in this process."""

from __future__ import annotations

import io
import shutil
import signal
import sys
import warnings
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from candid.errors import run
from candid.settings import read_yaml

ROOT = Path(__file__).resolve().parents[2]
PIPELINE: dict[str, Any] = read_yaml(ROOT / "dvc.yaml")["stages"]
DATA_STAGES = ("download", "ingest", "dedup", "split", "class_weights")
CLASSES = ("happy", "sad", "neutral")
EARLIER = b"what an earlier run wrote\n"
HANGS_SECONDS = 200
SETTINGS: dict[str, dict[str, Any]] = {
    "data": {"dataset": "folder", "path": "own", "image_size": 24},
    "split": {"ratios": [0.6, 0.2, 0.2]},
    "model": {"arch": "self_built"},
    "archs": {"self_built": {"scaling": "unit", "widths": [2, 2]}},
    "train": {"epochs": 2, "batch_size": 16, "steps_per_execution": 1},
    "evaluate": {"bootstrap": 100},
}


def write_params(folder: Path, **changes: dict[str, Any]) -> None:
    """Write the repository's params.yaml with SETTINGS, and these changes to its sections."""
    params = read_yaml(ROOT / "params.yaml")
    for sections in (SETTINGS, changes):
        for section, values in sections.items():
            for key, value in values.items():
                merge = isinstance(value, dict) and section == "archs"
                params[section][key] = params[section][key] | value if merge else value
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(params, file)


def write_pictures(folder: Path) -> None:
    """Write 60 pictures in three classes below own/, and copies, cut by two pixels, of six of them."""
    random = np.random.default_rng(0)
    for number in range(66):
        path = folder / "own" / CLASSES[number % 3] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < 60:
            coarse = Image.fromarray(random.integers(0, 256, (6, 6), np.uint8))
            smooth = np.asarray(coarse.resize((24, 24), Image.Resampling.BICUBIC), np.int16)
            picture = Image.fromarray((smooth // 2 + random.integers(0, 120, (24, 24))).astype(np.uint8))
        else:
            original = Image.open(folder / "own" / CLASSES[number % 3] / f"{number - 60:02d}.png")
            picture = original.resize((24, 24), Image.Resampling.BICUBIC, (1, 0, 23, 22))
        picture.save(path)


def outputs(stage: str) -> list[str]:
    """Paths of what dvc.yaml says that a stage makes."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in PIPELINE[stage].get(kind, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def files_at(folder: Path, paths: list[str]) -> dict[str, bytes]:
    """Relative path -> bytes of the files at these paths and, for folders, below them."""
    files: list[Path] = []
    for path in (folder / name for name in paths):
        files += [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class Hangs(BaseException):
    """Raised in what never ends; nothing catches it."""


@contextmanager
def no_hanging(seconds: int = HANGS_SECONDS) -> Any:
    """Raise Hangs in the block after that time."""

    def stop(*_: object) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True)
class Done:
    """How a stage ended."""

    status: int
    out: str
    err: str

    def line(self) -> str:
        """The one line on stderr; AssertionError if there is more or less than that."""
        assert self.err.count("\n") == 1, self.err
        assert len(self.err) < 1000
        return self.err


def run_stage(stage: str, folder: Path) -> Done:
    """Do here what `python -m stages.STAGE` does in `folder`; faults of the program itself are raised."""
    out, err = io.StringIO(), io.StringIO()
    status: Any = None
    main = import_module(f"stages.{stage}").main
    path = sys.path.copy()
    with warnings.catch_warnings(record=True) as caught, no_hanging(), chdir(folder):
        warnings.simplefilter("ignore", DeprecationWarning)  # as Python does outside tests
        sys.path.insert(0, str(folder))  # as -m does
        try:
            with redirect_stdout(out), redirect_stderr(err):
                run(stage, main)
        except SystemExit as end:
            status = end.code
        finally:
            sys.path[:] = path
    warned = "".join(f"warning: {each.message}\n" for each in caught)
    return Done(status or 0, out.getvalue(), warned + err.getvalue())


@dataclass(frozen=True)
class Undisturbed:
    """A project in which stages ran without any trouble."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, stages: tuple[str, ...] = DATA_STAGES) -> Undisturbed:
        """Run the stages in an empty folder."""
        write_pictures(folder)
        write_params(folder)
        for stage in stages:
            done = run_stage(stage, folder)
            assert (done.status, done.err) == (0, ""), done.err
        return cls(folder)

    def before(self, stage: str, folder: Path) -> Path:
        """Make a project as it is before `stage` runs, with outputs that an earlier run of it left."""
        folder.mkdir()
        shutil.copy(self.folder / "params.yaml", folder)
        data = [path for path in PIPELINE[stage]["deps"] if path.startswith(("data/", "models/", "plots/"))]
        for path in ["own"] if stage == "download" else data:
            if (self.folder / path).exists():
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
