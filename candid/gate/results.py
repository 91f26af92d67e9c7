"""What a revision says its model does: plots/predictions.csv and metrics/report.json, which must agree."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.data.faces import class_order
from candid.errors import CandidError
from candid.evaluation import scores
from candid.evaluation.scores import Integers
from candid.gate.look_up import MISSING, look_up
from candid.gate.revisions import Tree

PREDICTIONS = "plots/predictions.csv"
METRICS = "metrics/report.json"
COLUMNS = ("source", "digest", "dataset", "group", "actual", "predicted")
NEEDED = ("accuracy", "macro.f1", "leaky")
AGREE = 2e-6  # metrics/report.json holds six decimals


@dataclass(frozen=True)
class Results:
    """Predictions and metrics of one revision, over N test faces and K classes."""

    name: str
    classes: tuple[str, ...]
    faces: pd.DataFrame
    """COLUMNS as text, by id; N rows."""
    probabilities: NDArray[np.float64]
    """N x K, in the order of `classes`."""
    metrics: dict[str, Any]

    @property
    def actual(self) -> Integers:
        """Class number of each face: N."""
        return self.numbers("actual")

    @property
    def predicted(self) -> Integers:
        """Class number predicted for each face: N."""
        return self.numbers("predicted")

    def numbers(self, column: str) -> Integers:
        """Class numbers in the column `actual` or `predicted`: N."""
        return np.asarray(pd.Categorical(self.faces[column], categories=list(self.classes)).codes, np.int64)


def read_results(tree: Tree) -> Results:
    """Read and check a revision's results.

    Raises:
        CandidError: a file, column or metric is missing, a number is NaN, a label is no class, or the
            metrics are not those of the predictions.
    """
    classes, faces, probabilities = _read_predictions(tree)
    metrics = read_json(tree, METRICS, NEEDED)
    results = Results(tree.name, classes, faces, probabilities, metrics)
    counts = scores.confusion_matrix(results.actual, results.predicted, len(classes))
    for key, value in (("accuracy", scores.accuracy(counts)), ("macro.f1", scores.macro_f1(counts))):
        said = look_up(metrics, key)
        if abs(said - float(value)) > AGREE:
            raise CandidError(
                f"{tree.name}: {METRICS} has {key} {said}, {PREDICTIONS} gives {float(value):.6f}: "
                "not of one run; expected both as one `dvc repro` wrote them"
            )
    return results


def read_json(tree: Tree, path: str, needed: Sequence[str] = ()) -> dict[str, Any]:
    """Read a metrics file.

    Raises:
        CandidError: it is missing, no JSON object, holds NaN or infinity, or lacks a needed number.
    """
    content = tree.read(path)
    if content is None:
        raise CandidError(f"{tree.name}: no {path}; expected a revision that holds its metrics in git")
    try:
        value = json.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise CandidError(f"{tree.name}: {path}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise CandidError(f"{tree.name}: {path}: not a JSON object")
    for key, number in _leaves(value):
        if isinstance(number, float) and not math.isfinite(number):
            raise CandidError(f"{tree.name}: {path}: {key} is {number}; expected a number")
    for key in needed:
        number = look_up(value, key)
        if number is MISSING:
            raise CandidError(f"{tree.name}: {path}: no {key}; expected what `dvc repro` writes")
        if not isinstance(number, int | float):
            raise CandidError(f"{tree.name}: {path}: {key} is {number!r}; expected a number")
    return value


def _leaves(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{where}.{key}" if where else str(key))
    else:
        yield where, value


def _read_predictions(tree: Tree) -> tuple[tuple[str, ...], pd.DataFrame, NDArray[np.float64]]:
    content = tree.read(PREDICTIONS)
    at = f"{tree.name}: {PREDICTIONS}"
    if content is None:
        raise CandidError(f"{tree.name}: no {PREDICTIONS}; expected a revision that holds it in git")
    try:
        table = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise CandidError(f"{at}: not a CSV table: {error}") from None
    absent = [name for name in COLUMNS if name not in table]
    if absent:
        raise CandidError(f"{at}: no column {absent[0]!r}; expected {','.join(COLUMNS)},p_<class>...")
    if table.empty:
        raise CandidError(f"{at}: no face; expected one row a test face")
    named = {str(name).removeprefix("p_") for name in table if str(name).startswith("p_")}
    classes = tuple(class_order(pd.Series(sorted(named), dtype=str)))
    for column in ("actual", "predicted"):
        unknown = ~table[column].isin(classes)
        if unknown.any():
            raise CandidError(
                f"{at}, row {int(unknown.argmax())}: {column} is {table[column][unknown].iloc[0]!r}; "
                f"expected one of {', '.join(classes)}"
            )
    return classes, table[list(COLUMNS)], _probabilities(table, classes, at)


def _probabilities(table: pd.DataFrame, classes: tuple[str, ...], at: str) -> NDArray[np.float64]:
    columns = []
    for name in classes:
        values = pd.to_numeric(table[f"p_{name}"], errors="coerce").to_numpy(np.float64)
        wrong = ~np.isfinite(values)
        if wrong.any():
            row = int(wrong.argmax())
            raise CandidError(f"{at}, row {row}: p_{name} is {table[f'p_{name}'][row]!r}; expected a number")
        columns.append(values)
    return np.column_stack(columns)
