"""What a case of the corpus of bad inputs is, and how it is tried."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.reliability.tiny import EARLIER, Done, Undisturbed, files_at, outputs, run_stage, write_params

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.link", "os.symlink")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
RUNS_CODE = (
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen"),
    *("pickle.find_class", "socket.connect", "urllib.Request"),
)
"""Audit events that no input of ours may cause (https://docs.python.org/3/library/audit_events.html)."""
ALLOWED = re.compile(
    rf"/dev/|/proc/|{re.escape(tempfile.gettempdir())}$|.*(/__pycache__|/numba_cache|/\.cache/|/\.config/matplotlib)"
)
"""Files without a name, and compiled code, kept for the next run."""
ALTERED = re.compile(r"candid ingest: warning: .*\n")
"""A known set that is not as published, as none of these is."""
_watched: list[tuple[str, list[str]]] = []
_hooked: list[bool] = []


@contextmanager
def watching(folder: Path) -> Iterator[list[str]]:
    """Collect what the block does that no input may cause: code started, changes outside the folder."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_hook)  # for good: it can't be taken away
    harm: list[str] = []
    _watched.append((str(folder), harm))
    try:
        yield harm
    finally:
        _watched.pop()


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched:
        return
    folder, harm = _watched[-1]
    if event in RUNS_CODE:
        harm.append(f"{event} {str(arguments)[:200]}")
        return
    wrote = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
    if (event in CHANGES or wrote) and not isinstance(arguments[0], int):
        path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - a link is not followed
        if not path.startswith(folder) and not ALLOWED.match(path):
            harm.append(f"{event} {path}")


@dataclass(frozen=True)
class Case:
    """One bad, or only odd, input."""

    name: str
    make: Callable[[Path], object]
    """Puts it into a project."""
    stages: tuple[str, ...] = ("ingest",)
    """Run one after the other, until one ends in its line."""
    says: tuple[str, ...] = ()
    """Words of that line, the file or the key among them; none: the run goes well."""
    right: Callable[[Path], object] | None = None
    """Asserts that what came out is right."""
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    start: bool = False
    """Begin with all that earlier stages make of the tiny set."""


def try_case(case: Case, undisturbed: Undisturbed, folder: Path) -> None:
    """Run a case; AssertionError where it ends in anything but a right result or one clear line."""
    folder.mkdir()
    project = folder / "project"
    if case.start:
        undisturbed.before(case.stages[0], project)
    else:
        project.mkdir()
    if case.params or not case.start:
        write_params(project, **case.params)
    case.make(project)
    earlier = leave_earlier_results(project, case.stages[-1])
    done = Done(0, "", "")
    with watching(project) as harm:
        for stage in case.stages:
            done = run_stage(stage, project)
            if done.status:
                break
            assert ALTERED.sub("", done.err) == "", done.err
    assert harm == [], harm
    assert {path.name for path in folder.iterdir()} == {"project"}
    if not case.says:
        assert done.status == 0, done.err
        if case.right:
            case.right(project)
        return
    assert done.status == 1, done.out + done.err
    for word in case.says:
        assert word in done.line(), done.err
    for path, content in earlier.items():
        assert (project / path).read_bytes() == content, f"{path} is lost"


def as_folder(path: Path) -> None:
    """Put a folder where a file stood."""
    path.unlink()
    path.mkdir()


def leave_earlier_results(project: Path, stage: str) -> dict[str, bytes]:
    """Put an earlier run's outputs where the stage writes; gives those that a failed run must leave alone."""
    kept: dict[str, bytes] = {}
    for path in outputs(stage):
        if path in ("data/raw", "data/rejected.csv"):  # the first is read; the second says what is wrong
            continue
        if not (project / path).exists():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_bytes(EARLIER)
        kept |= files_at(project, [path])
    return kept
