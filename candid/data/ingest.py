"""From the archives of a set to the array and the table of its faces, and what to say about them."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.data import readers
from candid.data.archives import UnreadableError, open_files
from candid.data.catalogue import OWN, Archive, Dataset
from candid.data.faces import FACES_COLUMNS, LABELS, PARTS, class_order
from candid.data.fer2013 import VOTES, read_fer2013_csv, read_ferplus
from candid.data.images import Color, PixelBudget, decode, decode_row
from candid.data.labels import label_key
from candid.data.readers import EMPTY, Item, Items, Record, Rejected, Wanted, table_rows
from candid.errors import CandidError

PLANTED_COLUMNS = ("a", "b", "kind")
LOST_COLUMNS = ("dataset", "file", "reason", "label")
UNREAD = ("raw_photograph", "video", EMPTY)  # reasons to pass over what may have been meant
READERS: dict[str, Callable[[str, Dataset, list[Path], Wanted], Items]] = {
    "folders": readers.read_folders,
    "fer2013_csv": read_fer2013_csv,
    "ferplus": read_ferplus,
    "muxspace": readers.read_muxspace,
    "rafdb": readers.read_rafdb,
}
"""Each takes the dataset's name and entry, its files in the catalogue's order, and what is wanted of it."""


@dataclass(frozen=True)
class Ingested:
    """What came of the files of a set."""

    images: NDArray[np.uint8]  # N x size x size, or x 3
    faces: pd.DataFrame  # the table of data/faces.csv
    votes: pd.DataFrame  # that of data/votes.csv: id and the raters' votes; empty for sets without
    rejected: pd.DataFrame  # dataset, file, reason and label (or ""), in the order of the files
    skipped: pd.DataFrame  # the same of what was skipped


def read_all(datasets: dict[str, Dataset], raw: Path, wanted: Wanted) -> Iterator[tuple[str, Item]]:
    """Read the datasets one behind the other: the dataset's name with each item its reader gives.

    Within a dataset the items come sorted by file name (those of a table in its order), whatever the order
    in the archive. CandidError: an archive is missing or not what it should be, or folders are ambiguous;
    or data.subject_pattern names the persons of one's own pictures, and a picture names nobody: it could be
    split apart from the others of its person.
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
    expected = "expected the output of download for this data.dataset"
    raise CandidError(f"{raw / archive.name}: no such file; {expected}")


def assemble(
    items: Iterable[tuple[str, Item]], size: int, color: Color, file_bytes: int = 1 << 40
) -> Ingested:
    """Decode the faces, size x size pixels, in the order of the items (dataset and what its reader gave).

    `file_bytes` of the archives on disk bound the pixels that are decoded (PixelBudget).
    """
    images: list[NDArray[np.uint8]] = []
    faces: list[tuple[int | str, ...]] = []
    votes: list[tuple[int, ...]] = []
    rejected: list[tuple[str, ...]] = []
    skipped: list[tuple[str, ...]] = []
    budget = PixelBudget(file_bytes)
    for dataset, item in items:
        if not isinstance(item, Record):
            (rejected if isinstance(item, Rejected) else skipped).append((dataset, *item))
            continue
        data, label, source, *places, voted = item
        try:
            if isinstance(data, bytes):
                images.append(decode(data, size, color, budget))
            else:
                images.append(decode_row(data, size, color))
        except UnreadableError as error:
            rejected.append((dataset, source, str(error), label))
            continue
        number = len(faces)
        faces.append((number, label, source, dataset, *places))
        if voted:
            votes.append((number, *voted))
    raters = ["id", *({"NF": "not_a_face"}.get(vote, label_key(vote)) for vote in VOTES)]
    empty = np.empty((0, size, size) if color == "grey" else (0, size, size, 3), np.uint8)
    return Ingested(
        np.stack(images) if images else empty,
        pd.DataFrame(faces, columns=list(FACES_COLUMNS)).astype({"id": np.int64}),
        pd.DataFrame(votes, columns=raters, dtype=np.int64)[["id", *LABELS, "unknown", "not_a_face"]],
        pd.DataFrame(rejected, columns=list(LOST_COLUMNS)),
        pd.DataFrame(skipped, columns=list(LOST_COLUMNS)),
    )


