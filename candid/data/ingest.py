"""From the archives of a set to the array and the table of its faces, and what to say about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.data.archives import UnreadableError, open_files
from candid.data.catalogue import OWN, Archive, Dataset
from candid.data.faces import FACES_COLUMNS, LABELS, PARTS, class_order
from candid.data.fer2013 import VOTES, read_fer2013_csv, read_ferplus
from candid.data.images import Color, PixelBudget, decode, decode_row
from candid.data.labels import label_key
from candid.data.readers import (
    EMPTY,
    Item,
    Items,
    Record,
    Rejected,
    Skipped,
    Wanted,
    read_folders,
    read_muxspace,
    read_rafdb,
    table_rows,
)
from candid.errors import CandidError

PLANTED_COLUMNS = ("a", "b", "kind")
UNREAD = ("raw_photograph", "video", EMPTY)
"""Reasons for which a file or folder of a class was passed over although it may have been meant."""

READERS: dict[str, Callable[[str, Dataset, list[Path], Wanted], Items]] = {
    "folders": read_folders,
    "fer2013_csv": read_fer2013_csv,
    "ferplus": read_ferplus,
    "muxspace": read_muxspace,
    "rafdb": read_rafdb,
}
"""Each takes the dataset's name and entry, its files in the catalogue's order, and what is wanted of it."""


class Row(NamedTuple):
    """One line of faces.csv, without its id."""

    label: str
    source: str
    dataset: str
    part: str
    subject: str
    sequence: str


@dataclass(frozen=True)
class Ingested:
    """What came of the files of a set."""

    images: NDArray[np.uint8]
    """N x size x size, or x 3."""
    rows: list[Row]
    votes: list[tuple[int, ...]]
    """For each row the raters' votes (fer2013.VOTES); empty where the set has none."""
    rejected: list[tuple[str, Rejected]]
    """Dataset and what was rejected in it, in the order of the files."""
    skipped: list[tuple[str, Skipped]]
    files: dict[int, bytes]
    """By row the file of each face that was to be kept."""


def read_all(datasets: dict[str, Dataset], raw: Path, wanted: Wanted) -> Iterator[tuple[str, Item]]:
    """Read the datasets one behind the other: the dataset's name with each item its reader gives.

    Within a dataset the items come sorted by file name (those of a table in its order), whatever the order in
    the archive.

    Raises:
        CandidError: an archive is missing or not what it should be, or folders are ambiguous; or
            data.subject_pattern names the persons of one's own pictures, and a picture names nobody: it could
            be split apart from the others of its person.
    """
    for name, entry in datasets.items():
        paths = [find(raw, archive) for archive in entry.archives]
        for item in READERS[entry.reader](name, entry, paths, wanted):
            if name == OWN and entry.subject_pattern and isinstance(item, Record) and not item.subject:
                raise CandidError(
                    f"{item.source}: data.subject_pattern = {entry.subject_pattern!r} finds no person in its "
                    "name or the folders around it; expected one for every picture"
                )
            yield name, item


def find(raw: Path, archive: Archive) -> Path:
    """Return the archive's file in `raw`, under any of its names; CandidError where there is none."""
    for name in (archive.name, *archive.also):
        if (raw / name).is_file():
            return raw / name
    raise CandidError(
        f"{raw / archive.name}: no such file; expected the output of download for this data.dataset"
    )


