"""The numbers of a run: of one experiment, or of several folds, repetitions or seeds together."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from candid.compare.results import Experiment, Measured, Score
from candid.data.faces import class_order
from candid.evaluation import scores
from candid.evaluation.bootstrap import counts_by_group, interval, resample
from candid.evaluation.scores import Floats, Integers
from candid.recipes import Run
from candid.recipes.recipe import Overrides, Recipe

RESAMPLES = 2000
FOLD, SEEDS = "split.fold", ("split.seed", "train.seed")
OTHER = ("model.arch", "data.dataset")
"""With another one of these it is hardly the run any more."""
CURVES = {"train.accuracy": "accuracy", "train.loss": "loss", "validation.accuracy": "val_accuracy",
          "validation.loss": "val_loss", "best_epoch": "epoch"}  # fmt: skip
"""Metric -> column of plots/history.csv, read at the best epoch."""
Bounds = tuple[float, float]


def gather(
    recipe: Recipe,
    run: Run,
    leak_free: bool,
    experiments: Sequence[Experiment],
    metrics: Sequence[str],
    classes: bool = False,
) -> list[Measured]:
    """Put the experiments of a run and a protocol together: one result a variation, the nearest first.

    Args:
        recipe: of the run.
        run: the run.
        leak_free: its protocol.
        experiments: the newest first; of one name that counts which differs least from the recipe.
        metrics: to compute, where the experiments have them.
        classes: compute the recall of each class, too.
    """
    members = run.members(leak_free)
    names = {recipe.experiment(run, leak_free, member): member for member in members}
    variations: dict[str, dict[str, Experiment]] = {}
    for one in experiments:
        base, _, variation = one.name.partition("+")
        if base in names:
            had, wanted = variations.setdefault(variation, {}), members[names[base]]
            both = [had[names[base]], one] if names[base] in had else [one]
            had[names[base]] = min(both, key=lambda one: len(differences(one.settings, wanted)))
    results = []
    for variation, had in variations.items():
        ordered = {name: had[name] for name in members if name in had}
        results.append(_measure(run, leak_free, variation, ordered, metrics, classes))
    return sorted(results, key=distance)


def distance(of: Measured) -> tuple[bool, float, int, bool, int]:
    """How far a result is from the recipe: another net or set, share of the training, other changes; age.

    One seed of five is a fifth of the training, as 20 of 100 epochs of all are: a trial hides no result.
    """
    had, wanted = of.changed.get("train.epochs", (1, 1))
    trained = min(1.0, had / wanted) if isinstance(had, int) else 0.0
    other = any(key in of.changed for key in OTHER)
    return other, -trained * of.members / of.wanted, len(of.changed), of.recorded, -of.when


def differences(has: Overrides, wanted: Overrides) -> dict[str, list[Any]]:
    """Wanted keys that have another value: key -> [the value there is, or "not set"; the wanted one].

    1 and 1.0 are the same, 1 and true are not; of another net that was trained the settings are left out.
    """
    arch = wanted.get("model.arch")
    same_net = has.get("model.arch") == arch
    return {
        key: [has.get(key, "not set"), value]
        for key, value in wanted.items()
        if (key not in has or isinstance(has[key], bool) != isinstance(value, bool) or has[key] != value)
        and (same_net or not key.startswith(f"archs.{arch}."))
    }


def _measure(
    run: Run,
    leak_free: bool,
    variation: str,
    members: dict[str, Experiment],
    metrics: Sequence[str],
    every_class: bool,
) -> Measured:
    protocol, settings = run.protocol(leak_free), run.members(leak_free)
    units, complete, begun = _units(members, settings, protocol.over)
    counted = [one for unit in units for one in unit]
    tables = [one.predictions for one in counted if one.predictions is not None]
    faces = pd.concat(tables) if len(tables) == len(counted) else None  # a part is not the whole
    classes = [] if faces is None else classes_of(faces)
    drawn = None if faces is None else cache(lambda: draw(faces))
    recalls = [f"per_class.{name}.recall" for name in classes] if every_class else []
    scored = {metric: _score(metric, units, classes, drawn) for metric in dict.fromkeys([*metrics, *recalls])}
    changes = [differences(one.settings, settings[member]) for member, one in members.items()]
    return Measured(
        run.name,
        leak_free,
        variation,
        {key: _portable(key, values) for key, values in max(changes, key=len).items()},
        _over(protocol.over, len(settings), len(members), complete, begun),
        len(members),
        len(settings),
        sum(int(one.report.get("faces", 0)) for one in counted),
        sum(int(one.report.get("leaked_test_faces", 0)) for one in counted),
        {metric: score for metric, score in scored.items() if score is not None},
        None if faces is None else {"classes": classes, "counts": matrix(faces, classes).tolist()},
        {one.name: one.commit for one in members.values()},
        sorted({one.baseline[:7] for one in members.values()}),
        max(one.when for one in members.values()),
    )


def _portable(key: str, values: Sequence[Any]) -> list[Any]:
    """A change as others may read it: of a file outside the project its name alone."""
    files = key in ("model.weights", "data.path")
    return [
        one.rpartition("/")[2] if files and isinstance(one, str) and one.startswith("/") else one
        for one in values
    ]


def _units(
    members: Mapping[str, Experiment], settings: Mapping[str, Overrides], over: Mapping[str, Sequence[Any]]
) -> tuple[list[list[Experiment]], int, int]:
    """The experiments to score together, and how many repetitions are complete and begun.

    A unit is the folds of a complete repetition; where none is complete, all experiments that there are.
    """
    repetitions: dict[str, list[Experiment]] = {}
    for member, one in members.items():
        others = {key: settings[member][key] for key in over if key != FOLD}
        repetitions.setdefault(repr(others), []).append(one)
    complete = [unit for unit in repetitions.values() if len(unit) == len(over.get(FOLD, [0]))]
    return complete or [list(members.values())], len(complete), len(repetitions)


def _over(over: Mapping[str, Sequence[Any]], wanted: int, members: int, complete: int, begun: int) -> str:
    """What the scores are of, in words; empty for a run of one experiment."""
    if wanted == 1:
        return ""
    folds = len(over.get(FOLD, [0]))
    name = "seeds" if all(key in SEEDS for key in over if key != FOLD) else "repetitions"
    if folds == 1:
        return f"{complete} {name}" if complete == wanted else f"{complete} of {wanted} {name}"
    if not complete:
        return f"{members} of {begun * folds} folds"
    return f"{folds} folds" if complete == 1 else f"{complete} {name} of {folds} folds"


def _score(
    metric: str,
    units: Sequence[Sequence[Experiment]],
    classes: Sequence[str],
    drawn: Callable[[], Drawn] | None,
) -> Score | None:
    """A metric of all faces of each unit, where the confusion matrix gives it, else the experiments' mean."""
    each = [_together(unit, metric, classes) if drawn else None for unit in units]
    single = [[_number(one, metric) for one in unit] for unit in units]
    means = [None if None in unit else statistics.fmean(map(float, unit)) for unit in single]  # type: ignore[arg-type]
    values = [mean if one is None else one for one, mean in zip(each, means, strict=True)]
    if None in values:
        return None
    known = [float(one) for one in values if one is not None]
    spread = known if len(known) > 1 else [one for one in single[0] if one is not None]
    sd = statistics.stdev(spread) if len(spread) > 1 else None
    low, high = _bounds(metric, units, drawn) or (None, None)
    return Score(statistics.fmean(known), low, high, sd, known if len(known) > 1 else [])


