"""What was measured for a run: one experiment's numbers, or the mean of several with their spread."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from candid.compare import pooled
from candid.compare.found import Experiment
from candid.compare.pooled import Bounds
from candid.compare.settings import Deviation, deviation
from candid.gate.results import MISSING, Results, look_up
from candid.recipes import Run
from candid.recipes.recipe import Overrides

FOLD, SEEDS = "split.fold", ("split.seed", "train.seed")


@dataclass(frozen=True)
class Estimate:
    """A measured number."""

    value: float
    bounds: Bounds | None = None
    """95 % interval."""
    sd: float | None = None
    """Standard deviation (n - 1) between repeats, seeds or folds."""
    over: str = ""
    """What `value` is of and `sd` the spread of: 10 folds, 3 of 5 seeds; empty: one experiment."""
    together: bool = False
    """Whether `value` is of all faces of the folds at once, not the mean of their scores."""


@dataclass(frozen=True)
class Measured:
    """The experiments of one run, one protocol and one variation."""

    run: Run
    honest: bool
    variation: str
    members: dict[str, Experiment]
    """By suffix, in the order of the recipe."""
    stored: dict[str, Bounds] = field(default_factory=dict)
    """Intervals that were computed when the predictions were there."""
    together: dict[str, list[float]] = field(default_factory=dict)
    """By metric what `_together` gave for each of `units` when the predictions were there."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By suffix, where known."""
    recorded: bool = False
    """Read from a folder, not from an experiment here."""

    @cached_property
    def wanted(self) -> dict[str, Overrides]:
        """All members of the run by suffix."""
        return dict(self.run.members(self.honest))

    @property
    def whole(self) -> bool:
        """Whether no member is missing."""
        return len(self.members) == len(self.wanted)

    @cached_property
    def deviation(self) -> Deviation:
        """How the settings differ from the recipe's: of the member that is furthest from them."""
        told = (deviation(one.params, self.wanted[suffix], self.run) for suffix, one in self.members.items())
        return max(told, key=lambda one: one.rank())

    @property
    def rank(self) -> tuple[bool, float, int]:
        """Smaller is nearer to the run as the recipe has it."""
        return self.deviation.rank(len(self.members) / len(self.wanted))

    @property
    def own_metrics(self) -> list[str]:
        """Accuracy and each class's sensitivity: what is shown of a run of which the paper has no number."""
        classes = next(iter(self.members.values())).metrics.get("per_class", {})
        return ["accuracy", *(f"per_class.{name}.recall" for name in classes)]

    @property
    def newest(self) -> int:
        """Time of the latest member."""
        return max(one.when for one in self.members.values())

    @property
    def leaked(self) -> tuple[int, int]:
        """Test faces with a relative in the training part, and all of them, over the members."""
        metrics = [one.metrics for one in self.members.values()]
        return sum(one.get("leaked_test_faces", 0) for one in metrics), sum(
            one.get("faces", 0) for one in metrics
        )

    def estimate(self, metric: str) -> Estimate | None:
        """The number, its interval and its spread; None where the experiments don't have it.

        Several members: of the folds of a repeat all faces together, where their confusion matrices give the
        metric, else the mean; then the mean over the repeats, of those with all their folds alone. Where none
        has all, of the folds there are.

        Args:
            metric: dotted place in metrics/test.json.
        """
        if len(self.wanted) == 1:
            (only,) = self.members.values()
            value = number(only.metrics, metric)
            bounds = None if value is None else bounds_of(only.metrics, metric) or self.bounds(metric)
            return None if value is None else Estimate(value, bounds)
        together = self.scores_together(metric)
        scores: Sequence[float | None] = together or [self._mean(unit, metric) for unit in self.units]
        known = [one for one in scores if one is not None]
        if not known or len(known) < len(scores):
            return None
        whole = len(self._whole_repeats)
        spread = known
        if self._folds > 1 and whole < 2:
            alone = whole == 1 or len(self._repeats) == 1
            folds = [number(self.members[one].metrics, metric) for one in self.counted if alone]
            spread = [score for score in folds if score is not None]
        sd = statistics.stdev(spread) if len(spread) > 1 else None
        value = statistics.fmean(known)
        return Estimate(value, self.bounds(metric), sd, self._called(whole), bool(together) and whole < 2)

    @cached_property
    def units(self) -> list[list[str]]:
        """Suffixes of the members whose faces are scored at once: those of a whole repeat, else all."""
        if self._folds == 1:
            return [[suffix] for suffix in self.members]
        return self._whole_repeats or [list(self.members)]

    def scores_together(self, metric: str) -> list[float]:
        """Of each unit the metric over all its faces; [] where nothing gives it, or there are no folds."""
        if metric in self.together or self._folds == 1:
            return self.together.get(metric, [])
        found = [pooled.together(one, metric) for one in self._tables]
        scores = [one for one in found if one is not None]
        return scores if len(scores) == len(self.units) else []

    @cached_property
    def _tables(self) -> list[list[Results]]:
        """Predictions of each unit; [] unless all are there."""
        found = [pooled.read_tables([self.members[suffix] for suffix in unit]) for unit in self.units]
        return found if all(found) else []

    def _mean(self, unit: Sequence[str], metric: str) -> float | None:
        values = [number(self.members[suffix].metrics, metric) for suffix in unit]
        known = [value for value in values if value is not None]
        return statistics.fmean(known) if len(known) == len(values) else None

    def bounds(self, metric: str) -> Bounds | None:
        """95 % interval over the test faces of all that count; None where it can't be told."""
        if metric in self.stored or self.drawn is None:
            return self.stored.get(metric)
        return self.drawn.bounds(metric)

    @cached_property
    def drawn(self) -> pooled.Drawn | None:
        """Resamples of the predictions; None unless those of all that count are there."""
        tables = [table for unit in self._tables for table in unit]
        return pooled.draw(tables) if tables else None

    @cached_property
    def counted(self) -> list[str]:
        """Suffixes of the members that make the number: of whole repeats, once there is one, else all.

        A repeat that was cut would weigh as much by one fold as another by ten.
        """
        return [suffix for unit in self.units for suffix in unit]

    @cached_property
    def _repeats(self) -> list[list[str]]:
        """Suffixes of the members that differ in their fold alone; without folds each is by itself."""
        found: dict[str, list[str]] = {}
        for suffix in self.members:
            others = {key: value for key, value in self._varied(suffix).items() if key != FOLD}
            found.setdefault(repr(sorted(others.items())), []).append(suffix)
        return list(found.values())

    @property
    def _whole_repeats(self) -> list[list[str]]:
        return [one for one in self._repeats if len(one) == self._folds]

    @property
    def _over(self) -> dict[str, list[Any]]:
        return self.run.honest_over if self.honest else self.run.over

    @property
    def _folds(self) -> int:
        return len(self._over.get(FOLD, [0]))

    def _called(self, whole: int) -> str:
        """What the mean is over, `whole` being the repeats with all their folds."""
        varied = [key for key, values in self._over.items() if key != FOLD and len(values) > 1]
        name = "seeds" if all(key in SEEDS for key in varied) else "repeats"
        if self._folds == 1:
            return f"{_of(whole, len(self.wanted))} {name}"
        if whole:
            return f"{whole} {name} of {self._folds} folds" if whole > 1 else f"{self._folds} folds"
        return f"{_of(len(self.members), self._folds if len(self._repeats) == 1 else len(self.wanted))} folds"

    def _varied(self, suffix: str) -> Overrides:
        return {key: self.wanted[suffix][key] for key in self._over}


