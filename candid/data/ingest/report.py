"""What ingest tells: tables, counts, and when it refuses."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from candid.data.catalogue import Dataset
from candid.data.faces import FACES_COLUMNS, PARTS, class_order
from candid.data.ingest.archives import opened
from candid.data.ingest.assemble import Found, Row
from candid.errors import CandidError

PLANTED_COLUMNS = ("a", "b", "kind")


def faces_table(found: Found) -> pd.DataFrame:
    """The table of data/faces.csv."""
    table = pd.DataFrame(found.rows, columns=Row._fields, dtype=str)
    table.insert(0, "id", range(len(table)))
    return table[list(FACES_COLUMNS)]


def rejected_table(found: Found) -> pd.DataFrame:
    """The table of data/rejected.csv."""
    return pd.DataFrame([fault for _, fault in found.rejected], columns=["file", "reason"], dtype=str)


def planted_table(path: Path, member: str | None, faces: pd.DataFrame) -> pd.DataFrame:
    """The table of data/planted.csv: a, b (ids, a < b), kind.

    Args:
        path: the archive.
        member: the file in it that lists the pairs by name, or None: the table is then empty.
        faces: the faces there are; pairs of which one was left out are left out too.
    """
    if member is None:
        return pd.DataFrame(columns=list(PLANTED_COLUMNS))
    with opened(path) as archive:
        if member not in archive.names():
            raise CandidError(f"{path}: no {member} in it; expected the list of planted pairs")
        try:
            rows = list(csv.DictReader(archive.read_text(member).splitlines()))
        except csv.Error as error:
            raise CandidError(f"{path}: {member}: not a CSV table: {error}") from None
    ids = dict(zip(faces["source"], faces["id"], strict=True))
    try:
        pairs = [
            (*sorted((ids[row["a"]], ids[row["b"]])), row["kind"])
            for row in rows
            if row["a"] in ids and row["b"] in ids
        ]
    except KeyError as error:
        raise CandidError(f"{path}: {member}: no column {error}; expected a,b,kind") from None
    return pd.DataFrame(sorted(pairs), columns=list(PLANTED_COLUMNS))


def refuse(found: Found, max_rejected_share: float, classes: list[str] | None) -> None:
    """CandidError where too much was rejected, nothing is left, or a class asked for has no face."""
    files = len(found.rows) + len(found.rejected)
    share = len(found.rejected) / files if files else 0.0
    if share > max_rejected_share:
        first = found.rejected[0][1]
        raise CandidError(
            f"{len(found.rejected):,} of {files:,} files ({share:.2%}) can't be read, the first {first.file}:"
            f" {first.reason}; expected at most data.max_rejected_share = {max_rejected_share:g};"
            " data/rejected.csv lists them"
        )
    labels = Counter(row.label for row in found.rows)
    others = sorted({skipped.label for _, skipped in found.skipped if skipped.label} | set(labels))
    missing = [name for name in classes or [] if name not in labels]
    if missing and (labels or others):
        there = ", ".join(others)
        raise CandidError(f"data.classes: no face is labelled {missing[0]!r}; expected some of {there}")
    if not labels:
        counts = Counter(skipped.reason for _, skipped in found.skipped)
        passed = ", ".join(f"{count:,} by {reason}" for reason, count in sorted(counts.items()))
        raise CandidError(
            f"no face is left: {passed or 'the archive is empty'}; expected pictures in class folders"
        )


def counts(found: Found, datasets: dict[str, Dataset]) -> dict[str, Any]:
    """metrics/ingest.json: how many faces, of which class, part and dataset, and what was left out."""
    rows = pd.DataFrame(found.rows, columns=Row._fields, dtype=str)
    return {
        "faces": len(rows),
        "rejected": len(found.rejected),
        "skipped": len(found.skipped),
        "subjects": int(rows["subject"][rows["subject"] != ""].nunique()),
        "sequences": int(rows["sequence"][rows["sequence"] != ""].nunique()),
        "per_class": {label: int((rows["label"] == label).sum()) for label in class_order(rows["label"])},
        "per_part": {
            part or "none": int((rows["part"] == part).sum())
            for part in (*PARTS, "")
            if (rows["part"] == part).any()
        },
        "per_dataset": {name: _of_dataset(found, name) for name in datasets},
        "skipped_for": dict(sorted(Counter(skipped.reason for _, skipped in found.skipped).items())),
    }


def summary(found: Found, datasets: dict[str, Dataset]) -> list[str]:
    """One line a dataset."""
    lines = []
    for name, entry in datasets.items():
        of = _of_dataset(found, name)
        lines.append(f"{name}: " + ", ".join(f"{count:,} {what}" for what, count in of.items()))
        labelled = of["faces"] + sum(bool(each.label) for dataset, each in found.skipped if dataset == name)
        if entry.faces is not None and labelled != entry.faces:
            lines[-1] += f" (with a label: {labelled:,}; published: {entry.faces:,})"
    return lines


def _of_dataset(found: Found, name: str) -> dict[str, int]:
    return {
        "faces": sum(row.dataset == name for row in found.rows),
        "rejected": sum(dataset == name for dataset, _ in found.rejected),
        "skipped": sum(dataset == name for dataset, _ in found.skipped),
    }
