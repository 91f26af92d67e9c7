"""What a killed run leaves behind, so that the same command resumes from its last finished epoch.

A run has a folder outside the checkout, named by all that its result depends on: DVC starts each further
attempt at a queued experiment in a new temporary folder, where nothing would be left of the one before.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from candid.files import md5, writing

Arrays = list[NDArray[Any]]
History = list[dict[str, float]]

KEPT_DAYS = 30
MAX_SHARE = 0.05  # of a run's time that may go into writing checkpoints


class Checkpoint(NamedTuple):
    """A run after a finished epoch; what schedule and patience count follows from the history."""

    history: History  # a row an epoch
    weights: Arrays  # of the net
    optimizer: Arrays
    best: Arrays  # weights of the best epoch so far, as they were validated


class Checkpoints:
    """The one file of a run, state.npz in its folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.npz"
        self.rest_until = 0.0

    def write(self, make: Callable[[], Checkpoint]) -> None:
        """Replace the checkpoint by the one that `make` gives.

        Where writing takes more than a second (hundreds of megabytes; on a GPU an epoch takes no longer),
        some epochs are left out, so that it takes at most MAX_SHARE of the time. A killed run then repeats
        them, and ends with the same bits.
        """
        started = time.monotonic()
        if started < self.rest_until:
            return
        state = make()
        history = np.frombuffer(json.dumps(state.history).encode(), np.uint8)
        groups = {**state._asdict(), "history": [history]}
        named = {f"{name}_{i:05d}": array for name, each in groups.items() for i, array in enumerate(each)}
        with writing(self.path) as aside:
            np.savez(aside, **named)
        took = time.monotonic() - started
        if took > 1:
            self.rest_until = time.monotonic() + took / MAX_SHARE - took

    def read(self) -> Checkpoint | None:
        """Return the last checkpoint; None where there is none or it can't be read."""
        groups: dict[str, Any] = {name: [] for name in Checkpoint._fields}
        try:
            with self.path.open("rb") as file, np.load(file) as stored:
                for key in sorted(stored.files):
                    groups[key.rsplit("_", 1)[0]].append(stored[key])
            groups["history"] = json.loads(groups["history"][0].tobytes())
        except (FileNotFoundError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
            return None
        return Checkpoint(**groups)


def fingerprint(settings: dict[str, Any], files: list[Path], versions: dict[str, str]) -> str:
    """Name a run by all that its result depends on: 128 bits, hexadecimal.

    Of the files, data and code, the bytes count and their order, not their names.
    """
    text = json.dumps([settings, [md5(path) for path in files], versions], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def source_files() -> list[Path]:
    """Return the code of training and what it shares with other stages, in a fixed order."""
    here = Path(__file__).parent
    return sorted([*here.parent.glob("*.py"), *here.rglob("*.py"), *(here.parent / "data").glob("*.py")])


def state_root() -> Path:
    """Return $CANDID_STATE, else candid/ in the user's cache folder ($XDG_CACHE_HOME or ~/.cache)."""
    if chosen := os.environ.get("CANDID_STATE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "candid"


@contextmanager
def run_folder(name: str) -> Iterator[Path]:
    """Give the folder of one run, held against other processes; a second one waits until the first is done.

    Where the block ends well, the folder is removed. The kernel lets go of the lock when the process ends,
    however it ends.
    """
    root = state_root() / "train"
    root.mkdir(parents=True, exist_ok=True)
    _prune(root)
    lock, folder = FileLock(root / f"{name}.lock", poll_interval=0.2), root / name
    try:
        lock.acquire(blocking=False)
    except Timeout:
        print("candid train: the same run is at work elsewhere; waiting for it", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        folder.mkdir(exist_ok=True)
        yield folder
        _remove(folder, lock)
    finally:
        lock.release()


def _prune(root: Path) -> None:
    """Remove what is KEPT_DAYS old: runs that nobody resumed."""
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for path in root.glob("*.lock"):
        folder = path.with_suffix("")
        state = folder / "state.npz"
        with suppress(FileNotFoundError, Timeout):  # another run has just ended, or is at work
            if (state if state.exists() else path).stat().st_mtime < oldest:
                with FileLock(path, blocking=False) as lock:
                    _remove(folder, lock)


def _remove(folder: Path, lock: FileLock) -> None:
    """Remove a run's folder and its lock, which is held: filelock's waiters see that it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    Path(lock.lock_file).unlink(missing_ok=True)
