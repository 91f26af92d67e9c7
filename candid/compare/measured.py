"""What experiments measured, one alone or folds, repetitions and seeds together; from git or from files."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from candid.errors import CandidError
from candid.evaluation.bootstrap import Drawn, draw, percentiles
from candid.evaluation.predictions import Predictions, as_predictions
from candid.evaluation.scores import Integers, confusion_matrix, named
from candid.files import parse_csv, read_json, write_json
from candid.gate.results import PREDICTIONS, REPORT, Revision, experiments, look_up
from candid.gate.statistics import Pairs, bootstrap, group_kinds
from candid.recipes.load import flat
from candid.recipes.recipe import Overrides, Recipe, Run
from candid.settings import Section, check

PROVENANCE, HISTORY = "metrics/provenance.json", "plots/history.csv"
DECIMALS = 6
RESAMPLES = 2000
GAIN = ": transfer minus scratch"  # behind a metric: the difference that the weights of ImageNet make
CHANGES = ("accuracy", "macro.f1")  # the first columns of gate.statistics.changes
FOLD, SEEDS = "split.fold", ("split.seed", "train.seed")
OTHER = ("model.arch", "data.dataset")  # with another one of these it is hardly the run any more
CURVES = {"train.accuracy": "accuracy", "train.loss": "loss", "validation.accuracy": "val_accuracy",
          "validation.loss": "val_loss", "best_epoch": "epoch"}  # fmt: skip
"""Metric -> column of plots/history.csv, read at the best epoch."""


@dataclass(frozen=True)
class Experiment:
    """What one finished experiment left behind."""

    name: str  # <recipe>-<run>[-leak_free][-<member>][+<variation>]
    commit: str
    baseline: str  # the commit that it was queued from
    when: int  # seconds since 1970 at which it was committed
    settings: Overrides  # all of params.yaml, by dotted key
    report: dict[str, Any]  # metrics/report.json
    predictions: Predictions | None = field(default=None, repr=False)  # plots/predictions.csv
    history: pd.DataFrame | None = field(default=None, repr=False)  # None: DVC's cache has lost it


def read_experiments(root: Path, recipe: Recipe, runs: Iterable[str]) -> list[Experiment]:
    """Read the finished experiments of these runs, the newest first; nothing is checked out.

    One without a report or settings that can be read is no result and is left out.
    """
    known, wanted, finished = recipe.experiments(), set(runs), []
    for name, commit, baseline, when in experiments(root):
        if (planned := known.get(name.partition("+")[0])) is None or planned[0].name not in wanted:
            continue
        revision, faces, history = Revision(root, name, commit), None, None
        try:
            report, settings = revision.json(REPORT), flat(revision.yaml("params.yaml"))
        except CandidError:
            continue
        if not isinstance(report.get("accuracy"), int | float):
            continue
        with suppress(CandidError, KeyError):  # earlier experiments have no time
            report["milliseconds"] = revision.json(PROVENANCE)["milliseconds"]
        with suppress(CandidError):
            faces = as_predictions(parse_csv(revision.need(PREDICTIONS), PREDICTIONS))
        with suppress(CandidError):
            history = parse_csv(revision.need(HISTORY), HISTORY)
        finished.append(Experiment(name, commit, baseline, when, settings, report, faces, history))
    return finished


class Score(Section):
    """A measured number."""

    value: float
    low: float | None = None  # 95 % interval; None: unknown
    high: float | None = None
    sd: float | None = None  # standard deviation (n - 1) of repetitions or seeds; of one, its folds'
    each: list[float] = []  # the value of each repetition or seed, where there are several


class Measured(Section):
    """What was measured of a run, under one protocol and in one variation; this is what --export writes."""

    run: str
    leak_free: bool
    variation: str  # empty: the run as the recipe has it
    changed: dict[str, list[Any]]  # setting that differs -> the experiments' value and the recipe's
    over: str  # what the scores are of: 10 folds, 3 of 5 seeds; empty: one experiment
    members: int  # experiments that there are, and
    wanted: int  # ... that the recipe has
    faces: int  # test faces of the experiments that count
    leaked: int  # those of them with a related image in training
    scores: dict[str, Score]
    confusion: dict[str, Any] | None  # `classes` and `counts` (rows actual), all folds; None: unknown
    experiments: dict[str, str]  # name -> commit
    baselines: list[str]
    when: int
    recorded: bool = Field(default=False, exclude=True)  # read from a file, not from an experiment here
    predictions: Any = Field(default=None, exclude=True, repr=False)  # Predictions; None: unknown


def experiment_name(recipe: Recipe, of: Measured) -> str:
    """The name that its experiments have in common."""
    name = recipe.experiment(recipe.run(of.run), of.leak_free, "")
    return "+".join(filter(None, (name, of.variation)))


def export(folder: Path, recipe: Recipe, results: Iterable[Measured]) -> list[Path]:
    """Write a JSON file for each result: numbers and settings, no faces and no names of pictures."""
    written = []
    for one in results:
        path = folder / f"{experiment_name(recipe, one)}.json"
        text = one.model_dump_json()
        write_json(path, json.loads(text, parse_float=lambda digits: round(float(digits), DECIMALS)))
        written.append(path)
    return written


def read_export(folder: Path, recipe: Recipe) -> list[Measured]:
    """Read what `export` wrote, for the runs that the recipe has; CandidError where a file is no result."""
    results = [check("result", Measured, read_json(path), path) for path in sorted(folder.glob("*.json"))]
    runs = {run.name for run in recipe.runs}
    return [one.model_copy(update={"recorded": True}) for one in results if one.run in runs]


def gather(
    recipe: Recipe,
    run: Run,
    leak_free: bool,
    experiments: Sequence[Experiment],
    metrics: Sequence[str],
    classes: bool = False,
) -> list[Measured]:
    """Put the experiments of a run and a protocol together: one result a variation, the nearest first.

    Of several experiments of one name (the newest first) that counts which differs least from the recipe.
    `metrics` are computed where the experiments have them, with `classes` the recall of each class, too.
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
    results.sort(key=distance)
    for transfer, scratch in permutations(results if run.without_imagenet else [], 2):
        for name, score in _gain(run, metrics[0], transfer, scratch).items():
            transfer.scores.setdefault(name, score)
    return results


