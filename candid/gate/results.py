"""What a revision says its model does: read from git, the working tree or a CSV file, checked, and paired."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from candid.data.faces import class_order
from candid.errors import CandidError
from candid.evaluation.scores import Integers
from candid.files import parse_csv
from candid.gate.statistics import Pairs
from candid.settings import parse_yaml
from candid.splits.split import components

if TYPE_CHECKING:
    from dvc.api import DVCFileSystem

PREDICTIONS, REPORT, METRICS = "plots/predictions.csv", "metrics/report.json", "metrics/metrics.json"
OUTPUTS = (PREDICTIONS, REPORT, METRICS)
KEYS = (["digest", "source"], ["id"])  # columns that identify a face
COLUMNS = ("source", "digest", "dataset", "group", "actual", "predicted")
TOLERANCE = 2e-6  # metrics/report.json holds six decimals
EXPERIMENTS = "refs/exps/"
MISSING = object()


@dataclass(frozen=True)
class Revision:
    """The files of a project: of a commit, read without checking it out, or of the working tree."""

    root: Path
    name: str = "this tree"  # how the revision is called in messages
    sha: str | None = None  # the commit; None for the working tree, committed or not

    def read(self, path: str) -> bytes | None:
        """Content of a file, from DVC's cache where git does not hold it; None where neither does."""
        if self.sha is None and (self.root / path).is_file():
            return (self.root / path).read_bytes()
        if self.sha is None and not (self.root / ".dvc").is_dir():
            return None
        from dvc.exceptions import DvcException

        try:
            content: bytes = self._files.read_bytes(path)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except DvcException as error:
            raise CandidError(f"{self.name}: {path}: {error}") from None
        return content

    @cached_property
    def _files(self) -> DVCFileSystem:
        from dvc.api import DVCFileSystem

        return DVCFileSystem(str(self.root), rev=self.sha)

    def need(self, path: str) -> bytes:
        """Content of a file; CandidError where there is none."""
        content = self.read(path)
        if content is None:
            raise CandidError(f"{self.name}: no {path}; expected what `dvc repro` leaves, committed")
        return content

    def yaml(self, path: str) -> dict[str, Any]:
        """Read a YAML 1.2 file; CandidError where it is missing, or no YAML of keys and values."""
        value = parse_yaml(self.need(path).decode("utf-8", "replace"), f"{self.name}: {path}")
        if not isinstance(value, dict):
            raise CandidError(f"{self.name}: {path}: no sections; expected keys and values")
        return value

    def json(self, path: str) -> dict[str, Any]:
        """Read a JSON object; CandidError where it is missing, no object, or holds NaN or infinity."""
        try:
            value = json.loads(self.need(path).decode("utf-8"))
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            raise CandidError(f"{self.name}: {path}: not JSON: {error}") from None
        if not isinstance(value, dict):
            raise CandidError(f"{self.name}: {path}: not a JSON object")
        for key, number in flat(value):
            if isinstance(number, float) and not math.isfinite(number):
                raise CandidError(f"{self.name}: {path}: {key} is {number}; expected a number")
        return value


def resolve(root: Path, revision: str) -> Revision:
    """Find a branch, tag, commit, or DVC experiment by its name; CandidError for none or several."""
    git(root, "rev-parse", "--is-inside-work-tree")
    with suppress(CandidError):
        sha = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return Revision(root, revision, sha.decode().strip())
    named = {sha for name, sha, *_ in experiments(root) if name == revision}
    if len(named) > 1:
        raise CandidError(f"{revision}: {len(named)} experiments have this name; name the commit instead")
    if not named:
        missing = f"{revision}: no branch, tag, commit or experiment of this name here"
        raise CandidError(f"{missing}; if it is on a remote, `git fetch` it")
    return Revision(root, revision, named.pop())


def experiments(root: Path) -> list[tuple[str, str, str, int]]:
    """Name, commit, baseline and time (Unix) of each DVC experiment in git, the newest first."""
    form = "--format=%(committerdate:unix) %(objectname) %(refname:lstrip=2)"
    listed = []
    for line in git(root, "for-each-ref", "--sort=-committerdate", form, EXPERIMENTS).decode().splitlines():
        when, sha, ref = line.split(" ", 2)
        parts = ref.split("/")  # <2>/<38 digits of the baseline>/<name>; beside these DVC's own: exec/...
        if len(parts) == 3 and len(parts[0]) == 2:
            listed.append((parts[2], sha, parts[0] + parts[1], int(when)))
    return listed


