"""metrics/report.json and metrics/metrics.json: all numbers about the test set, from predictions alone."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics

from candid.evaluation import scores
from candid.evaluation.bootstrap import Interval, draw
from candid.evaluation.predictions import PREFIX, Predictions, as_predictions, leaks_of

DECIMALS = 6


def evaluate(table: pd.DataFrame, resamples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Score predictions: accuracy, F1, calibration and more, with 95 % intervals, and what leaks are worth.

    Args:
        table: one row a test face, as in plots/predictions.csv: `actual`, `p_<class>` for each class, and
            where known `group` (faces with the same one are not independent), `leaked`, `copied` and
            `validated` (see Leaks); other columns are passed over.
        resamples: bootstrap resamples of groups.
        seed: of the bootstrap.

    Returns:
        What metrics/report.json holds: fractions, rounded to 6 decimals; what is undefined is left out.

    Raises:
        CandidError: the table is not one of predictions.

    Example:
        >>> import pandas as pd
        >>> from candid.evaluation.report import evaluate
        >>> table = pd.DataFrame({"actual": ["happy", "sad"] * 20, "p_happy": [0.9, 0.2, 0.8, 0.6] * 10})
        >>> report = evaluate(table.assign(p_sad=1 - table["p_happy"]))
        >>> report["accuracy"], report["macro"]["f1"], report["per_class"]["sad"]["recall"]
        (0.75, 0.733333, 0.5)
        >>> report["accuracy_low"] < 0.75 < report["accuracy_high"]
        True
    """
    predictions = as_predictions(table)
    actual, predicted = predictions.actual, predictions.predicted
    counts = scores.confusion_matrix(actual, predicted, len(predictions.classes))
    drawn, areas = draw(predictions, resamples, seed), _areas(predictions)
    accuracy = metrics.accuracy_score(actual, predicted)
    averages = {
        "macro": _scores(predictions, average="macro", zero_division=0),
        "micro": dict.fromkeys(("precision", "recall", "f1"), accuracy),  # one label a face: all are equal
        "weighted": _scores(predictions, average="weighted", zero_division=0),
    }
    leaked, copied, validated = leaks_of(table)
    report = {
        "accuracy": accuracy,
        **_bounds("accuracy", drawn.interval("accuracy")),
        "balanced_accuracy": scores.named(counts, "balanced_accuracy"),
        **_bounds("balanced_accuracy", drawn.interval("balanced_accuracy")),
        "log_loss": _log_loss(predictions),
        "ece": scores.calibration(predicted == actual, predictions.confidence).error,
        "leaky": bool(leaked.any()),
        "leaked_test_faces": int(leaked.sum()),
        "copied_test_faces": int(copied.sum()),
        "validated_test_faces": int(validated.sum()),
        "faces": len(actual),
        "groups": len(np.unique(predictions.groups)),
        **{
            name: {**each, **_bounds("f1", drawn.interval(f"{name}.f1")), "auc": areas[name]}
            for name, each in averages.items()
        },
        "per_class": _per_class(predictions, areas),
        "clean": _subset(table[~leaked], resamples, seed),
    }
    if copied.any() and not np.array_equal(copied, leaked):
        report["without_copies"] = _subset(table[~copied], resamples, seed)
    tidied: dict[str, Any] = _tidy(report)
    return tidied


def headline(report: dict[str, Any]) -> dict[str, Any]:
    """The ten numbers that people compare, the most important first: metrics/metrics.json.

    precision, recall: means over the classes. leaked_share: share of the test faces with a related image in
    training; accuracy_unleaked: accuracy on the others (left out where there are none). Intervals are left
    out where there are too few groups for one.
    """
    columns = {
        **{name: report.get(name) for name in ("accuracy", "accuracy_low", "accuracy_high")},
        "macro_f1": report["macro"]["f1"],
        **{name: report["macro"][name] for name in ("precision", "recall")},
        **{name: report[name] for name in ("log_loss", "ece")},
        "leaked_share": round(report["leaked_test_faces"] / report["faces"], DECIMALS),
        "accuracy_unleaked": report["clean"].get("accuracy"),
    }
    return {name: value for name, value in columns.items() if value is not None}


