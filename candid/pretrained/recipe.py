"""What makes a run again: its settings, and the one command that changes params.yaml to them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from candid.errors import CandidError
from candid.gate.results import Revision, git, look_up, resolve

SECTIONS = ("data", "dedup", "split", "class_weights", "model", "archs", "train", "evaluate")
WIDTH = 110


PIPELINE = ("candid", "stages", "dvc.yaml", "params.yaml", "requirements.txt", "constraints.txt")
"""What a run's outcome hangs on."""


def settings(params: dict[str, Any]) -> dict[str, Any]:
    """The sections that the stages read; of `archs` the net that was trained."""
    arch = params["model"]["arch"]
    chosen = {name: params[name] for name in SECTIONS if name in params}
    return {**chosen, "archs": {arch: (params.get("archs") or {}).get(arch)}}


def command(run: Path, params: dict[str, Any], revision: str | None) -> str:
    """`dvc exp run` with what differs from params.yaml at the run's revision, broken into lines.

    Raises:
        CandidError: the run does not say at which revision it was made, or git does not have it.
    """
    if not revision:
        raise CandidError(f"{run}/metrics/provenance.json: no revision; expected a run made in a git clone")
    commit: Revision = resolve(run, revision)
    before = settings_at(commit)
    words = ["dvc", "exp", "run"]
    for key, value in flat(settings(params)):
        if look_up(before, key) != value:
            words += ["-S", f"{key}={written(value)}"]
    return wrapped(words)


def same_pipeline(root: Path, name: str, run: Path, revision: str) -> str:
    """The commit `name` of the repository at `root`, which must hold the pipeline that the run was made with.

    For a run whose own commit is in no branch: one made before a rebase, or in a clone.

    Raises:
        CandidError: no such commit, or one with another pipeline.
    """
    here, there = resolve(root, name), resolve(run, revision)
    files = [git(commit.root, "ls-tree", "-r", str(commit.sha), "--", *PIPELINE) for commit in (here, there)]
    if files[0] != files[1]:
        raise CandidError(
            f"--commit {name}: {', '.join(PIPELINE)} are not those of {revision[:12]}, the run's"
        )
    return str(here.sha)


def settings_at(commit: Revision) -> dict[str, Any]:
    """params.yaml of a commit."""
    return commit.yaml("params.yaml")


def flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested sections."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def written(value: Any) -> str:
    """A value as `dvc exp run -S` takes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(written(item) for item in value) + "]"
    return str(value)


def wrapped(words: list[str]) -> str:
    """A shell command of lines no longer than WIDTH; an option stays with its value."""
    pieces: list[str] = []
    for word in words:
        if pieces and pieces[-1] == "-S":
            pieces[-1] = f"-S {shlex.quote(word)}"
        else:
            pieces.append(word if word == "-S" else shlex.quote(word))
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + len(piece) + 3 > WIDTH:
            lines.append(f"  {piece}")
        else:
            lines[-1] += f" {piece}"
    return " \\\n".join(lines)
