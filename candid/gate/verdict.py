"""From two revisions to one verdict: read, refuse what can't be compared, compare, look at the floors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from candid.errors import CandidError
from candid.gate.decide import Comparison, compare
from candid.gate.freshness import read_yaml, stale
from candid.gate.look_up import MISSING, look_up
from candid.gate.pairs import pair
from candid.gate.params import GateSettings
from candid.gate.results import METRICS, Results, read_results
from candid.gate.revisions import Commit, Tree, WorkingTree
from candid.settings import check

PASS, REGRESSION, CANNOT_COMPARE = 0, 1, 2


@dataclass(frozen=True)
class Floor:
    """An absolute limit on a metric of the candidate."""

    name: str
    value: float
    floor: float

    @property
    def broken(self) -> bool:
        """Below, by the six decimals that metrics have."""
        return self.value < self.floor


@dataclass(frozen=True)
class Verdict:
    """What the gate says."""

    baseline: Commit
    candidate: WorkingTree
    before: Results
    after: Results
    comparison: Comparison
    floors: tuple[Floor, ...]
    notes: tuple[str, ...]

    @property
    def status(self) -> int:
        """Exit status: PASS or REGRESSION."""
        broken = any(floor.broken for floor in self.floors)
        return REGRESSION if broken or self.comparison.failed else PASS

    @property
    def reasons(self) -> list[str]:
        """Why it is a regression, one phrase each; empty for a pass."""
        return [
            *(
                f"{check.name} fell by {-100 * check.change:.1f} points, "
                f"surely by more than the {100 * check.margin:g} allowed"
                for check in self.comparison.failed
            ),
            *(
                f"{floor.name} is {floor.value:g}, its floor {floor.floor:g}"
                for floor in self.floors
                if floor.broken
            ),
        ]


def judge(baseline: Commit, candidate: WorkingTree) -> Verdict:
    """Compare the working tree with a commit.

    Raises:
        CandidError: the two can't be compared, or one of them can't be trusted; the line says why.
    """
    settings = read_settings(candidate)
    notes = [*_stale(baseline, settings), *_stale(candidate, settings)]
    before, after = read_results(baseline), read_results(candidate)
    pairs = pair(before, after, settings.min_common)
    if pairs.common < 1:
        notes.append(f"only {pairs.common:.1%} of the test faces are in both; these alone are compared")
    if after.metrics["leaky"]:
        notes.append("both splits are leaky: relatives of test faces were trained on, so both scores flatter")
    notes += _other_settings(baseline, settings)
    floors = tuple(_floor(after, name, floor) for name, floor in settings.floors.items())
    return Verdict(baseline, candidate, before, after, compare(pairs, settings), floors, tuple(notes))


def read_settings(tree: Tree) -> GateSettings:
    """The section `gate` of a revision's params.yaml."""
    section = look_up(read_yaml(tree, "params.yaml"), "gate")
    if section is MISSING:
        raise CandidError(f"{tree.name}: params.yaml: no section 'gate'")
    return check("gate", GateSettings, section, "params.yaml")


def _stale(tree: Tree, settings: GateSettings) -> list[str]:
    reasons = stale(tree)
    if not reasons:
        return []
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    line = f"{tree.name} is stale: {reasons[0]}{more}"
    if not settings.allow_stale:
        raise CandidError(f"{line}; expected what `dvc repro` leaves, committed (or gate.allow_stale)")
    return [line]


def _other_settings(baseline: Commit, settings: GateSettings) -> list[str]:
    """A change must not loosen its own gate unseen."""
    try:
        old = read_settings(baseline)
    except CandidError:
        return [f"{baseline.name} has no settings for the gate that could be compared"]
    return [
        f"gate.{name} is {getattr(settings, name)} here, {getattr(old, name)} in {baseline.name}"
        for name in GateSettings.model_fields
        if getattr(settings, name) != getattr(old, name)
    ]


def _floor(after: Results, name: str, floor: float) -> Floor:
    value: Any = look_up(after.metrics, name)
    if not isinstance(value, int | float):
        raise CandidError(f"gate.floors has {name}; {after.name}: {METRICS} has no such score")
    return Floor(name, float(value), floor)