def _per_class(predictions: Predictions, areas: dict[str, float]) -> dict[str, Any]:
    """Precision, recall and F1 as scikit-learn has them; of a class without a test face, what is known."""
    columns = _scores(predictions, labels=range(len(predictions.classes)), zero_division=math.nan)
    per_class = {}
    for number, name in enumerate(predictions.classes):
        support = int(predictions.truth[:, number].sum())
        known = {
            key: np.nan_to_num(each[number], nan=0 if support else np.nan) for key, each in columns.items()
        }
        per_class[name] = {**known, "support": support, "auc": areas.get(f"{PREFIX}{name}", math.nan)}
    return per_class


def _scores(predictions: Predictions, **options: Any) -> dict[str, Any]:
    function: Callable[..., Any] = metrics.precision_recall_fscore_support
    columns = function(predictions.actual, predictions.predicted, **options)
    return dict(zip(("precision", "recall", "f1"), columns, strict=False))


def _log_loss(predictions: Predictions) -> float:
    with warnings.catch_warnings():  # written with 6 digits, they sum to 1 within 1e-5
        warnings.filterwarnings("ignore", "The y_prob values do not sum to one", UserWarning)
        shares = predictions.probabilities
        if len(predictions.classes) == 1:  # two at least are expected
            shares = np.pad(shares, ((0, 0), (0, 1)))
        return float(metrics.log_loss(predictions.actual, shares, labels=range(shares.shape[1])))


def _areas(predictions: Predictions) -> dict[str, float]:
    """Areas under ROC curves, one class against the rest, by `p_<class>` and average; NaN where undefined.

    `micro` takes all N x K decisions as one curve. A class that no test face has, or that all have, has no
    curve; macro and weighted leave it out.
    """
    truth, probabilities = predictions.truth, predictions.probabilities
    columns = [number for number, column in enumerate(truth.T) if 0 < column.sum() < len(column)]
    known = [metrics.roc_auc_score(truth[:, number], probabilities[:, number]) for number in columns]
    areas = {f"{PREFIX}{predictions.classes[i]}": area for i, area in zip(columns, known, strict=True)}
    areas |= dict.fromkeys(("macro", "weighted", "micro"), math.nan)
    if known:
        areas |= {"macro": np.mean(known), "weighted": np.average(known, weights=truth.sum(axis=0)[columns])}
    if len(predictions.classes) > 1:
        areas["micro"] = metrics.roc_auc_score(truth.ravel(), probabilities.ravel())
    return areas


def _subset(table: pd.DataFrame, resamples: int, seed: int) -> dict[str, Any]:
    """Headline scores on some of the test faces; only the count where there are none."""
    if table.empty:
        return {"faces": 0}
    predictions = as_predictions(table)
    drawn = draw(predictions, resamples, seed)
    macro = _scores(predictions, average="macro", zero_division=0)
    return {
        "accuracy": metrics.accuracy_score(predictions.actual, predictions.predicted),
        **_bounds("accuracy", drawn.interval("accuracy")),
        "faces": len(predictions.actual),
        "groups": len(np.unique(predictions.groups)),
        "macro": {"f1": macro["f1"], **_bounds("f1", drawn.interval("macro.f1"))},
    }


def _bounds(name: str, bounds: Interval) -> dict[str, float]:
    return {f"{name}_low": bounds.low, f"{name}_high": bounds.high}


def _tidy(value: Any) -> Any:
    """Round numbers, drop undefined ones, and turn NumPy's scalars into Python's."""
    if isinstance(value, dict):
        tidied = {key: _tidy(entry) for key, entry in value.items()}
        return {key: entry for key, entry in tidied.items() if entry is not None}
    if isinstance(value, bool | int):
        return value
    return round(float(value), DECIMALS) if math.isfinite(value) else None
