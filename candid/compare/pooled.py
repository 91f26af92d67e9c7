"""95 % intervals over the test faces of one experiment or of several, by resampling their groups."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from candid.compare.found import METRICS, PREDICTIONS, Experiment
from candid.data.faces import class_order
from candid.errors import CandidError
from candid.evaluation import scores
from candid.evaluation.bootstrap import counts_by_group, interval, resample
from candid.evaluation.scores import Floats, Integers
from candid.gate.results import Results, Revision, read_results

RESAMPLES = 2000
Bounds = tuple[float, float]


class Kept(Revision):
    """What an experiment left behind, as the gate reads a revision."""

    content: dict[str, bytes | None]

    def __init__(self, of: Experiment) -> None:
        """Take an experiment with its predictions."""
        super().__init__(Path(), of.called)
        content = {METRICS: json.dumps(of.metrics).encode(), PREDICTIONS: of.predictions}
        object.__setattr__(self, "content", content)

    def read(self, path: str) -> bytes | None:
        """Content of a file; None where there is none."""
        return self.content.get(path)


@dataclass(frozen=True)
class Drawn:
    """Confusion matrices of resamples of the test faces."""

    classes: list[str]
    counts: Integers
    """RESAMPLES x K x K, rows actual."""
    groups: Integers
    """G x K x K, the matrix of each group."""

    def bounds(self, metric: str) -> Bounds | None:
        """95 % interval of a metric; None where no confusion matrix gives it (AUC), or groups are too few."""
        values = score(self.counts, metric, self.classes)
        if values is None or not len(values):
            return None
        found = interval(values, *self._right_and_wrong(metric), proportion=is_proportion(metric))
        return (found.low, found.high) if math.isfinite(found.low) else None

    def _right_and_wrong(self, metric: str) -> tuple[Integers, Integers]:
        """Faces of each group that a metric counts as right, and as wrong."""
        section, _, name = metric.rpartition(".")
        called = section.removeprefix("per_class.")
        if called == section:
            right = self.groups.trace(axis1=1, axis2=2)
            return right, self.groups.sum(axis=(1, 2)) - right
        place = self.classes.index(called)
        right = self.groups[:, place, place]
        missed = self.groups[:, place].sum(axis=1) - right
        mistaken = self.groups[:, :, place].sum(axis=1) - right
        return right, {"recall": missed, "precision": mistaken}.get(name, missed + mistaken)


def is_proportion(metric: str) -> bool:
    """Whether a metric is the share of right ones among faces."""
    section, _, name = metric.rpartition(".")
    of_class = section.startswith("per_class.") and name in ("precision", "recall")
    return of_class or metric == "accuracy" or section == "micro"


def draw(tables: Sequence[Results]) -> Drawn:
    """Resample all test faces of one or more experiments together.

    Faces that depend on each other are drawn as a group, also where they were tested by several experiments.

    Args:
        tables: predictions of experiments on the same set, whose groups have the same numbers; at least one.
    """
    classes, outcomes = _outcomes(tables)
    size = len(classes)
    groups = np.concatenate([one.faces["group"].to_numpy(np.int64) for one in tables])
    counts = counts_by_group(groups, outcomes, size**2)
    drawn = resample(counts, RESAMPLES, seed=0)
    return Drawn(classes, drawn.reshape(-1, size, size), counts.reshape(-1, size, size))


def _outcomes(tables: Sequence[Results]) -> tuple[list[str], Integers]:
    """The K classes of all tables, and of each face actual x K + predicted."""
    classes = class_order(pd.Series(sorted({name for table in tables for name in table.classes}), dtype=str))
    number = {name: place for place, name in enumerate(classes)}
    outcomes = [
        _numbers(one, "actual", number) * len(classes) + _numbers(one, "predicted", number) for one in tables
    ]
    return classes, np.concatenate(outcomes)


def _numbers(of: Results, column: str, number: dict[str, int]) -> Integers:
    return np.asarray(of.faces[column].map(number), np.int64)


def score(counts: Integers, metric: str, classes: Sequence[str]) -> Floats | None:
    """A metric of each of B confusion matrices; None where it is no function of them.

    Args:
        counts: B x K x K, rows actual.
        metric: dotted place in metrics/report.json.
        classes: K names.
    """
    if metric == "balanced_accuracy":
        return scores.balanced_accuracy(counts)
    section, _, name = metric.rpartition(".")
    if metric == "accuracy" or (section == "micro" and name != "auc"):
        return scores.accuracy(counts)
    of_class = {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1}.get(name)
    if of_class is None:
        return None
    values = of_class(counts)
    if section == "macro":
        return scores.macro(values, counts)
    if section == "weighted":
        return scores.weighted(values, counts)
    called = section.removeprefix("per_class.")
    if called not in classes:
        return None
    number = classes.index(called)
    drawn = scores.support(counts)[..., number] > 0  # a resample without the class says nothing of it
    return np.nan_to_num(values[..., number])[drawn]


def together(tables: Sequence[Results], metric: str) -> float | None:
    """A metric of all faces of several experiments: their confusion matrices are summed.

    So Li and Lima 2021 do with the folds of a repetition (equations 10 and 11). None where the sum does not
    give it (AUC), or no face is of the class.
    """
    classes, outcomes = _outcomes(tables)
    size = len(classes)
    values = score(np.bincount(outcomes, minlength=size**2).reshape(1, size, size), metric, classes)
    return None if values is None or not len(values) else float(values[0])


def read_tables(experiments: Sequence[Experiment]) -> list[Results]:
    """Predictions of each experiment; [] where one has none that can be read: a part is not the whole."""
    try:
        return [read_results(Kept(one)) for one in experiments]
    except CandidError:
        return []
