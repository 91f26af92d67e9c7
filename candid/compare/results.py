"""What experiments left behind: read from git, or from the files that `candid compare --export` wrote."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from candid.errors import CandidError
from candid.files import read_json, write_json
from candid.recipes.load import flat
from candid.recipes.recipe import Overrides, Recipe
from candid.settings import parse_yaml

FOLDER = Path("recipes/measured")
REFS = "refs/exps/"
REPORT, PARAMS = "metrics/report.json", "params.yaml"
PREDICTIONS, HISTORY = "plots/predictions.csv", "plots/history.csv"
PROVENANCE = "metrics/provenance.json"
DECIMALS = 6


@dataclass(frozen=True)
class Experiment:
    """What one finished experiment left behind."""

    name: str
    """<recipe>-<run>[-leak_free][-<member>][+<variation>]."""
    commit: str
    baseline: str
    """The commit that it was queued from."""
    when: int
    """Seconds since 1970 at which it was committed."""
    settings: Overrides
    """All of params.yaml, by dotted key."""
    report: dict[str, Any]
    """metrics/report.json."""
    predictions: pd.DataFrame | None = field(default=None, repr=False)
    """plots/predictions.csv as text: one row a test face."""
    history: pd.DataFrame | None = field(default=None, repr=False)
    """plots/history.csv; None where DVC's cache no longer has it."""


def experiment_refs(root: Path) -> list[tuple[str, str, str, int]]:
    """Name, commit, baseline and time of each DVC experiment, the newest first.

    Raises:
        CandidError: no git repository.
    """
    form = "--format=%(objectname) %(committerdate:unix) %(refname)"
    done = subprocess.run(
        ["git", "-C", str(root), "for-each-ref", form, REFS], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CandidError(f"git for-each-ref: {done.stderr.strip().splitlines()[-1]}")
    refs = []
    for line in done.stdout.splitlines():
        commit, when, ref = line.split(" ", 2)
        parts = ref.removeprefix(REFS).split("/")  # <2>/<38 digits of the baseline>/<name>
        if len(parts) == 3 and len(parts[0]) == 2 and when:
            refs.append((parts[2], commit, parts[0] + parts[1], int(when)))
    return sorted(refs, key=lambda one: -one[3])


def read_experiments(root: Path, recipe: Recipe, runs: Iterable[str]) -> list[Experiment]:
    """Read the finished experiments of these runs, the newest first; nothing is checked out.

    One without a report or settings that can be read is no result and is left out.
    """
    known, wanted = recipe.experiments(), set(runs)
    refs = [ref for ref in experiment_refs(root) if ref[0].partition("+")[0] in known]
    refs = [ref for ref in refs if known[ref[0].partition("+")[0]][0].name in wanted]
    experiments = [_read(root, *ref) for ref in refs]
    return [one for one in experiments if one is not None]


def _read(root: Path, name: str, commit: str, baseline: str, when: int) -> Experiment | None:
    from dvc.api import DVCFileSystem  # half a second, and only where there are experiments
    from dvc.exceptions import DvcException

    try:
        files = DVCFileSystem(url=str(root), rev=commit)
    except DvcException as error:
        raise CandidError(f"DVC: {error}") from None

    def table(path: str) -> pd.DataFrame | None:
        try:
            return pd.read_csv(io.BytesIO(files.read_bytes(path)), dtype=str, keep_default_na=False)
        except (OSError, ValueError, DvcException):  # not in the commit, or no longer in DVC's cache
            return None

    try:
        report = json.loads(files.read_bytes(REPORT))
        settings = flat(parse_yaml(files.read_text(PARAMS, encoding="utf-8"), PARAMS))
    except (OSError, ValueError, RecursionError, AttributeError, CandidError):
        return None
    if not isinstance(report, dict) or not isinstance(report.get("accuracy"), int | float):
        return None
    with suppress(OSError, ValueError, KeyError, TypeError, DvcException):  # earlier experiments have no time
        report["milliseconds"] = json.loads(files.read_bytes(PROVENANCE))["milliseconds"]
    return Experiment(name, commit, baseline, when, settings, report, table(PREDICTIONS), table(HISTORY))


@dataclass(frozen=True)
class Score:
    """A measured number."""

    value: float
    low: float | None = None
    """95 % interval; None: unknown."""
    high: float | None = None
    sd: float | None = None
    """Standard deviation (n - 1) between repetitions or seeds; of one repetition, between its folds."""
    each: list[float] = field(default_factory=list)
    """The value of each repetition or seed, where there are several."""


@dataclass(frozen=True)
class Measured:
    """What was measured of a run, under one protocol and in one variation; this is what --export writes."""

    run: str
    leak_free: bool
    variation: str
    """Empty: the run as the recipe has it."""
    changed: dict[str, list[Any]]
    """Settings that differ from the recipe's: the experiments' value and the recipe's."""
    over: str
    """What the scores are of: 10 folds, 3 of 5 seeds; empty: one experiment."""
    members: int
    """Experiments that there are, and ..."""
    wanted: int
    """... that the recipe has."""
    faces: int
    """Test faces of the experiments that count."""
    leaked: int
    """Those of them with a related image in training."""
    scores: dict[str, Score]
    confusion: dict[str, Any] | None
    """`classes` and `counts` (rows actual), summed over folds and repetitions; None: unknown."""
    experiments: dict[str, str]
    """Name -> commit."""
    baselines: list[str]
    when: int
    recorded: bool = False
    """Read from a file, not from an experiment here."""


def export(folder: Path, recipe: Recipe, results: Iterable[Measured]) -> list[Path]:
    """Write a JSON file for each result: numbers and settings, no faces and no names of pictures."""
    written = []
    for one in results:
        path = folder / f"{recipe.experiment(recipe.run(one.run), one.leak_free, '')}+{one.variation}".rstrip(
            "+"
        )
        path = path.with_name(f"{path.name}.json")
        values = asdict(one)
        del values["recorded"]
        write_json(path, _rounded(values))
        written.append(path)
    return written


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return round(value, DECIMALS) if isinstance(value, float) else value


def read_export(folder: Path, recipe: Recipe) -> list[Measured]:
    """Read what `export` wrote, for the runs that the recipe has.

    Raises:
        CandidError: a file is no such result.
    """
    results = []
    names = {one.name for one in fields(Measured)} - {"recorded"}
    for path in sorted(folder.glob("*.json")):
        values = read_json(path)
        if not isinstance(values, dict) or values.keys() != names or not isinstance(values["scores"], dict):
            raise CandidError(
                f"{path}: no result; expected what `candid compare RECIPE --export FOLDER` writes"
            )
        try:
            scores = {metric: Score(**score) for metric, score in values["scores"].items()}
        except TypeError as error:
            raise CandidError(f"{path}: scores: {error}; expected what --export writes") from None
        if values["run"] in {run.name for run in recipe.runs}:
            results.append(Measured(**{**values, "scores": scores}, recorded=True))
    return results
