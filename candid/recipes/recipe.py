"""What a recipe is once it has been read: settings merged, tables taken apart into numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

Overrides = dict[str, Any]
"""Dotted key of params.yaml (of a value, never of a whole section) -> value."""

LETTERS = {"split.repeat": "r", "split.fold": "f", "split.seed": "s", "train.seed": "t"}
"""What a member of a run is called by, in the order given: r0-f3."""


@dataclass(frozen=True)
class Paper:
    """The citation."""

    title: str
    authors: list[str]
    year: int
    where: str
    url: str | None

    @property
    def short(self) -> str:
        """Such as: Li and Lima 2021; Bah et al. 2022."""
        names = [name.split()[-1] for name in self.authors]
        return f"{' and '.join(names) if len(names) < 3 else f'{names[0]} et al.'} {self.year}"


@dataclass(frozen=True)
class Published:
    """One number of the paper's that ours can be held against."""

    metric: str
    """Dotted place in metrics/report.json: accuracy, macro.f1, per_class.happy.recall."""
    value: float
    """A fraction, as metrics/report.json has it."""
    source: str
    """Where it stands: Table 3."""
    sd: float | None = None
    """Standard deviation over repetitions, a fraction."""
    repetitions: list[float] = field(default_factory=list)
    """The value of each repetition, where the paper prints them."""


@dataclass(frozen=True)
class Confusion:
    """A published confusion matrix: counts[actual][predicted]."""

    classes: list[str]
    counts: list[list[int]]
    source: str


@dataclass(frozen=True)
class Reported:
    """A number of the paper's for which metrics/report.json has no place, such as a validation accuracy."""

    what: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Run:
    """A row of the paper's tables: one experiment, or several that differ in a seed or a fold."""

    name: str
    about: str
    protocol: str
    """Of the published number: data, split, what chose the epoch."""
    settings: Overrides
    """All settings: the recipe's and the run's."""
    over: dict[str, list[Any]]
    """Settings that take several values, one experiment for each combination; empty: a single experiment."""
    honest: Overrides | None
    """All settings of the honest counterpart; None: there is none, and no_honest says why."""
    honest_protocol: str
    honest_over: dict[str, list[Any]]
    no_honest: str | None
    without_imagenet: Overrides | None
    """What to change where ImageNet weights can't be had; None: the run doesn't need them."""
    published: list[Published] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)
    data_from: str | None = None
    """Where the paper's own data come from when they are not in the catalogue."""

    def members(self, honest: bool, imagenet: bool = True) -> list[tuple[str, Overrides]]:
        """Name the experiments of the run with all overrides of each.

        Args:
            honest: those of the honest counterpart; [] where there is none.
            imagenet: whether ImageNet weights can be had; otherwise without_imagenet is put on top.

        Returns:
            suffix and overrides: ("", {...}) for a single experiment, ("r0-f3", {...}) for one of several.
        """
        settings = self.honest if honest else self.settings
        if settings is None:
            return []
        if not imagenet:
            settings = {**settings, **(self.without_imagenet or {})}
        over = self.honest_over if honest else self.over
        return [
            ("-".join(map(suffix_of, over, values)), {**settings, **dict(zip(over, values, strict=True))})
            for values in product(*over.values())
        ]


def suffix_of(key: str, value: Any) -> str:
    """What a value of `over` adds to the name of a member: f3, learning_rate0_01."""
    letter = LETTERS.get(key, key.rpartition(".")[2].replace("_", ""))
    return letter + str(value).lower().replace(".", "_")


@dataclass(frozen=True)
class Recipe:
    """A paper: what it did, what it claims, what it published."""

    key: str
    paper: Paper
    claim: str
    protocol: str
    settings: Overrides
    given: list[str]
    """Dotted keys of what the paper states; each stands for those below it."""
    chosen: dict[str, str]
    """Dotted key -> why, for what the paper leaves out; each stands for those below it."""
    honest: Overrides
    """What the recipe changes to be honest; Run.honest has it merged."""
    honest_protocol: str
    runs: list[Run]
    notes: dict[str, str]
    """Name -> where the paper contradicts itself or the data."""

    def run(self, name: str) -> Run:
        """Give the run of that name; KeyError where there is none."""
        return {run.name: run for run in self.runs}[name]
