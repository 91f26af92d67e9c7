"""Candid: honest classifiers of facial expressions.

The library in five names, loaded when they are used: find_duplicates, split, evaluate, compare_predictions
(two tables of predictions, as the gate compares them) and predict_faces.
"""

from __future__ import annotations

import importlib
from typing import Any

_API = {
    "find_duplicates": ("candid.duplicates.find", "find_duplicates"),
    "split": ("candid.splits.split", "split"),
    "evaluate": ("candid.evaluation.report", "evaluate"),
    "compare_predictions": ("candid.gate.verdict", "compare"),
    "predict_faces": ("candid.predict.faces", "predict_faces"),
}


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, function = _API[name]
    return getattr(importlib.import_module(module), function)


def __dir__() -> list[str]:
    return sorted([*globals(), *_API])
