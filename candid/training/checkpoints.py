"""What a killed run leaves behind, so that the same command goes on from the last finished epoch."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candid.files import writing
from candid.training.schedules import Patience, Plateau

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
        self.rest_until = 0.0

    def write(
        self, progress: Progress, weights: Callable[[], Arrays], optimizer: Callable[[], Arrays], best: Arrays
    ) -> None:
        """Replace the checkpoint by one of the epoch just finished.

        Where writing takes more than a second (hundreds of megabytes; on a GPU an epoch takes no longer),
        some epochs are left out so that it takes at most a twentieth of the time. A killed run then repeats
        them, and ends with the same bits.

        Args:
            weights: gives the net's weights, asked for only when they are written; `optimizer` likewise.
            best: weights of the best epoch so far.
        """
        started = time.monotonic()
        if started < self.rest_until:
            return
        kept = self._best(progress.best_epoch)
        if not kept.exists():
            _write(kept, {"weights": best})
        text = np.frombuffer(json.dumps(asdict(progress)).encode(), np.uint8)
        state = {"progress": [text], "weights": weights(), "optimizer": optimizer()}
        _write(self.folder / "state.npz", state)
        for path in self.folder.glob("best-*.npz"):
            if path != kept:
                path.unlink()
        took = time.monotonic() - started
        if took > 1:
            self.rest_until = time.monotonic() + 19 * took

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


class NoCheckpoints(Checkpoints):
    """For runs that start anew after a kill."""

    def __init__(self) -> None:
        super().__init__(Path())

    def write(self, *args: Any) -> None:
        """Keep nothing."""

    def read(self) -> Saved | None:
        """Find nothing."""
        return None

    def clear(self) -> None:
        """There is nothing to remove."""


def _write(path: Path, groups: dict[str, Arrays]) -> None:
    named = {f"{name}_{i:05d}": array for name, arrays in groups.items() for i, array in enumerate(arrays)}
    with writing(path) as aside, aside.open("wb") as file:
        np.savez(file, **named)  # type: ignore[arg-type]


def _read(path: Path) -> dict[str, Arrays]:
    groups: dict[str, Arrays] = {}
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        for key in sorted(stored.files):
            groups.setdefault(key.rsplit("_", 1)[0], []).append(stored[key])
    return groups
