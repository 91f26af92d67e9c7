"""A paper as data: the shape of recipes/<key>.yaml, and the recipe once read. See docs/recipes.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from candid.data.faces import LABELS
from candid.settings import Section

Overrides = dict[str, Any]  # dotted key of params.yaml -> value; a value is no mapping

OPEN: Overrides = {"train.precision": "float32", "train.backend": "tensorflow"}
"""Settings that no paper gives and that decide the bits of a result; runs have these unless changed."""
LETTERS = {"split.repeat": "r", "split.fold": "f", "split.seed": "s", "train.seed": "t"}
"""What a value of `over` is called in the name of an experiment: r0-f3."""

METRIC = re.compile(
    r"accuracy|balanced_accuracy|log_loss|best_epoch"
    r"|(train|validation)\.(accuracy|loss)"
    r"|(macro|micro|weighted)\.(precision|recall|f1|auc)"
    r"|per_class\.[a-z]+\.(precision|recall|f1|auc|support)"
)
"""Numbers of metrics/report.json, and of plots/history.csv at the best epoch, that a paper can publish."""

NAME = r"^[a-z0-9][a-z0-9_]*(-[a-z0-9_]+)*$"  # of a run; git takes the experiment's name as that of a branch

Share = Annotated[float, Field(ge=0, le=1)]
ClassScore = Literal["precision", "recall", "f1", "auc", "support"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def _expression(name: str) -> str:
    if name not in LABELS:
        raise ValueError(f"{name!r} is no expression of this project; expected one of {', '.join(LABELS)}")
    return name


Expression = Annotated[str, AfterValidator(_expression)]
Quotation = Annotated[str, StringConstraints(strip_whitespace=True, pattern='"[^"]+"')]


class Paper(Section):
    """`paper`: the citation."""

    title: Text
    authors: list[Text] = Field(min_length=1)
    year: int = Field(ge=1900, le=2100)
    where: Text
    url: str | None = Field(pattern="^https?://")  # None: it has no address

    @property
    def short(self) -> str:
        """Such as: Li and Lima 2021; Lovelace et al. 1843."""
        names = [name.split()[-1] for name in self.authors]
        return f"{' and '.join(names) if len(names) < 3 else f'{names[0]} et al.'} {self.year}"


class Confusion(Section):
    """A confusion matrix as printed; `of` says whether a row is a true class or a prediction."""

    classes: list[Expression] = Field(min_length=2)
    rows: list[list[Annotated[int, Field(ge=0)]]]
    of: Literal["actual", "predicted"] = "actual"

    @model_validator(mode="after")
    def _square(self) -> Self:
        size = len(self.classes)
        if len(set(self.classes)) < size or {len(self.rows), *map(len, self.rows)} != {size}:
            raise ValueError(f"expected {size} rows of {size} numbers, each class once")
        return self

    @property
    def counts(self) -> list[list[int]]:
        """Rows actual, columns predicted."""
        return self.rows if self.of == "actual" else [list(column) for column in zip(*self.rows, strict=True)]


class Published(NamedTuple):
    """One number of the paper's."""

    metric: str  # as METRIC has it: accuracy, macro.f1, per_class.happy.recall, train.accuracy
    value: float  # shares are fractions
    source: str  # where it is printed: Table 3
    sd: float | None = None
    repetitions: tuple[float, ...] = ()


class TableEntry(Section):
    """One of `published`: a number, a per-class table or a confusion matrix, and where it is printed."""

    source: Text
    metric: str | None = None
    value: float | None = Field(default=None, ge=0)
    sd: Share | None = None  # standard deviation over repetitions
    repetitions: list[Share] = []  # the value of each repetition, where the paper prints them
    per_class: dict[Expression, dict[ClassScore, float]] | None = Field(default=None, min_length=1)
    confusion: Confusion | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [name for name in ("metric", "per_class", "confusion") if getattr(self, name) is not None]
        if len(kinds) != 1 or (self.metric is None) != (self.value is None):
            raise ValueError("expected metric and value, or per_class, or confusion")
        if self.metric is None and (self.sd is not None or self.repetitions):
            raise ValueError("sd and repetitions go with metric and value")
        for one in self.numbers:
            if not METRIC.fullmatch(one.metric):
                raise ValueError(f"metric = {one.metric!r}; expected one such as accuracy or macro.f1")
            if one.value > 1 and is_share(one.metric):
                above = f"{one.metric} = {one.value:g} is above 1"
                raise ValueError(f"{above}; expected a fraction, not per cent")
        return self

    @property
    def numbers(self) -> list[Published]:
        """The numbers of the table; a confusion matrix has none of its own."""
        if self.metric is not None and self.value is not None:
            return [Published(self.metric, self.value, self.source, self.sd, tuple(self.repetitions))]
        return [
            Published(f"per_class.{name}.{score}", value, self.source)
            for name, row in (self.per_class or {}).items()
            for score, value in row.items()
        ]


