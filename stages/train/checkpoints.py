"""What a killed run leaves behind, so that the same command goes on from the last finished epoch."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.files import writing
from stages.train.schedules import Patience, Plateau

Arrays = list[NDArray[Any]]


@dataclass
class Progress:
    """Everything a run knows beside its arrays, after a finished epoch."""

    plateau: Plateau
    epoch: int = 0
    """Finished epochs."""
    patience: Patience = field(default_factory=Patience)
    best: float | None = None
    """Of the metric that `train.monitor` names."""
    best_epoch: int = 0
    """The epoch that is saved, from 1."""
    stopped: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Saved:
    """A checkpoint as read."""

    progress: Progress
    weights: Arrays
    optimizer: Arrays
    best: Arrays


class Checkpoints:
    """The files of one run in one folder: state.npz, and best-<epoch>.npz that it refers to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0

    def write(self, progress: Progress, weights: Arrays, optimizer: Arrays) -> None:
        """Replace the state; files of earlier best epochs go afterwards."""
        text = np.frombuffer(json.dumps(asdict(progress)).encode(), np.uint8)
        _write(self.folder / "state.npz", {"progress": [text], "weights": weights, "optimizer": optimizer})
        keep = self._best(progress.best_epoch)
        for path in self.folder.glob("best-*.npz"):
            if path != keep:
                path.unlink()

    def write_best(self, epoch: int, weights: Arrays) -> None:
        """Keep the weights of the best epoch so far; call it before `write`."""
        _write(self._best(epoch), {"weights": weights})

    def read(self) -> Saved | None:
        """Return the last checkpoint; None where there is none or it can't be read."""
        try:
            state = _read(self.folder / "state.npz")
            values = json.loads(state["progress"][0].tobytes())
            values |= {"plateau": Plateau(**values["plateau"]), "patience": Patience(**values["patience"])}
            progress = Progress(**values)
            best = _read(self._best(progress.best_epoch))["weights"]
        except (FileNotFoundError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None
        return Saved(progress, state["weights"], state.get("optimizer", []), best)

    def clear(self) -> None:
        """Remove the folder: the run is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _best(self, epoch: int) -> Path:
        return self.folder / f"best-{epoch}.npz"


def _write(path: Path, groups: dict[str, Arrays]) -> None:
    named = {f"{name}_{i:05d}": array for name, arrays in groups.items() for i, array in enumerate(arrays)}
    with writing(path) as aside, aside.open("wb") as file:
        np.savez(file, **named)  # type: ignore[arg-type]


def _read(path: Path) -> dict[str, Arrays]:
    groups: dict[str, Arrays] = {}
    with np.load(path, allow_pickle=False) as stored:
        for key in sorted(stored.files):
            groups.setdefault(key.rsplit("_", 1)[0], []).append(stored[key])
    return groups