def _gain(run: Run, metric: str, transfer: Measured, scratch: Measured) -> dict[str, Score]:
    """The first's score minus the second's where these start from weights and from none, all else the same.

    With a paired interval where both have the same faces.
    """
    weights = [one.changed.get("model.weights", ["imagenet"])[0] for one in (transfer, scratch)]
    others = [
        {key: value for key, value in one.changed.items() if key not in (run.without_imagenet or {})}
        for one in (transfer, scratch)
    ]
    scored = metric in transfer.scores and metric in scratch.scores
    if not weights[0] or weights[1] or others[0] != others[1] or not scored:
        return {}
    value = transfer.scores[metric].value - scratch.scores[metric].value
    after, before = transfer.predictions, scratch.predictions
    known = after and before and metric in CHANGES and list(after.classes) == list(before.classes)
    if known and np.array_equal([after.actual, after.groups], [before.actual, before.groups]):
        groups = np.unique(after.groups, return_inverse=True)[1]
        pairs = Pairs(tuple(after.classes), after.actual, before.predicted, after.predicted, groups)
        changes = bootstrap(group_kinds(pairs), RESAMPLES, np.random.default_rng(0))
        low, high = percentiles(changes[:, CHANGES.index(metric)], int(groups.max()) + 1)
        if not math.isnan(low):
            return {metric + GAIN: Score(value=value, low=low, high=high)}
    return {metric + GAIN: Score(value=value)}


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
    settings = run.members(leak_free)
    units, over = _units(members, settings, run.protocol(leak_free).over)
    counted = [one for unit in units for one in unit]
    faces = joined(counted)
    classes = list(faces.classes) if faces else []
    parts = [part for part in map(joined, units) if part] if faces else []
    counts = [confusion_matrix(part.actual, part.predicted, len(classes)) for part in parts]
    drawn = cache(lambda: draw(faces)) if faces else None
    wanted = [*metrics, *(f"per_class.{name}.recall" for name in classes if every_class)]
    scored = {metric: _score(metric, units, classes, counts, drawn) for metric in dict.fromkeys(wanted)}
    changes = [differences(one.settings, settings[member]) for member, one in members.items()]
    return Measured(
        run=run.name,
        leak_free=leak_free,
        variation=variation,
        changed={key: _portable(key, values) for key, values in max(changes, key=len).items()},
        over=over,
        members=len(members),
        wanted=len(settings),
        faces=sum(int(one.report.get("faces", 0)) for one in counted),
        leaked=sum(int(one.report.get("leaked_test_faces", 0)) for one in counted),
        scores={metric: score for metric, score in scored.items() if score is not None},
        confusion={"classes": classes, "counts": np.sum(counts, axis=0).tolist()} if faces else None,
        experiments={one.name: one.commit for one in members.values()},
        baselines=sorted({one.baseline[:7] for one in members.values()}),
        when=max(one.when for one in members.values()),
        predictions=faces,
    )