def planted_table(path: Path, member: str | None, faces: pd.DataFrame) -> pd.DataFrame:
    """Make the table of data/planted.csv: a, b (ids, a < b), kind; pairs of other faces are passed over.

    `member` is the file in the archive `path` that lists the pairs by name; None: the table is empty.
    """
    if member is None:
        return pd.DataFrame(columns=list(PLANTED_COLUMNS))
    with open_files(path) as files:
        if member not in files.names:
            raise CandidError(f"{path}: no {member} in it; expected the list of planted pairs")
        lines = io.StringIO(files.read_text(member), "")
        rows = [*table_rows(lines, PLANTED_COLUMNS, f"{path}: {member}")]
    ids = dict(zip(faces["source"], faces["id"], strict=True))
    pairs = [(*sorted((ids[a], ids[b])), kind) for _, (a, b, kind) in rows if a in ids and b in ids]
    return pd.DataFrame(sorted(pairs), columns=list(PLANTED_COLUMNS))


def refuse(ingested: Ingested, max_rejected_share: float, classes: list[str] | None) -> None:
    """Raise CandidError where too much was rejected, no face remains, or a class has none."""
    rejected, skipped, labels = ingested.rejected, ingested.skipped, {*ingested.faces["label"]}
    files = len(ingested.faces) + len(rejected)
    share = len(rejected) / max(files, 1)
    if share > max_rejected_share:
        first = rejected.iloc[0]
        fault = f"{len(rejected):,} of {files:,} files ({share:.2%}) can't be read"
        limit = f"data.max_rejected_share = {max_rejected_share:g}; data/rejected.csv lists them"
        raise CandidError(f"{fault}, the first {first.file}: {first.reason}; expected at most {limit}")
    # a class all of whose files can't be read, or whose folder is empty, would be gone without a word
    lost = pd.concat([rejected, skipped[skipped["reason"].isin(UNREAD)]])
    lost = lost[(lost["label"] != "") & ~lost["label"].isin(labels)].sort_values("label", kind="stable")
    if len(lost):
        first = lost.iloc[0]
        count, reason = (lost["label"] == first.label).sum(), first.reason.replace("_", " ")
        fault = f"class {first.label!r} has no face: {count:,} of its files or folders can't be used"
        classes_left = f"the other classes in data.classes: [{', '.join(sorted(labels)[:12])}]"
        raise CandidError(f"{fault}, the first {first.file}: {reason}; expected a picture, or {classes_left}")
    others = sorted(({*skipped["label"]} - {""}) | labels)
    spelled = {label_key(label) for label in labels}
    missing = [name for name in classes or [] if label_key(name) not in spelled]
    if missing and others:
        expected = f"expected some of {', '.join(others)}"
        raise CandidError(f"data.classes: no face is labelled {missing[0]!r}; {expected}")
    if not labels:
        reasons = _reasons(skipped) or "the archive is empty"
        raise CandidError(f"no face is left: {reasons}; expected pictures in class folders")


def counts(ingested: Ingested, datasets: dict[str, Dataset]) -> dict[str, Any]:
    """Count faces by class, part and dataset, and what was skipped or rejected: metrics/ingest.json."""
    faces = ingested.faces
    tables = {"faces": faces, "rejected": ingested.rejected, "skipped": ingested.skipped}
    per_class, per_part = Counter(faces["label"]), Counter(faces["part"])
    return {
        **{what: len(table) for what, table in tables.items()},
        "subjects": len({*faces["subject"]} - {""}),
        "sequences": len({*faces["sequence"]} - {""}),
        "per_class": {label: per_class[label] for label in class_order(faces["label"])},
        "per_part": {part or "none": per_part[part] for part in (*PARTS, "") if part in per_part},
        "per_dataset": {
            name: {what: int((table["dataset"] == name).sum()) for what, table in tables.items()}
            for name in datasets
        },
        "skipped_for": dict(sorted(Counter(ingested.skipped["reason"]).items())),
    }


def summary(ingested: Ingested, datasets: dict[str, Dataset]) -> list[str]:
    """Say in one line a dataset, and one of classes, what was read."""
    counted = counts(ingested, datasets)
    lines = []
    for name, of in counted["per_dataset"].items():
        line = f"{name}: " + ", ".join(f"{count:,} {what}" for what, count in of.items())
        skipped = ingested.skipped[ingested.skipped["dataset"] == name]
        line += f" ({_reasons(skipped)})" if len(skipped) else ""
        labelled, published = of["faces"] + int((skipped["label"] != "").sum()), datasets[name].faces
        if published not in (None, labelled):
            line += f" (with a label: {labelled:,}; published: {published:,})"
        lines.append(line)
    return [*lines, "classes: " + ", ".join(f"{name} {n:,}" for name, n in counted["per_class"].items())]


def _reasons(skipped: pd.DataFrame) -> str:
    reasons = sorted(Counter(skipped["reason"]).items())
    return ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in reasons)
