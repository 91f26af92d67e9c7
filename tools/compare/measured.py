"""What was measured for a run: one experiment's numbers, or the mean of several with their spread."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tools.compare import pooled
from tools.compare.found import Experiment
from tools.compare.pooled import Bounds
from tools.compare.settings import Deviation, deviation
from tools.gate.freshness import MISSING, look_up
from tools.recipes import Run
from tools.recipes.recipe import Overrides

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
    """What `value` is the mean of and `sd` the spread of: 10 folds; empty: one experiment."""


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
        return max(told, key=lambda one: one.rank)

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

        Several members: the mean over the folds of a repeat first, then over the repeats.

        Args:
            metric: dotted place in metrics/test.json.
        """
        values = {suffix: number(one.metrics, metric) for suffix, one in self.members.items()}
        known = {suffix: value for suffix, value in values.items() if value is not None}
        if not known or len(known) < len(values):
            return None
        if len(self.wanted) == 1:
            (only,) = self.members.values()
            return Estimate(
                next(iter(known.values())), bounds_of(only.metrics, metric) or self.bounds(metric)
            )
        return self._mean(known, self.bounds(metric))

    def bounds(self, metric: str) -> Bounds | None:
        """95 % interval over the test faces of all members; None where it can't be told."""
        if metric in self.stored or self.drawn is None:
            return self.stored.get(metric)
        return self.drawn.bounds(metric)

    @cached_property
    def drawn(self) -> pooled.Drawn | None:
        """Resamples of the predictions; None unless those of all members are there."""
        tables = pooled.read_tables(list(self.members.values()))
        return pooled.draw(tables) if tables else None

    def _mean(self, values: dict[str, float], bounds: Bounds | None) -> Estimate:
        repeats: dict[str, list[float]] = {}
        for suffix, value in values.items():
            key = str(sorted((key, str(v)) for key, v in self._varied(suffix).items() if key != FOLD))
            repeats.setdefault(key, []).append(value)
        means = [statistics.fmean(folds) for folds in repeats.values()]
        folds = max(map(len, repeats.values()))
        if len(means) == 1:
            spread, over = next(iter(repeats.values())), f"{folds} fold{'s' * (folds > 1)}"
        else:
            spread, over = means, f"{len(means)} {self._called()}"
            over += f" of {folds} folds" if folds > 1 else ""
        sd = statistics.stdev(spread) if len(spread) > 1 else None
        return Estimate(statistics.fmean(means), bounds, sd, over)

    def _varied(self, suffix: str) -> Overrides:
        over = self.run.honest_over if self.honest else self.run.over
        return {key: self.wanted[suffix][key] for key in over}

    def _called(self) -> str:
        over = self.run.honest_over if self.honest else self.run.over
        varied = [key for key, values in over.items() if key != FOLD and len(values) > 1]
        return "seeds" if all(key in SEEDS for key in varied) else "repeats"


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
                members[suffix], key=lambda one: (deviation(one.params, wanted[suffix], run).rank, -one.when)
            )
            for suffix in sorted(members, key=lambda suffix: order[suffix])
        }
        found.append(Measured(run, honest, variation, chosen))
    return rank(found)


def rank(found: Sequence[Measured]) -> list[Measured]:
    """Nearest to the recipe first; of equal ones that with most members, then the newest."""
    return sorted(found, key=lambda one: (one.deviation.rank, -len(one.members), -one.newest))
