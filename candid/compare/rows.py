"""The table as values: a row for each published number, ours beside it, and what has to be said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from candid.compare.measured import Estimate, Measured
from candid.compare.settings import MISSING, Deviation, shown
from candid.recipes import Published, Recipe, Run

MOST_CHANGES = 8


@dataclass(frozen=True)
class Cell:
    """One protocol's number in a row."""

    estimate: Estimate | None
    """None: not run, or the experiments don't have this number."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A number of the paper's and ours; or ours alone, where the paper gives none for a run."""

    run: str
    metric: str
    published: Published | None
    measured: Cell
    honest: Cell

    @property
    def difference(self) -> float | None:
        """Measured minus published."""
        found = self.measured.estimate
        return None if found is None or self.published is None else found.value - self.published.value

    @property
    def within(self) -> bool | None:
        """Whether the published number lies within the measured one's 95 % interval; None without one."""
        found = self.measured.estimate
        if found is None or found.bounds is None or self.published is None:
            return None
        return found.bounds[0] <= self.published.value <= found.bounds[1]


@dataclass(frozen=True)
class Pair:
    """What was found for a run: the paper's protocol and the honest one, each the nearest to the recipe."""

    run: Run
    measured: Measured | None
    honest: Measured | None
    nearer: tuple[bool, ...] = ()
    """Protocols (True: honest) of which a nearer one to the recipe is recorded than was run here."""

    def rows(self, full: bool) -> list[Row]:
        """Rows of the run: the headline alone, or every published number, classes last.

        Where nothing is published: our accuracy, and in full each class's sensitivity.
        """
        if not full:
            return [self._row(headline(self.run))]
        if found := in_order(self.run.published):
            return [self._row(one) for one in found]
        ours = [one.own_metrics for one in (self.measured, self.honest) if one is not None]
        metrics = dict.fromkeys(metric for some in ours for metric in some)
        return [self._row(metric) for metric in metrics] or self.rows(full=False)

    def _row(self, of: Published | str) -> Row:
        metric, published = (of, None) if isinstance(of, str) else (of.metric, of)
        cells = [_cell(one, metric) for one in (self.measured, self.honest)]
        if self.run.no_honest and self.honest is None:
            cells[1] = Cell(None, (f"no honest counterpart: {self.run.no_honest}",))
        return Row(self.run.name, metric, published, cells[0], cells[1])

    @property
    def alike(self) -> bool:
        """Whether both are there and of one variation: else their difference says nothing of the protocol."""
        if self.measured is None or self.honest is None:
            return False
        return self.measured.variation == self.honest.variation


def pair(run: Run, here: Sequence[Measured], recorded: Sequence[Measured]) -> Pair:
    """Choose what stands in the table: what was run here, else what is recorded.

    The honest counterpart is the one with the same variation where there is one: the same net and budget.

    Args:
        run: of the recipe.
        here: found for it, nearest to the recipe first.
        recorded: the same, from a folder.
    """
    chosen: list[Measured | None] = []
    nearer = []
    for honest in (False, True):
        pools = [[one for one in pool if one.honest is honest] for pool in (here, recorded)]
        found = next((pool for pool in pools if pool), [])
        other = chosen[0] if chosen else None
        alike = [one for one in found if other is not None and one.variation == other.variation]
        one = next(iter(alike or found), None)
        if one is not None and any(other.rank < one.rank for other in pools[1]):
            nearer.append(honest)
        chosen.append(one)
    return Pair(run, chosen[0], chosen[1], tuple(nearer))


def headline(run: Run) -> Published | str:
    """The number a run is known by: its accuracy, else the first that the paper gives, else ours alone."""
    scores = [one for one in run.published if not one.metric.endswith(".support")]
    return next((one for one in scores if one.metric == "accuracy"), scores[0] if scores else "accuracy")


def in_order(published: Iterable[Published]) -> list[Published]:
    """Accuracy first, other averages next, classes last; supports are no scores."""
    scores = [one for one in published if not one.metric.endswith(".support")]
    return sorted(scores, key=lambda one: (one.metric.startswith("per_class."), one.metric != "accuracy"))


def _cell(of: Measured | None, metric: str) -> Cell:
    if of is None:
        return Cell(None)
    estimate = of.estimate(metric)
    return Cell(estimate, tuple(notes(of, estimate)) if estimate is not None else ())


def notes(of: Measured, estimate: Estimate | None = None) -> list[str]:
    """What has to be said of a measured number."""
    told = deviations(of.deviation)
    if of.variation and not told:
        told.append(f"another variation: {of.variation}")
    if not of.whole:
        told.append(f"{len(of.members)} of {len(of.wanted)} experiments")
    if estimate is not None and estimate.over:
        faces = f"all faces of {estimate.over}" if estimate.together else f"mean over {estimate.over}"
        between = " between them" if estimate.together else ""
        told.append(faces + (f", ± standard deviation{between}" if estimate.sd is not None else ""))
    if of.recorded:
        commits = sorted({one.baseline[:7] for one in of.members.values()})
        told.append(f"recorded at commit {', '.join(commits[:2])}{' and others' * (len(commits) > 2)}")
    return told


def deviations(of: Deviation) -> list[str]:
    """How an experiment differs from its run, in words."""
    told = []
    if of.epochs is not None:
        had, wanted = of.epochs
        told.append(
            f"shortened: {had} of {wanted} epochs" if had < wanted else f"{had} epochs instead of {wanted}"
        )
    if of.scratch:
        others = [f"{key} {_value(value)}" for key, value in of.scratch.items() if key != "model.weights"]
        told.append(
            "from scratch, without ImageNet weights" + (f" (so {', '.join(others)})" if others else "")
        )
    if of.changed:
        changes = [
            f"{key} {_value(shown(key, had))} instead of {_value(shown(key, wanted))}"
            for key, (had, wanted) in sorted(of.changed.items())
        ]
        more = f" and {len(changes) - MOST_CHANGES} more" if len(changes) > MOST_CHANGES else ""
        told.append(f"changed: {', '.join(changes[:MOST_CHANGES])}{more}")
    return told


def _value(value: Any) -> str:
    return "not set" if value is MISSING else "null" if value is None else str(value)


@dataclass(frozen=True)
class Table:
    """Everything there is to say of a recipe."""

    recipe: Recipe
    pairs: list[Pair]

    def rows(self, full: bool = False) -> list[Row]:
        """Rows of all runs."""
        return [row for one in self.pairs for row in one.rows(full)]

    def protocols(self, honest: bool) -> dict[str, list[str]]:
        """Protocol -> the runs that have it, in order."""
        found: dict[str, list[str]] = {}
        for one in self.pairs:
            if honest and one.run.no_honest:
                continue
            told = one.run.honest_protocol if honest else one.run.protocol
            found.setdefault(told, []).append(one.run.name)
        return {told: list(dict.fromkeys(names)) for told, names in found.items()}

    def not_run(self, honest: bool) -> list[str]:
        """Runs of which nothing was measured."""
        known = {one.run.name for one in self.pairs if (one.honest if honest else one.measured) is not None}
        names = dict.fromkeys(one.run.name for one in self.pairs if not (honest and one.run.no_honest))
        return [name for name in names if name not in known]
