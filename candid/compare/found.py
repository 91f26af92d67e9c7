"""The experiments of a recipe, read from git: nothing is checked out, and every baseline is looked at."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from candid.compare.settings import flat
from candid.errors import CandidError
from candid.gate.results import EXPERIMENTS, NOT_NAMES, git
from candid.recipes import Recipe
from candid.recipes.names import Name, Names
from candid.recipes.recipe import Overrides

METRICS, PARAMS, PREDICTIONS = "metrics/report.json", "params.yaml", "plots/predictions.csv"


@dataclass(frozen=True)
class Experiment:
    """What one finished experiment left behind."""

    name: Name
    called: str
    """Its name as DVC has it."""
    commit: str
    baseline: str
    """Commit that it was queued from."""
    when: int
    """Seconds since 1970 at which it was committed."""
    params: Overrides
    """All settings, flat."""
    metrics: dict[str, Any]
    """metrics/report.json."""
    predictions: bytes | None = field(default=None, repr=False)
    """plots/predictions.csv, where it was asked for."""


def read_experiments(root: Path, recipe: Recipe, predictions: bool = False) -> list[Experiment]:
    """Find the finished experiments of a recipe, newest first.

    What has no metrics or settings that can be read is left out: it is no result.

    Raises:
        CandidError: no git repository.
    """
    names = Names(recipe)
    placed = [(name, *found) for found in _refs(root) if (name := names.read(found[0])) is not None]
    paths = [METRICS, PARAMS, *([PREDICTIONS] if predictions else [])]
    blobs = iter(read_blobs(root, [(commit, path) for _, _, commit, _, _ in placed for path in paths]))
    found = []
    for name, called, commit, baseline, when in placed:
        content = [next(blobs) for _ in paths]
        metrics, params = _json(content[0]), _yaml(content[1])
        if metrics is not None and params is not None:
            table = content[2] if predictions else None
            found.append(Experiment(name, called, commit, baseline, when, flat(params), metrics, table))
    return sorted(found, key=lambda one: -one.when)


def experiment_refs(root: Path) -> dict[str, list[tuple[str, str]]]:
    """Name -> commit and baseline of each DVC experiment, newest first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for called, commit, baseline, _ in sorted(_refs(root), key=lambda ref: -ref[3]):
        found.setdefault(called, []).append((commit, baseline))
    return found


def committed_settings(root: Path) -> dict[str, Any]:
    """params.yaml of the commit that is checked out; {} where it has none."""
    return _yaml(read_blobs(root, [("HEAD", PARAMS)])[0]) or {}


def _refs(root: Path) -> list[tuple[str, str, str, int]]:
    """Name, commit, baseline and time of each experiment (refs/exps/<2>/<38>/<name>)."""
    template = "--format=%(objectname) %(committerdate:unix) %(refname)"
    rows = [
        line.split(" ", 2) for line in git(root, "for-each-ref", template, EXPERIMENTS).decode().splitlines()
    ]
    found = []
    for commit, when, ref in rows:
        parts = ref.removeprefix(EXPERIMENTS).split("/")
        if len(parts) == 3 and not ref.startswith(NOT_NAMES) and when:
            found.append((parts[2], commit, parts[0] + parts[1], int(when)))
    return found


def read_blobs(root: Path, wanted: Sequence[tuple[str, str]]) -> list[bytes | None]:
    """Contents of (commit, path) by one git process; None where a commit has no such file.

    Args:
        root: folder of the project; paths are relative to it.
        wanted: commits and paths.
    """
    if not wanted:
        return []
    before = git(root, "rev-parse", "--show-prefix").decode().strip()
    asked = "".join(f"{commit}:{before}{path}\n" for commit, path in wanted)
    done = subprocess.run(
        ["git", "-C", str(root), "cat-file", "--batch"],
        input=asked.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise CandidError(f"git cat-file: {done.stderr.decode('utf-8', 'replace').strip()}")
    return list(_split(done.stdout, len(wanted)))


def _split(output: bytes, count: int) -> Iterable[bytes | None]:
    """Take the answers of `git cat-file --batch` apart: `<id> blob <size>`, the content, a line end."""
    place = 0
    for _ in range(count):
        end = output.index(b"\n", place)
        head = output[place:end].split(b" ")
        place = end + 1
        if len(head) == 3 and head[2].isdigit():
            size = int(head[2])
            yield output[place : place + size] if head[1] == b"blob" else None
            place += size + 1
        else:
            yield None


def _json(content: bytes | None) -> dict[str, Any] | None:
    try:
        value = json.loads(content or b"")
    except (UnicodeDecodeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("accuracy"), int | float) else None


def _yaml(content: bytes | None) -> dict[str, Any] | None:
    try:
        value = YAML(typ="safe", pure=True).load((content or b"").decode("utf-8"))
    except (YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
