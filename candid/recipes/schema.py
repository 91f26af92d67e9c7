"""The shape of a file in recipes/: which keys there are, of which type. What they mean: docs/recipes.md."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from candid.data.faces import LABELS
from candid.settings import Section

METRIC = re.compile(
    r"accuracy|balanced_accuracy|log_loss"
    r"|(macro|micro|weighted)\.(precision|recall|f1|auc)"
    r"|per_class\.[a-z]+\.(precision|recall|f1|auc|support)"
)
"""Places in metrics/report.json for which a paper can have a number."""

NAME = r"^[a-z0-9][a-z0-9_]*(-[a-z0-9_]+)*$"
"""Of a run; the experiment is named <recipe>-<run>, and git has to take that as the name of a branch."""

Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def _expression(name: str) -> str:
    if name not in LABELS:
        raise ValueError(f"{name!r} is no expression known here; expected one of {', '.join(LABELS)}")
    return name


Expression = Annotated[str, AfterValidator(_expression)]


class PaperEntry(Section):
    """`paper`."""

    title: Text
    authors: list[Text] = Field(min_length=1)
    year: int = Field(ge=1900, le=2100)
    where: Text
    url: str | None = Field(pattern="^https?://")
    """None: no address is known."""


class ClassEntry(Section):
    """A row of a per-class table."""

    precision: Share | None = None
    recall: Share | None = None
    f1: Share | None = None
    auc: Share | None = None
    support: int | None = Field(default=None, ge=0)

    def scores(self) -> dict[str, float]:
        """Name the scores given, support aside."""
        return {
            name: value
            for name in ("precision", "recall", "f1", "auc")
            if (value := getattr(self, name)) is not None
        }


class ConfusionEntry(Section):
    """A matrix as printed: `rows` of counts; `of` says whether a row is a true class or a prediction."""

    classes: list[Expression] = Field(min_length=2)
    rows: list[list[Annotated[int, Field(ge=0)]]]
    of: Annotated[str, Field(pattern="^(actual|predicted)$")] = "actual"

    @model_validator(mode="after")
    def _square(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: each can stand there once")
        if {len(self.rows), *map(len, self.rows)} != {len(self.classes)}:
            raise ValueError(
                f"rows: expected {len(self.classes)} of {len(self.classes)} numbers, as there are classes"
            )
        return self


class PublishedEntry(Section):
    """One number, one per-class table or one matrix, with the table or figure that it stands in."""

    source: Text
    metric: str | None = None
    value: float | None = Field(default=None, ge=0)
    sd: Share | None = None
    """Standard deviation over repetitions."""
    repetitions: list[Share] | None = Field(default=None, min_length=2)
    """The value of each repetition, where the paper prints them."""
    per_class: dict[Expression, ClassEntry] | None = Field(default=None, min_length=1)
    confusion: ConfusionEntry | None = None

    @field_validator("metric")
    @classmethod
    def _place(cls, metric: str | None) -> str | None:
        if metric is None:
            return None
        if not METRIC.fullmatch(metric):
            raise ValueError(
                "expected a place in metrics/report.json such as accuracy, macro.f1, per_class.happy.recall"
            )
        if metric.startswith("per_class."):
            _expression(metric.split(".")[1])
        return metric

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [name for name in ("metric", "per_class", "confusion") if getattr(self, name) is not None]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none of them"
            raise ValueError(f"expected metric and value, per_class or confusion; found {found}")
        if (self.metric is None) != (self.value is None):
            raise ValueError("metric and value go together")
        if self.metric is None and (self.sd is not None or self.repetitions is not None):
            raise ValueError("sd and repetitions go with metric and value")
        if self.value is not None and self.value > 1 and not _unbounded(self.metric or ""):
            raise ValueError(f"value {self.value:g} is above 1; expected a fraction, not per cent")
        return self


def _unbounded(metric: str) -> bool:
    return metric == "log_loss" or metric.endswith(".support")


class ReportedEntry(Section):
    """A number that the paper gives and that metrics/report.json has no place for."""

    source: Text
    what: Text
    """Such as: validation accuracy."""
    value: float
    unit: Text = "fraction"


class HonestEntry(Section):
    """`honest` of the recipe: what its runs change to be honest."""

    protocol: Text
    settings: dict[str, Any]
    over: dict[str, Any] | None = None


class RunHonestEntry(Section):
    """`honest` of a run: what it changes beyond the recipe's, or why it has no honest counterpart."""

    protocol: Text | None = None
    settings: dict[str, Any] = {}
    over: dict[str, Any] | None = None
    none: Text | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.none and (self.settings or self.over is not None or self.protocol):
            raise ValueError("none says why there is no counterpart; nothing else can stand beside it")
        return self


class RunEntry(Section):
    """One of `runs`: a row of the paper's tables."""

    name: str = Field(pattern=NAME)
    about: Text
    protocol: Text | None = None
    settings: dict[str, Any] = {}
    over: dict[str, Any] = {}
    honest: RunHonestEntry = RunHonestEntry()
    without_imagenet: dict[str, Any] | None = None
    data_from: Text | None = None
    published: list[PublishedEntry] = []
    reported: list[ReportedEntry] = []


class RecipeFile(Section):
    """A whole file."""

    paper: PaperEntry
    claim: Text
    protocol: Text
    settings: dict[str, Any]
    given: list[Text]
    chosen: dict[str, Text]
    honest: HonestEntry
    runs: list[RunEntry] = Field(min_length=1)
    notes: dict[str, Text]
