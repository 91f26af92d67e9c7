"""What a reader gives, and which of it is wanted."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from candid.data.catalogue import Dataset, DataSettings
from candid.data.faces import LABELS
from candid.errors import CandidError


class Record(NamedTuple):
    """One face with a label, not decoded yet."""

    data: bytes | str
    """The picture file, or a row of pixels as text."""
    label: str
    source: str
    part: str = ""
    subject: str = ""
    sequence: str = ""


class Rejected(NamedTuple):
    """A file or row that gives no face, and why."""

    file: str
    reason: str


class Skipped(NamedTuple):
    """A file or row that is nothing to complain about; `reason` is a key of metrics/ingest.json."""

    file: str
    reason: str
    label: str = ""


Item = Record | Rejected | Skipped
Items = Iterator[Item]


@dataclass(frozen=True)
class Wanted:
    """What data.classes and data.parts leave of a set."""

    classes: frozenset[str] | None
    parts: frozenset[str] | None
    drop: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, settings: DataSettings, entry: Dataset) -> Wanted:
        """Read off the settings; `entry` is what data.dataset names (a union's own, not its members')."""
        _check_classes(settings, entry)
        return cls(
            frozenset(settings.classes) if settings.classes else None,
            frozenset(settings.parts) if settings.parts else None,
            frozenset(entry.drop),
        )

    def skips(self, label: str, part: str) -> str:
        """Why a face is left out: "class", "part", or "" when it is wanted."""
        if (label in self.drop) if self.classes is None else (label not in self.classes):
            return "class"
        return "part" if self.parts is not None and part not in self.parts else ""


def to_label(published: str, entry: Dataset, where: str) -> str:
    """Map a published label to the vocabulary; `where` is for the message about one that nobody knows."""
    word = unicodedata.normalize("NFC", published.strip())
    key = word.lower()
    if key in entry.labels:
        return entry.labels[key]
    if key in LABELS:
        return key
    if entry.other_labels and word:
        return word
    known = ", ".join([*entry.labels, *LABELS])
    raise CandidError(f"{where}: label {published[:60]!r} is unknown; expected one of {known}")


def _check_classes(settings: DataSettings, entry: Dataset) -> None:
    classes = settings.classes or []
    for name in classes:
        if classes.count(name) > 1:
            raise CandidError(f"params.yaml: data.classes names {name!r} twice; expected each class once")
        if name not in LABELS and not entry.other_labels:
            raise CandidError(f"params.yaml: data.classes has {name!r}; expected some of {', '.join(LABELS)}")