def git(root: Path, *arguments: str) -> bytes:
    """Standard output of a git command run in `root`; CandidError with git's last line if it fails."""
    command, environment = ["git", "-C", str(root), *arguments], {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
    except FileNotFoundError:
        raise CandidError("git: no such command; expected git on the path") from None
    if done.returncode == 0:
        return done.stdout
    text, folder = done.stderr.decode("utf-8", "replace").strip(), root.resolve()
    if "dubious ownership" in text:
        trust = f"if you trust it: git config --global --add safe.directory {folder}"
        owned = "git refuses this clone, which belongs to another user (dubious ownership)"
        raise CandidError(f"{folder}: {owned}; {trust}")
    if "not a git repository" in text:
        raise CandidError(f"{folder}: not in a git repository; expected the project's clone")
    raise CandidError(f"git {arguments[0]}: {text.splitlines()[-1] if text else f'status {done.returncode}'}")


@dataclass(frozen=True)
class Results:
    """Predictions and scores of one revision, over N test faces and K classes."""

    name: str
    classes: tuple[str, ...]
    table: pd.DataFrame  # plots/predictions.csv as text: N rows
    actual: Integers  # class number of each face: N
    predicted: Integers  # class number predicted for each face: N
    report: dict[str, Any] = field(default_factory=dict)  # metrics/report.json; empty for a table alone
    scores: dict[str, Any] = field(default_factory=dict)  # what the predictions give of both files, or {}


def read_results(revision: Revision) -> Results:
    """Read a revision's results, and recompute the scores from its predictions.

    CandidError where a file, column or score is missing or NaN, a label is no class, or the scores are not
    those of the predictions.
    """
    from candid.evaluation.report import evaluate, headline  # scikit-learn: not for two CSV files

    at = f"{revision.name}: {PREDICTIONS}"
    table = parse_csv(revision.need(PREDICTIONS), at)
    if absent := [name for name in COLUMNS if name not in table]:
        raise CandidError(f"{at}: no column {absent[0]!r}; expected {','.join(COLUMNS)},p_<class>...")
    results = as_results(table, revision.name, at)
    report = revision.json(REPORT)
    metrics = revision.json(METRICS) if revision.read(METRICS) else {}
    if missing := [key for key in ("accuracy", "macro.f1", "leaky") if look_up(report, key) is MISSING]:
        raise CandidError(f"{revision.name}: {REPORT}: no {missing[0]}; expected what `dvc repro` writes")
    scores = evaluate(table.assign(group=pd.factorize(table["group"])[0]), resamples=1)
    recomputed = {REPORT: scores, METRICS: headline(scores)}
    for path, values in ((REPORT, report), (METRICS, metrics)):
        for key, value in flat(recomputed[path]):
            stated = look_up(values, key)
            compared = stated is not MISSING and not key.endswith(("_low", "_high"))  # these are resampled
            if compared and not (isinstance(stated, int | float) and abs(stated - value) <= TOLERANCE):
                line = f"{revision.name}: {path}: {key} is {stated!r}, {PREDICTIONS} gives {value}"
                raise CandidError(f"{line}: not of one run; expected both as one `dvc repro` wrote them")
    return replace(results, report=report, scores={**recomputed[METRICS], **scores})


def read_table(table: pd.DataFrame | str | Path, name: str) -> Results:
    """Check a table of predictions, or read and check its CSV file; see `as_results`."""
    if isinstance(table, pd.DataFrame):
        return as_results(table.rename(columns=str).astype(str).reset_index(drop=True), name, name)
    try:
        content = Path(table).read_bytes()
    except OSError as error:
        raise CandidError(f"{table}: {error.strerror}; expected a CSV table of predictions") from None
    return as_results(parse_csv(content, str(table)), str(table), str(table))


def as_results(table: pd.DataFrame, name: str, at: str) -> Results:
    """Check a table of predictions: N rows of text, with actual, predicted, and what identifies a face.

    `name` is that of the revision or file, `at` says where the table is, for messages. CandidError for a
    label that is no class, or a prediction that is not the class of the largest probability.
    """
    absent = [column for column in ("actual", "predicted") if column not in table]
    if absent or table.empty:
        fault = f"no column {absent[0]!r}" if absent else "no face"
        raise CandidError(f"{at}: {fault}; expected actual,predicted and digest,source or id, one row a face")
    named = {str(column)[2:] for column in table if str(column).startswith("p_")}
    classes = _ordered(named or {*table["actual"], *table["predicted"]})
    numbers = {}
    for column in ("actual", "predicted"):
        numbers[column] = pd.Index(classes).get_indexer(pd.Index(table[column]))
        for row in np.flatnonzero(numbers[column] < 0)[:1]:
            value, known = table[column].iloc[row], ", ".join(classes)
            raise CandidError(f"{at}, row {row}: {column} is {value!r}; expected one of {known}")
    if named:
        columns = table[[f"p_{name}" for name in classes]].apply(pd.to_numeric, errors="coerce")
        values = columns.to_numpy(np.float64)
        right = values[np.arange(len(values)), numbers["predicted"]] >= values.max(axis=1)  # NaN is not
        for row in np.flatnonzero(~right)[:1]:
            name, shares = table["predicted"].iloc[row], ", ".join(map(str, values[row]))
            line = f"predicted is {name!r} with the probabilities {shares}; expected the class of the largest"
            raise CandidError(f"{at}, row {row}: {line}")
    return Results(name, classes, table, numbers["actual"], numbers["predicted"])


def _ordered(names: set[str]) -> tuple[str, ...]:
    return tuple(class_order(pd.Series(sorted(names), dtype=str)))


def pair(baseline: Results, candidate: Results, min_common: float = 1.0) -> tuple[Pairs, list[str]]:
    """Match the faces of two tables, and say what a reader should know of the match.

    A face is identified by the pixel digest and the source file where both tables have these columns, else by
    `id`; of several equal ones the first is matched with the first. Faces that either table puts in one
    `group` are not independent; without the column each face is alone. CandidError for other classes, labels,
    datasets or kinds of split, and where less than `min_common` of the faces of both test sets are in both.
    """
    tables, same = (baseline.table, candidate.table), {}
    if baseline.report and candidate.report:  # a table alone does not say which classes its model knows
        same["classes"] = [list(one.classes) for one in (baseline, candidate)]
        same["splits"] = [["leaky" if one.report["leaky"] else "leak-free"] for one in (baseline, candidate)]
    if all("dataset" in table for table in tables):
        same["datasets"] = [sorted(table["dataset"].unique()) for table in tables]
    for what, (first, second) in same.items():
        if first != second:
            other = f"{', '.join(first)} in {baseline.name}, {', '.join(second)} in {candidate.name}"
            raise CandidError(f"other {what}: {other}; expected the same, else scores do not mean the same")
    keys = next((keys for keys in KEYS if all(key in table for key in keys for table in tables)), None)
    if keys is None:
        missing = "no columns in both that identify a face; expected digest and source, or id"
        raise CandidError(f"{baseline.name}, {candidate.name}: {missing}")
    before, after = (
        table[[*keys, "actual", "predicted"]].assign(
            copy=table.groupby(keys, sort=False).cumcount(), group=table.get("group", table.index)
        )
        for table in tables
    )
    joined = before.merge(after, on=[*keys, "copy"], suffixes=("_before", "_after"), sort=False)
    sizes = [len(table) for table in tables]
    common = len(joined) / (sum(sizes) - len(joined))
    if joined.empty or common < min_common:
        raise CandidError(
            f"the test sets are not the same faces: {sizes[0]:,} in {baseline.name}, {sizes[1]:,} in "
            f"{candidate.name}, {len(joined):,} in both ({common:.1%} of all); min_common is {min_common:g}"
        )
    if relabelled := int((joined["actual_before"] != joined["actual_after"]).sum()):
        raise CandidError(f"{relabelled:,} test faces have another label than in {baseline.name}")
    notes = []
    if common < 1:
        notes.append(f"only {common:.1%} of the test faces are in both; these alone are compared")
    if candidate.report.get("leaky"):
        notes.append("both splits are leaky: related images were trained on, so both scores flatter")
    if (joined.groupby("group_after")["group_before"].nunique() > 1).any():
        there, here = (joined[f"group_{when}"].nunique() for when in ("before", "after"))
        notes.append(
            f"{candidate.name} puts faces into one group that are in several groups in {baseline.name} "
            f"({here:,} groups, {there:,} there): with fewer independent groups less can fail"
        )
    classes = _ordered({*baseline.classes, *candidate.classes})
    columns = ("actual_after", "predicted_before", "predicted_after")
    labels = [pd.Index(classes).get_indexer(pd.Index(joined[name])) for name in columns]
    grouped = [np.asarray(pd.factorize(joined[f"group_{when}"])[0]) for when in ("before", "after")]
    groups = components(len(joined), grouped)  # together where either revision has them so
    return Pairs(classes, labels[0], labels[1], labels[2], groups, common), notes


def look_up(values: Any, dotted: str, otherwise: Any = MISSING) -> Any:
    """The value under a dotted key of nested mappings; `otherwise` where there is none."""
    for key in dotted.split("."):
        if not isinstance(values, dict) or key not in values:
            return otherwise
        values = values[key]
    return values


def flat(values: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested mappings."""
    if isinstance(values, dict):
        for name, inner in values.items():
            yield from flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, values