def joined(members: Sequence[Experiment]) -> Predictions | None:
    """The predictions of several experiments; None where one of them has none: a part is not the whole."""
    tables = [one.predictions for one in members if one.predictions is not None]
    if len(tables) < len(members) or any(one.classes != tables[0].classes for one in tables):
        return None
    columns = zip(*((one.actual, one.probabilities, one.groups) for one in tables), strict=True)
    return Predictions(tables[0].classes, *map(np.concatenate, columns))


def _portable(key: str, values: Sequence[Any]) -> list[Any]:
    """A change as others may read it: of a file outside the project its name alone."""
    if key not in ("model.weights", "data.path"):
        return list(values)
    return [one.rpartition("/")[2] if str(one).startswith("/") else one for one in values]


def _units(
    members: Mapping[str, Experiment], settings: Mapping[str, Overrides], over: Mapping[str, Sequence[Any]]
) -> tuple[list[list[Experiment]], str]:
    """The experiments to score together, and what the scores are of, in words; empty for a run of one.

    A unit is the folds of a complete repetition; where none is complete, all experiments that there are.
    """
    repetitions: dict[str, list[Experiment]] = {}
    for member, one in members.items():
        others = {key: settings[member][key] for key in over if key != FOLD}
        repetitions.setdefault(repr(others), []).append(one)
    folds = len(over.get(FOLD, [0]))
    complete = [unit for unit in repetitions.values() if len(unit) == folds]
    name = "seeds" if all(key in SEEDS for key in over if key != FOLD) else "repetitions"
    count = len(complete)
    if len(settings) == 1:
        words = ""
    elif folds == 1:
        words = f"{count} {name}" if count == len(settings) else f"{count} of {len(settings)} {name}"
    elif not complete:
        words = f"{len(members)} of {len(repetitions) * folds} folds"
    else:
        words = f"{folds} folds" if count == 1 else f"{count} {name} of {folds} folds"
    return complete or [list(members.values())], words


def _score(
    metric: str,
    units: Sequence[Sequence[Experiment]],
    classes: Sequence[str],
    counts: Sequence[Integers],
    drawn: Callable[[], Drawn] | None,
) -> Score | None:
    """A metric of all faces of each unit, where the confusion matrix gives it, else the experiments' mean.

    So Li and Lima 2021 do with the folds of a repetition (equations 10 and 11).
    """
    singles = [[_number(one, metric) for one in unit] for unit in units]
    values = [statistics.fmean(unit) for unit in singles]
    if drawn:
        together = [float(named(one, metric, classes)) for one in counts]
        values = [mean if np.isnan(one) else one for one, mean in zip(together, values, strict=True)]
    if np.isnan(values).any():
        return None
    spread = values if len(values) > 1 else [one for one in singles[0] if one == one]
    sd = statistics.stdev(spread) if len(spread) > 1 else None
    low, high = (_number(units[0][0], f"{metric}_{end}") for end in ("low", "high"))
    bounds: Any = (None, None)
    if len(units) == len(units[0]) == 1 and low == low and high == high:
        bounds = low, high
    elif drawn:
        bounds = drawn().bounds(metric) or (None, None)
    each = values if len(values) > 1 else []
    return Score(value=statistics.fmean(values), low=bounds[0], high=bounds[1], sd=sd, each=each)


def _number(of: Experiment, metric: str) -> float:
    """A number of metrics/report.json, or of plots/history.csv at the best epoch; NaN where there is none."""
    if metric not in CURVES:
        value = look_up(of.report, metric)
        return float(value) if isinstance(value, int | float) else math.nan
    monitor, column = str(of.settings.get("train.monitor", "val_accuracy")), CURVES[metric]
    if of.history is None or not {monitor, column} <= set(of.history) or of.history.empty:
        return math.nan
    values = pd.to_numeric(of.history[monitor], errors="coerce")
    best = int(values.argmin() if monitor == "val_loss" else values.argmax())
    return float(of.history[column].iloc[best])
