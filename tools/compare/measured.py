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
from tools.gate.look_up import MISSING, look_up
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
    """What `value` is the mean of and `sd` the spread of: 10 folds, 3 of 5 seeds; empty: one experiment."""


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

        Several members: the mean over the folds of a repeat first, then over the repeats, of those with all
        their folds alone. Where none has all, the mean of the folds there are.

        Args:
            metric: dotted place in metrics/test.json.
        """
        values = {suffix: number(self.members[suffix].metrics, metric) for suffix in self.counted}
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
        """95 % interval over the test faces of all that count; None where it can't be told."""
        if metric in self.stored or self.drawn is None:
            return self.stored.get(metric)
        return self.drawn.bounds(metric)

    @cached_property
    def drawn(self) -> pooled.Drawn | None:
        """Resamples of the predictions; None unless those of all that count are there."""
        tables = pooled.read_tables([self.members[suffix] for suffix in self.counted])
        return pooled.draw(tables) if tables else None

    @cached_property
    def counted(self) -> list[str]:
        """Suffixes of the members that make the number: of whole repeats, once there is one, else all.

        A repeat that was cut would weigh as much by one fold as another by ten.
        """
        return [suffix for repeat in self._whole_repeats for suffix in repeat] or list(self.members)

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

    def _mean(self, values: dict[str, float], bounds: Bounds | None) -> Estimate:
        means = [statistics.fmean(values[suffix] for suffix in one) for one in self._whole_repeats]
        if self._folds == 1 or len(means) > 1:
            spread = means
        else:
            spread = list(values.values()) if len(means) == 1 or len(self._repeats) == 1 else []
        sd = statistics.stdev(spread) if len(spread) > 1 else None
        return Estimate(statistics.fmean(means or values.values()), bounds, sd, self._called(len(means)))

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
                members[suffix], key=lambda one: (deviation(one.params, wanted[suffix], run).rank, -one.when)
            )
            for suffix in sorted(members, key=lambda suffix: order[suffix])
        }
        found.append(Measured(run, honest, variation, chosen))
    return rank(found)


def rank(found: Sequence[Measured]) -> list[Measured]:
    """Whole ones first, then the nearest to the recipe; of equal ones the one with most members, the newest.

    A single seed of five is no number of the run's, however near to the recipe it is.
    """
    return sorted(found, key=lambda one: (not one.whole, one.deviation.rank, -len(one.members), -one.newest))