def is_share(metric: str) -> bool:
    """Whether a metric lies between 0 and 1 and is shown in per cent."""
    return metric.rpartition(".")[2] not in ("log_loss", "loss", "support", "best_epoch")


class LeakFreeEntry(Section):
    """`leak_free` of a run: what it changes beyond the recipe's, which all runs change."""

    protocol: Text | None = None
    settings: dict[str, Any] = {}
    over: dict[str, Any] | None = None


class RunEntry(Section):
    """One of `runs`: a row of the paper's tables."""

    name: str = Field(pattern=NAME)
    about: Text
    protocol: Text | None = None
    settings: dict[str, Any] = {}
    over: dict[str, Any] = {}
    leak_free: LeakFreeEntry = LeakFreeEntry()
    without_imagenet: dict[str, Any] | None = None
    data_from: Text | None = None
    published: list[TableEntry] = []


class RecipeFile(Section):
    """A whole file."""

    paper: Paper
    claim: Text
    protocol: Text
    settings: dict[str, Any]
    given: dict[Text, Quotation]  # dotted key (and those below) -> section and words of the paper
    interpreted: dict[Text, Quotation] = {}  # the same where these can be read in several ways
    chosen: dict[Text, Text]  # dotted key -> why, for what the paper leaves open
    leak_free: LeakFreeEntry
    runs: list[Any] = Field(min_length=1)  # RunEntry, each checked by itself, so that a message can name it
    notes: dict[str, Text]  # name -> where the paper contradicts itself or the data


class Protocol(NamedTuple):
    """The settings of a run under one protocol."""

    text: str  # data, split, what chose the epoch
    settings: Overrides
    over: dict[str, list[Any]]  # settings of several values, one experiment a combination; empty: just one


@dataclass(frozen=True)
class Run:
    """A row of the paper's tables: one experiment, or several that differ in a seed or a fold."""

    name: str
    about: str
    paper: Protocol
    leak_free: Protocol
    without_imagenet: Overrides | None  # what to change where its weights can't be had; None: it needs none
    published: list[Published]
    confusion: tuple[str, Confusion] | None  # the published matrix and its source
    data_from: str | None  # where the paper's own data come from when they are not in the catalogue

    def protocol(self, leak_free: bool) -> Protocol:
        """The paper's protocol, or its leak-free counterpart."""
        return self.leak_free if leak_free else self.paper

    def members(self, leak_free: bool, imagenet: bool = True) -> dict[str, Overrides]:
        """All overrides of each experiment by its suffix: "" for a single one, r0-f3 for one of several.

        `leak_free`: of the leak-free counterpart. Not `imagenet`: its weights can't be had, and
        without_imagenet is put on top.
        """
        _, settings, over = self.protocol(leak_free)
        settings = OPEN | settings | ({} if imagenet else self.without_imagenet or {})
        return {
            "-".join(map(suffix, over, values)): settings | dict(zip(over, values, strict=True))
            for values in product(*over.values())
        }


def suffix(key: str, value: Any) -> str:
    """What a value of `over` adds to the name of an experiment: f3, learning_rate0_01."""
    return LETTERS.get(key, key.rpartition(".")[2].replace("_", "")) + str(value).lower().replace(".", "_")


class Recipe(RecipeFile):
    """A paper: what it did, what it claims, what it published."""

    key: str
    runs: list[Run]

    def run(self, name: str) -> Run:
        """Return the run of that name; KeyError where there is none."""
        return {run.name: run for run in self.runs}[name]

    def experiments(self) -> dict[str, tuple[Run, bool, str]]:
        """Name of each experiment -> its run, whether it is leak-free, its suffix."""
        return {
            self.experiment(run, leak_free, member): (run, leak_free, member)
            for run in self.runs
            for leak_free in (False, True)
            for member in run.members(leak_free)
        }

    def experiment(self, run: Run, leak_free: bool, member: str) -> str:
        """Name an experiment: `li2021-ck48-leak_free-r0-f3`; a variation is appended behind a `+`."""
        return "-".join(filter(None, (self.key, run.name, "leak_free" if leak_free else "", member)))