def _number(of: Experiment, metric: str) -> float | None:
    """A number of metrics/report.json, or of plots/history.csv at the best epoch."""
    if metric in CURVES:
        return _at_best_epoch(of, CURVES[metric])
    value: Any = of.report
    for key in metric.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _at_best_epoch(of: Experiment, column: str) -> float | None:
    monitor = str(of.settings.get("train.monitor", "val_accuracy"))
    if of.history is None or not {monitor, column} <= set(of.history) or of.history.empty:
        return None
    values = pd.to_numeric(of.history[monitor], errors="coerce")
    best = int(values.argmin() if monitor == "val_loss" else values.argmax())
    return float(of.history[column].iloc[best])


def _together(unit: Sequence[Experiment], metric: str, classes: Sequence[str]) -> float | None:
    """The metric of the summed confusion matrix of the experiments.

    So Li and Lima 2021 do with the folds of a repetition (equations 10 and 11). None where the matrix does
    not give it (AUC), or no face is of the class.
    """
    faces = pd.concat([one.predictions for one in unit if one.predictions is not None])
    values = score(matrix(faces, classes)[None], metric, classes)
    return None if values is None or not len(values) else float(values[0])


def _bounds(
    metric: str, units: Sequence[Sequence[Experiment]], drawn: Callable[[], Drawn] | None
) -> Bounds | None:
    if len(units) == 1 and len(units[0]) == 1:
        low, high = (_number(units[0][0], f"{metric}_{end}") for end in ("low", "high"))
        if low is not None and high is not None:
            return low, high
    return drawn().bounds(metric) if drawn else None


