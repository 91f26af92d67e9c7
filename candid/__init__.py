"""Candid: honest classifiers of facial expressions.

The library in a few names, loaded when they are used: find_duplicates, split, evaluate, and compare,
which holds two tables of predictions against each other as the gate does.
"""

from __future__ import annotations

import importlib
from typing import Any

_API = {
    "find_duplicates": "candid.duplicates.find",
    "split": "candid.splits.split",
    "evaluate": "candid.evaluation.report",
    "compare": "candid.gate.verdict",
}


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_API[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_API])