def assemble(
    items: Iterable[tuple[str, Item]],
    size: int,
    color: Color,
    file_bytes: int = 1 << 40,
    keep: Callable[[str], bool] | None = None,
) -> Ingested:
    """Decode the faces, size x size pixels, in the order of the items (dataset and what its reader gave).

    Args:
        file_bytes: of the archives on disk: bounds the pixels that are decoded (PixelBudget).
        keep: says of a source whether its file is kept; None: none is.
    """
    shape = (0, size, size) if color == "grey" else (0, size, size, 3)
    images: list[NDArray[np.uint8]] = []
    ingested = Ingested(np.empty(shape, np.uint8), [], [], [], [], {})
    budget = PixelBudget(file_bytes)
    for dataset, item in items:
        if isinstance(item, Rejected):
            ingested.rejected.append((dataset, item))
        elif isinstance(item, Skipped):
            ingested.skipped.append((dataset, item))
        else:
            try:
                if isinstance(item.data, bytes):
                    images.append(decode(item.data, size, color, budget))
                else:
                    images.append(decode_row(item.data, size, color))
            except UnreadableError as error:
                ingested.rejected.append((dataset, Rejected(item.source, str(error), item.label)))
                continue
            if keep and isinstance(item.data, bytes) and keep(item.source):
                ingested.files[len(ingested.rows)] = item.data
            row = Row(item.label, item.source, dataset, item.part, item.subject, item.sequence)
            ingested.rows.append(row)
            ingested.votes.append(item.votes)
    return replace(ingested, images=np.stack(images)) if images else ingested


def faces_table(ingested: Ingested) -> pd.DataFrame:
    """Make the table of data/faces.csv."""
    table = pd.DataFrame(ingested.rows, columns=Row._fields, dtype=str)
    table.insert(0, "id", range(len(table)))
    return table[list(FACES_COLUMNS)]


def rejected_table(ingested: Ingested) -> pd.DataFrame:
    """Make the table of data/rejected.csv: file, reason."""
    return pd.DataFrame([fault[:2] for _, fault in ingested.rejected], columns=["file", "reason"], dtype=str)


def votes_table(ingested: Ingested) -> pd.DataFrame:
    """Make the table of data/votes.csv: id and the raters' votes for LABELS, unknown and not_a_face.

    Empty for sets without votes.
    """
    names = [{"NF": "not_a_face"}.get(vote, label_key(vote)) for vote in VOTES]
    rows = {i: votes for i, votes in enumerate(ingested.votes) if votes}
    table = pd.DataFrame(list(rows.values()), columns=names, dtype=np.int64)
    table.insert(0, "id", list(rows))
    return table[["id", *LABELS, "unknown", "not_a_face"]]


def planted_table(path: Path, member: str | None, faces: pd.DataFrame) -> pd.DataFrame:
    """Make the table of data/planted.csv: a, b (ids, a < b), kind.

    Args:
        path: the archive.
        member: the file in it that lists the pairs by name, or None: the table is then empty.
        faces: the faces there are; pairs of others are passed over.
    """
    if member is None:
        return pd.DataFrame(columns=list(PLANTED_COLUMNS))
    with open_files(path) as files:
        if member not in files.names:
            raise CandidError(f"{path}: no {member} in it; expected the list of planted pairs")
        rows = [*table_rows(files.read_text(member), PLANTED_COLUMNS, f"{path}: {member}")]
    ids = dict(zip(faces["source"], faces["id"], strict=True))
    pairs = [(*sorted((ids[a], ids[b])), kind) for _, (a, b, kind) in rows if a in ids and b in ids]
    return pd.DataFrame(sorted(pairs), columns=list(PLANTED_COLUMNS))


def truth_table(faces: pd.DataFrame) -> pd.DataFrame:
    """Make a ground-truth table: file, and for each class a column of 0 and 1.

    Example:
        >>> truth_table(pd.DataFrame({"source": ["a.png", "b.png"], "label": ["sad", "happy"]}))
            file  happy  sad
        0  a.png      0    1
        1  b.png      1    0
    """
    columns = {name: (faces["label"] == name).astype(int) for name in class_order(faces["label"])}
    return pd.DataFrame({"file": faces["source"], **columns})


