"""metrics/report.json: every number about the test part, from its predictions alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candid.evaluation import scores
from candid.evaluation.bootstrap import Interval, intervals
from candid.evaluation.leaks import Leaks
from candid.evaluation.scores import Floats, Integers

DECIMALS = 6


@dataclass(frozen=True)
class Predictions:
    """What was predicted for N faces over K classes."""

    classes: Sequence[str]
    actual: Integers
    """Class number of each face: N."""
    probabilities: Floats
    """N x K."""
    groups: Integers
    """Faces with the same group are not independent: N."""

    @property
    def predicted(self) -> Integers:
        """Class of the largest probability, the first of equal ones: N."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @property
    def confidence(self) -> Floats:
        """Probability of the predicted class: N."""
        return np.asarray(self.probabilities.max(axis=1))

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Predictions:
        """Only the chosen faces."""
        return Predictions(self.classes, self.actual[chosen], self.probabilities[chosen], self.groups[chosen])


def summarise(found: Predictions, leaks: Leaks, resamples: int, seed: int) -> dict[str, Any]:
    """All scores as fractions, rounded to DECIMALS; what is undefined is left out.

    Args:
        found: predictions on the whole test part, at least one face.
        leaks: which of them have relatives among the faces that were trained on, or chose the epoch: N.
        resamples: bootstrap resamples of groups.
        seed: of the bootstrap.
    """
    leaked, copied, validated = leaks
    counts = scores.confusion_matrix(found.actual, found.predicted, len(found.classes))
    chance = intervals(found.actual, found.predicted, found.groups, len(found.classes), resamples, seed)
    areas = roc_areas(found)
    micro = scores.accuracy(counts)
    columns = {
        "precision": scores.precision(counts),
        "recall": scores.recall(counts),
        "f1": scores.f1(counts),
    }
    per_class = {
        name: {
            **{column: values[number] for column, values in _occurring(columns, counts).items()},
            "support": int(scores.support(counts)[number]),
            "auc": areas.per_class[number],
        }
        for number, name in enumerate(found.classes)
    }
    summary = {
        "accuracy": micro,
        **_bounds("accuracy", chance.accuracy),
        "balanced_accuracy": scores.balanced_accuracy(counts),
        **_bounds("balanced_accuracy", chance.balanced_accuracy),
        "log_loss": scores.log_loss(found.actual, found.probabilities),
        "ece": scores.calibration(found.predicted == found.actual, found.confidence).error,
        "leaky": bool(leaked.any()),
        "leaked_test_faces": int(leaked.sum()),
        "copied_test_faces": int(copied.sum()),
        "validated_test_faces": int(validated.sum()),
        "faces": len(found.actual),
        "groups": len(np.unique(found.groups)),
        "macro": {
            **{name: scores.macro(values, counts) for name, values in columns.items()},
            **_bounds("f1", chance.macro_f1),
            "auc": areas.macro,
        },
        "micro": {
            **dict.fromkeys(columns, micro),  # one label a face: every false positive is a false negative
            **_bounds("f1", chance.accuracy),
            "auc": areas.micro,
        },
        "weighted": {
            **{name: scores.weighted(values, counts) for name, values in columns.items()},
            **_bounds("f1", chance.weighted_f1),
            "auc": areas.weighted,
        },
        "per_class": per_class,
        "clean": subset(found[~leaked], resamples, seed),
    }
    if copied.any() and not np.array_equal(copied, leaked):
        summary["without_copies"] = subset(found[~copied], resamples, seed)
    rounded: dict[str, Any] = tidy(summary)
    return rounded


def headline(summary: dict[str, Any]) -> dict[str, Any]:
    """The at most twelve numbers that one compares, the most important first; the rest stays in the report.

    leaked_share: share of the test faces with a related image in training; accuracy_unleaked: accuracy on the
    others (left out where there are none). Intervals are left out where there are too few groups for one.
    """
    columns = {
        "accuracy": summary["accuracy"],
        "accuracy_low": summary.get("accuracy_low"),
        "accuracy_high": summary.get("accuracy_high"),
        "macro_f1": summary["macro"].get("f1"),
        "macro_precision": summary["macro"].get("precision"),
        "macro_recall": summary["macro"].get("recall"),
        "balanced_accuracy": summary.get("balanced_accuracy"),
        "log_loss": summary["log_loss"],
        "ece": summary["ece"],
        "leaked_share": round(summary["leaked_test_faces"] / summary["faces"], DECIMALS),
        "accuracy_unleaked": summary["clean"].get("accuracy"),
        "test_faces": summary["faces"],
    }
    return {name: value for name, value in columns.items() if value is not None}


def subset(found: Predictions, resamples: int, seed: int) -> dict[str, Any]:
    """Headline scores on some of the test faces; only the count where there are none."""
    if not len(found.actual):
        return {"faces": 0}
    counts = scores.confusion_matrix(found.actual, found.predicted, len(found.classes))
    chance = intervals(found.actual, found.predicted, found.groups, len(found.classes), resamples, seed)
    return {
        "accuracy": scores.accuracy(counts),
        **_bounds("accuracy", chance.accuracy),
        "faces": len(found.actual),
        "groups": len(np.unique(found.groups)),
        "macro": {"f1": scores.macro_f1(counts), **_bounds("f1", chance.macro_f1)},
    }


@dataclass(frozen=True)
class RocAreas:
    """Areas under ROC curves; NaN where undefined."""

    per_class: list[float]
    macro: float
    micro: float
    weighted: float


def roc_areas(found: Predictions) -> RocAreas:
    """One class against the rest, K times; `micro` takes all N x K decisions as one curve.

    A class that no test face has, or that all have, has no curve; macro and weighted leave it out.
    """
    truth = np.arange(len(found.classes)) == found.actual[:, None]
    areas = np.array([scores.roc_auc(*pair) for pair in zip(truth.T, found.probabilities.T, strict=True)])
    known = np.isfinite(areas)
    if not known.any():
        return RocAreas(
            areas.tolist(), math.nan, scores.roc_auc(truth.ravel(), found.probabilities.ravel()), math.nan
        )
    return RocAreas(
        areas.tolist(),
        macro=float(areas[known].mean()),
        micro=scores.roc_auc(truth.ravel(), found.probabilities.ravel()),
        weighted=float(np.average(areas[known], weights=truth.sum(axis=0)[known])),
    )


def _occurring(columns: dict[str, Floats], counts: Integers) -> dict[str, Floats]:
    """Per-class scores as scikit-learn reports them, but unknown where the class has no test face."""
    has_faces = scores.support(counts) > 0
    return {name: np.where(has_faces, np.nan_to_num(values), values) for name, values in columns.items()}


def _bounds(name: str, bounds: Interval) -> dict[str, float]:
    return {f"{name}_low": bounds.low, f"{name}_high": bounds.high}


def tidy(value: Any) -> Any:
    """Round numbers, drop undefined ones, and turn NumPy's scalars into Python's."""
    if isinstance(value, dict):
        tidied = {key: tidy(entry) for key, entry in value.items()}
        return {key: entry for key, entry in tidied.items() if entry is not None}
    if isinstance(value, bool | int):
        return value
    number = round(float(value), DECIMALS)
    return number if math.isfinite(number) else None
