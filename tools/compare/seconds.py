"""How long an experiment took, as far as DVC's queue left it behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

QUEUE = Path(".dvc/tmp/exps/run")
"""A folder for each task: <task>.run says what came of it, <task>.pid was written when it began."""
EARLIER = Path(".candid/reproduce")
"""<name>.json: seconds of attempts that were stopped before."""


def seconds_of(root: Path) -> dict[tuple[str, str], float]:
    """Name and baseline of an experiment -> seconds of its last attempt and of those stopped before."""
    return {(name, baseline): taken + earlier(root, name) for name, baseline, taken in _attempts(root)}


def _attempts(root: Path) -> Iterator[tuple[str, str, float]]:
    for file in (root / QUEUE).glob("*/*.run"):
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            taken = file.stat().st_mtime - file.with_suffix(".pid").stat().st_mtime
            if told["result_ref"] and taken > 0:
                yield str(told["name"]), str(told["baseline_rev"]), taken
        except (OSError, ValueError, KeyError, TypeError):
            continue  # of another version of DVC, or being written


def earlier(root: Path, name: str) -> float:
    """Seconds of the attempts at an experiment that were stopped; 0 where there are none."""
    try:
        return float(json.loads((root / EARLIER / f"{name}.json").read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