def _of(there: int, wanted: int) -> str:
    return str(there) if there == wanted else f"{there} of {wanted}"


def number(metrics: dict[str, Any], metric: str) -> float | None:
    """A number of metrics/test.json; None where there is none."""
    value = look_up(metrics, metric)
    return float(value) if value is not MISSING and isinstance(value, int | float) else None


def bounds_of(metrics: dict[str, Any], metric: str) -> Bounds | None:
    """The interval that stands beside a number in metrics/test.json."""
    section, _, name = metric.rpartition(".")
    if section == "micro" and name in ("precision", "recall"):  # with one label a face all three are one
        metric = "micro.f1"
    low, high = number(metrics, f"{metric}_low"), number(metrics, f"{metric}_high")
    return None if low is None or high is None else (low, high)


def gather(run: Run, honest: bool, experiments: Iterable[Experiment]) -> list[Measured]:
    """Put the experiments of a run and a protocol together, those nearest to the recipe first.

    Of several experiments of one name, that which is as the recipe asks counts, else the newest.
    """
    order = {suffix: place for place, (suffix, _) in enumerate(run.members(honest))}
    wanted = dict(run.members(honest))
    variations: dict[str, dict[str, list[Experiment]]] = {}
    for one in experiments:
        if (one.name.run, one.name.honest) == (run.name, honest) and one.name.member in order:
            variations.setdefault(one.name.variation, {}).setdefault(one.name.member, []).append(one)
    found = []
    for variation, members in variations.items():
        chosen = {
            suffix: min(
                members[suffix],
                key=lambda one: (deviation(one.params, wanted[suffix], run).rank(), -one.when),
            )
            for suffix in sorted(members, key=lambda suffix: order[suffix])
        }
        found.append(Measured(run, honest, variation, chosen))
    return rank(found)


def rank(found: Sequence[Measured]) -> list[Measured]:
    """The nearest to the recipe first, of equal ones the newest.

    A single seed of five is a fifth of the training, as 20 of 100 epochs of all are: a trial hides no result.
    """
    return sorted(found, key=lambda one: (one.rank, -one.newest))
