"""What a case of the corpus of bad inputs is, and how it is tried."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.reliability.forked import Done, Forked
from tests.reliability.tiny import EARLIER, Undisturbed, files_at, left_aside, outputs, write_params
from tests.reliability.trap import Trap

LONGEST_SECONDS = 20
"""Of computing; on a busy machine it may take longer."""
LONGEST_LINE = 1000
ALLOWED_ELSEWHERE = re.compile(r"elsewhere \w+ .*(/__pycache__|/numba_cache|/\.cache/)")
"""Compiled code, kept for the next run."""


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
    """Looks whether what came out is right."""
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    start: bool = False
    """Begin with all that earlier stages make of the tiny set."""


def try_case(case: Case, forked: Forked, undisturbed: Undisturbed, folder: Path) -> None:
    """Run a case; AssertionError where it ends in anything but a right result or one clear line."""
    around = set(folder.parent.iterdir())
    folder.mkdir()
    project = folder / "project"
    if case.start:
        first = case.stages[0]
        undisturbed.before("train" if ":" in first else first, project)
    else:
        project.mkdir()
    if case.params or not case.start:
        write_params(project, **case.params)
    case.make(project)
    earlier = leave_earlier_results(project, case.stages[-1])
    done = Done(0, "", "", [])
    for stage in case.stages:
        trap = Trap(folders=(f"{project}/",), watch=True)
        done = forked.run(stage, project, trap, cpu_limit=LONGEST_SECONDS)
        assert not done.hung, "no end in sight"
        harm = [line for line in done.changes if line.startswith(("code ", "elsewhere "))]
        assert not [line for line in harm if not ALLOWED_ELSEWHERE.match(line)]
        if done.status:
            break
        assert done.err == ""
    assert set(folder.parent.iterdir()) - around <= {folder}
    assert {path.name for path in folder.iterdir()} == {"project"}
    assert left_aside(project) == []
    if not case.says:
        assert done.status == 0, done.err
        if case.right:
            case.right(project)
        return
    assert done.status == 1, done.out + done.err
    line = done.told()
    assert len(line) < LONGEST_LINE
    for word in case.says:
        assert word in line, line
    for path, content in earlier.items():
        assert (project / path).read_bytes() == content, f"{path} is lost"


def as_folder(path: Path) -> None:
    """Put a folder where a file stood."""
    path.unlink()
    path.mkdir()


def leave_earlier_results(project: Path, stage: str) -> dict[str, bytes]:
    """Put an earlier run's outputs where the stage writes; gives those that a failed run must leave alone."""
    kept: dict[str, bytes] = {}
    for path in outputs(stage) if ":" not in stage else []:
        if path in ("data/raw", "data/rejected.csv"):  # the first is read; the second says what is wrong
            continue
        if not (project / path).exists():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_bytes(EARLIER)
        kept |= files_at(project, [path])
    return kept
