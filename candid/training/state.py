"""Where checkpoints lie: a folder for each run, outside the checkout, named by what the run depends on.

DVC runs a queued experiment, and each further attempt at it, in a new temporary folder: there nothing would
be found again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KEPT_DAYS = 30


def state_root() -> Path:
    """Return $CANDID_STATE, else candid/ in the user's cache folder ($XDG_CACHE_HOME or ~/.cache)."""
    given = os.environ.get("CANDID_STATE")
    if given:
        return Path(given).absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "candid"


def fingerprint(settings: dict[str, Any], files: list[Path], versions: dict[str, str]) -> str:
    """Name a run by what its result depends on: 128 bits, hexadecimal.

    Args:
        settings: all settings that are read.
        files: every file that is read, and the code; their bytes count and their order, not their names.
        versions: package -> version, and the devices.
    """
    digests = []
    for path in files:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "blake2b").hexdigest())
    text = json.dumps([settings, digests, versions], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def source_files() -> list[Path]:
    """Return the code of training and what it shares with other stages, in a fixed order."""
    here = Path(__file__).parent
    return sorted([*here.parent.glob("*.py"), *here.rglob("*.py"), *(here.parent / "data").glob("*.py")])


@contextmanager
def run_folder(name: str) -> Iterator[Path]:
    """Give the folder of one run, held against other processes; a second one waits until the first is done.

    The kernel lets go of the lock when the process ends, however it ends.
    """
    root = state_root() / "train"
    root.mkdir(parents=True, exist_ok=True)
    _prune(root)
    lock = root / f"{name}.lock"
    told = False
    while True:
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    print(
                        "candid train: the same run is under way elsewhere; waiting for it",
                        file=sys.stderr,
                        flush=True,
                    )
                    told = True
                fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever held it may have removed it; then another process may hold a new file of this name.
            try:
                ours = os.fstat(file.fileno()).st_ino == lock.stat().st_ino
            except FileNotFoundError:
                ours = False
            if not ours:
                continue
            folder = root / name
            folder.mkdir(exist_ok=True)
            try:
                yield folder
            finally:
                if not any(folder.iterdir() if folder.exists() else ()):
                    shutil.rmtree(folder, ignore_errors=True)
                    lock.unlink(missing_ok=True)
            return


def _prune(root: Path) -> None:
    """Remove what was left behind KEPT_DAYS ago or earlier: runs that nobody went on with."""
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for lock in root.glob("*.lock"):
        folder = lock.with_suffix("")
        state = folder / "state.npz"
        try:
            touched = (state if state.exists() else lock).stat().st_mtime
        except FileNotFoundError:  # another run has just ended
            continue
        if touched < oldest:
            with lock.open("a") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                shutil.rmtree(folder, ignore_errors=True)
                lock.unlink(missing_ok=True)