def refuse(ingested: Ingested, max_rejected_share: float, classes: list[str] | None) -> None:
    """Raise CandidError where too much was rejected, no face remains, or a class has none."""
    files = len(ingested.rows) + len(ingested.rejected)
    share = len(ingested.rejected) / files if files else 0.0
    if share > max_rejected_share:
        first = ingested.rejected[0][1]
        raise CandidError(
            f"{len(ingested.rejected):,} of {files:,} files ({share:.2%}) can't be read, the first"
            f" {first.file}: {first.reason}; expected at most data.max_rejected_share ="
            f" {max_rejected_share:g}; data/rejected.csv lists them"
        )
    labels = {row.label for row in ingested.rows}
    _refuse_lost_classes(ingested, labels)
    others = sorted({skipped.label for _, skipped in ingested.skipped if skipped.label} | labels)
    spelled = {label_key(label) for label in labels}
    missing = [name for name in classes or [] if label_key(name) not in spelled]
    if missing and others:
        raise CandidError(
            f"data.classes: no face is labelled {missing[0]!r}; expected some of {', '.join(others)}"
        )
    if not labels:
        counts = Counter(skipped.reason for _, skipped in ingested.skipped)
        passed = ", ".join(f"{count:,} by {reason}" for reason, count in sorted(counts.items()))
        raise CandidError(
            f"no face is left: {passed or 'the archive is empty'}; expected pictures in class folders"
        )


def _refuse_lost_classes(ingested: Ingested, labels: set[str]) -> None:
    """A class all of whose files can't be read, or whose folder is empty, would be gone without a word."""
    unread: list[Rejected | Skipped] = [item for _, item in ingested.rejected]
    unread += [item for _, item in ingested.skipped if item.reason in UNREAD]
    lost = [item for item in unread if item.label and item.label not in labels]
    if lost:
        first = min(lost, key=lambda item: item.label)
        count = sum(item.label == first.label for item in lost)
        what = f"none of its {count:,} files can be read" if first.reason != EMPTY else "no picture"
        raise CandidError(
            f"class {first.label!r} has no face: {what}, the first {first.file}:"
            f" {first.reason.replace('_', ' ')}; expected a picture, or the other classes in data.classes:"
            f" [{', '.join(sorted(labels)[:12])}]"
        )


def counts(ingested: Ingested, datasets: dict[str, Dataset]) -> dict[str, Any]:
    """Count faces by class, part and dataset, and what was skipped or rejected: metrics/ingest.json."""
    rows = pd.DataFrame(ingested.rows, columns=Row._fields, dtype=str)
    per_class, per_part = Counter(rows["label"]), Counter(rows["part"])
    return {
        "faces": len(rows),
        "rejected": len(ingested.rejected),
        "skipped": len(ingested.skipped),
        "subjects": len({*rows["subject"]} - {""}),
        "sequences": len({*rows["sequence"]} - {""}),
        "per_class": {label: per_class[label] for label in class_order(rows["label"])},
        "per_part": {part or "none": per_part[part] for part in (*PARTS, "") if part in per_part},
        "per_dataset": {name: _of_dataset(ingested, name) for name in datasets},
        "skipped_for": dict(sorted(Counter(skipped.reason for _, skipped in ingested.skipped).items())),
    }


def summary(ingested: Ingested, datasets: dict[str, Dataset]) -> list[str]:
    """Say in one line a dataset, and one of classes, what was read."""
    counted = counts(ingested, datasets)
    lines = []
    for name, entry in datasets.items():
        of = counted["per_dataset"][name]
        line = f"{name}: " + ", ".join(f"{count:,} {what}" for what, count in of.items())
        skipped = [item for dataset, item in ingested.skipped if dataset == name]
        if skipped:
            reasons = sorted(Counter(item.reason for item in skipped).items())
            passed = (f"{reason.replace('_', ' ')} {count:,}" for reason, count in reasons)
            line += f" ({', '.join(passed)})"
        labelled = of["faces"] + sum(bool(item.label) for item in skipped)
        if entry.faces is not None and labelled != entry.faces:
            line += f" (with a label: {labelled:,}; published: {entry.faces:,})"
        lines.append(line)
    return [*lines, "classes: " + ", ".join(f"{name} {n:,}" for name, n in counted["per_class"].items())]


def _of_dataset(ingested: Ingested, name: str) -> dict[str, int]:
    return {
        "faces": sum(row.dataset == name for row in ingested.rows),
        "rejected": sum(dataset == name for dataset, _ in ingested.rejected),
        "skipped": sum(dataset == name for dataset, _ in ingested.skipped),
    }
