"""How long an experiment took, over all attempts that were watched: DVC itself keeps no times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from candid.files import write_json

NOTES = Path(".candid/reproduce")
"""<name>.json: what `candid reproduce` saw of an experiment's attempts."""


class Note(NamedTuple):
    """Of one experiment."""

    seconds: float
    commit: str | None
    """That the last attempt ended in; None: it was stopped, or it failed."""


def read_note(root: Path, name: str) -> Note | None:
    """What is noted of an experiment; None where nothing is."""
    try:
        told = json.loads((root / NOTES / f"{name}.json").read_text(encoding="utf-8"))
        return Note(float(told["seconds"]), told["commit"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note_attempt(root: Path, name: str, seconds: float, commit: str | None = None) -> None:
    """Add the time of an attempt to those that were stopped before it; one that was done starts anew."""
    before = read_note(root, name)
    whole = seconds + (before.seconds if before is not None and before.commit is None else 0.0)
    write_json(root / NOTES / f"{name}.json", {"seconds": round(whole, 1), "commit": commit})


def seconds_of(root: Path, name: str, commit: str) -> float | None:
    """Seconds of all attempts that led to an experiment; None where they are not known."""
    note = read_note(root, name)
    return note.seconds if note is not None and note.commit == commit else None