def classes_of(faces: pd.DataFrame) -> list[str]:
    """The classes of a table of predictions, in the project's order."""
    names = {str(name).removeprefix("p_") for name in faces if str(name).startswith("p_")}
    return class_order(pd.Series(sorted(names), dtype=str))


def matrix(faces: pd.DataFrame, classes: Sequence[str]) -> Integers:
    """Confusion matrix of a table of predictions: K x K, rows actual."""
    actual, predicted = _codes(faces, "actual", classes), _codes(faces, "predicted", classes)
    return scores.confusion_matrix(actual, predicted, len(classes))


def _codes(faces: pd.DataFrame, column: str, classes: Sequence[str]) -> Integers:
    return np.asarray(pd.Categorical(faces[column], categories=list(classes)).codes, np.int64)


class Drawn:
    """Confusion matrices of resamples of test faces; those of a group stay together."""

    def __init__(self, classes: Sequence[str], counts: Integers, groups: Integers) -> None:
        """Take K classes, the matrices of resamples (RESAMPLES x K x K) and of the groups (G x K x K)."""
        self.classes, self.counts, self.groups = classes, counts, groups

    def bounds(self, metric: str) -> Bounds | None:
        """95 % interval; None where no confusion matrix gives the metric (AUC), or groups are too few."""
        values = score(self.counts, metric, self.classes)
        if values is None or not len(values) or metric.endswith(".support"):
            return None
        low, high = interval(values, *self._right_and_wrong(metric), proportion=_is_proportion(metric))
        return None if np.isnan(low) else (low, high)

    def _right_and_wrong(self, metric: str) -> tuple[Integers, Integers]:
        """Faces of each group that a metric counts as right, and as wrong: G each."""
        section, _, name = metric.rpartition(".")
        if not section.startswith("per_class."):
            right = self.groups.trace(axis1=1, axis2=2)
            return right, self.groups.sum(axis=(1, 2)) - right
        number = self.classes.index(section.removeprefix("per_class."))
        right = self.groups[:, number, number]
        missed = self.groups[:, number].sum(axis=1) - right
        mistaken = self.groups[:, :, number].sum(axis=1) - right
        return right, {"recall": missed, "precision": mistaken}.get(name, missed + mistaken)


def draw(faces: pd.DataFrame) -> Drawn:
    """Resample the test faces of one or more experiments on the same set by their groups.

    Args:
        faces: columns group, actual, predicted and p_<class>, as in plots/predictions.csv.
    """
    classes = classes_of(faces)
    size = len(classes)
    outcomes = _codes(faces, "actual", classes) * size + _codes(faces, "predicted", classes)
    counts = counts_by_group(np.asarray(faces["group"], np.int64), outcomes, size**2)
    drawn = resample(counts, RESAMPLES, seed=0)
    return Drawn(classes, drawn.reshape(-1, size, size), counts.reshape(-1, size, size))


def _is_proportion(metric: str) -> bool:
    """Whether a metric is the share of right ones among faces."""
    section, _, name = metric.rpartition(".")
    of_class = section.startswith("per_class.") and name in ("precision", "recall")
    return of_class or metric == "accuracy" or section == "micro"


def score(counts: Integers, metric: str, classes: Sequence[str]) -> Floats | None:
    """A metric of each of B confusion matrices; None where it is no function of them.

    Own code beside scikit-learn's, since it scores thousands of resamples at once.

    Args:
        counts: B x K x K, rows actual.
        metric: accuracy, macro.f1, per_class.happy.recall, ...
        classes: K names.
    """
    section, _, name = metric.rpartition(".")
    if metric == "balanced_accuracy":
        return scores.balanced_accuracy(counts)
    if metric == "accuracy" or (section == "micro" and name != "auc"):
        return scores.accuracy(counts)
    if name not in ("precision", "recall", "f1", "support"):
        return None
    values: Floats = getattr(scores, name)(counts)
    if section in ("macro", "weighted"):
        return getattr(scores, section)(values, counts)  # type: ignore[no-any-return]
    label = section.removeprefix("per_class.")
    if label not in classes:
        return None
    number = classes.index(label)
    has_class = scores.support(counts)[..., number] > 0  # a resample without the class says nothing of it
    return np.nan_to_num(values[..., number].astype(np.float64))[has_class]
