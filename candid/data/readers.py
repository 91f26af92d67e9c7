"""The layouts in which sets are published: each reader gives a face with its label, or why there is none."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from candid.data.archives import Files, UnreadableError, open_files, skip_reason
from candid.data.catalogue import Dataset, DataSettings
from candid.data.faces import LABELS
from candid.data.labels import NOWHERE, Place, check_layout, label_key, label_name, part_of, read_layout
from candid.errors import CandidError

LEGEND = "data/legend.csv"  # of muxspace, beside images/


class Record(NamedTuple):
    """One face with a label, not decoded yet."""

    data: bytes | str  # the picture file, or a row of pixels as text
    label: str
    source: str
    part: str = ""
    subject: str = ""
    sequence: str = ""
    votes: tuple[int, ...] = ()  # raters for each of fer2013.VOTES, where the set has them


class Rejected(NamedTuple):
    """A file or row that gives no face, and why."""

    file: str
    reason: str
    label: str = ""


class Skipped(NamedTuple):
    """A file or row that is nothing to complain about; `reason` is a key of metrics/ingest.json."""

    file: str
    reason: str
    label: str = ""


Item = Record | Rejected | Skipped
Items = Iterator[Item]

EMPTY = "empty_folder"  # the reason of a class's folder without a picture


@dataclass(frozen=True)
class Wanted:
    """What data.classes and data.parts leave of a set."""

    classes: dict[str, str] | None = None
    """Key (labels.label_key) -> the class as the settings spell it; None: all but `drop`."""
    parts: frozenset[str] | None = None
    drop: frozenset[str] = frozenset()  # labels, and dataset:label where one of a union's sets alone lacks it
    every_row: bool = False  # Dataset.every_row of the set that the settings name

    @classmethod
    def of(cls, settings: DataSettings, entry: Dataset) -> Wanted:
        """Take it from the settings; `entry` is what data.dataset names (a union's own, not its members').

        CandidError: a class twice.
        """
        classes: dict[str, str] = {}
        for name in settings.classes or []:
            key = label_key(name)
            if key in classes:
                raise CandidError(f"params.yaml: data.classes names {name!r} twice; expected each class once")
            classes[key] = key if key in LABELS else label_name(name)
        parts = frozenset(settings.parts) if settings.parts else None
        return cls(classes or None, parts, frozenset(entry.drop), entry.every_row)

    def skips(self, label: str, part: str, dataset: str = "") -> str:
        """Say why a face is left out: "class", "part", or "" when it is wanted."""
        if f"{dataset}:{label}" in self.drop:
            return "class"
        if (label in self.drop) if self.classes is None else (label_key(label) not in self.classes):
            return "class"
        return "part" if self.parts is not None and part not in self.parts else ""


def to_label(published: str, entry: Dataset, where: str) -> str:
    """Map a published label to the vocabulary; `where` is for the message about an unknown one."""
    key = label_key(published)
    if key in entry.labels:
        return entry.labels[key]
    if key in LABELS:
        return key
    if entry.other_labels and key:
        return label_name(published)
    known = ", ".join([*entry.labels, *LABELS])
    raise CandidError(f"{where}: label {label_name(published)[:60]!r} is unknown; expected one of {known}")


def read_folders(name: str, entry: Dataset, paths: list[Path], wanted: Wanted) -> Items:
    """Read `[enclosing folders/][part/]<class>/[part/][further folders/]<file>`.

    `entry` says how labels are called, and which patterns find part, subject and sequence in a file's name; a
    part in the name goes before one in a folder. With data.classes the outermost folder named like one of
    them is the class, however deep it lies.
    """

    def is_known(folder: str) -> bool:
        return label_key(folder) in entry.labels or label_key(folder) in LABELS

    with open_files(paths[0]) as files:
        others = [file for file in files.names if skip_reason(file) == "not_a_picture"]
        others = [*files.clutter, *(file for file in others if file != entry.planted)]
        yield from (Skipped(file, "not_a_picture") for file in others)
        pictures = sorted(set(files.names).difference(others, [entry.planted or ""]))
        folders = sorted({file.rpartition("/")[0] for file in pictures})
        places = read_layout(folders, is_known, wanted.classes or (), files.empty_folders)
        if entry.other_labels and wanted.classes is None:
            check_layout(places, is_known, str(paths[0]))
        for file in pictures:
            folder = file.rpartition("/")[0]
            place = places[folder]
            if place.label:
                label = to_label(place.label, entry, f"{paths[0]}: {folder}/")
                yield read_picture(name, entry, files, file, label, wanted, place)
            elif place.part:
                yield Skipped(file, "unlabelled")
            else:
                yield Rejected(file, "not in the folder of a class")
        for folder in files.empty_folders:
            place = places[folder]
            if place.label and not place.below and (entry.other_labels or is_known(place.label)):
                label = to_label(place.label, entry, str(paths[0]))
                if not wanted.skips(label, place.part, name):
                    yield Skipped(f"{folder}/", EMPTY, label)


def read_picture(
    name: str, entry: Dataset, files: Files, file: str, label: str, wanted: Wanted, place: Place = NOWHERE
) -> Item:
    """Read a picture whose label is known; what its name and the folders around it say is added."""
    base = file.rpartition("/")[2]
    part = part_of(_matched(entry.part_pattern, base)) or place.part
    if reason := wanted.skips(label, part, name):
        return Skipped(file, reason, label)
    if wanted.classes is not None:
        label = wanted.classes[label_key(label)]
    if reason := skip_reason(file):
        return Skipped(file, reason, label)
    texts = (place.below + base, base, place.above)
    subject = next(filter(None, (_matched(entry.subject_pattern, text) for text in texts)), "")
    sequence = _matched(entry.sequence_pattern, base)
    try:
        data = files.read(file)
    except UnreadableError as error:
        return Rejected(file, str(error), label)
    person, film = (f"{name}:{text}" if text else "" for text in (subject, sequence))
    return Record(data, label, file, part, person, film)


def _matched(pattern: str | None, text: str) -> str:
    match = re.match(pattern, text) if pattern else None
    return match.group(1) if match else ""


def read_muxspace(name: str, entry: Dataset, paths: list[Path], wanted: Wanted) -> Items:
    """Read the pictures of images/ with their labels in data/legend.csv (user.id,image,emotion).

    The column user.id names who labelled, not who is shown; the subject is the person in the file name of
    those that come from Labeled Faces in the Wild. A picture with two rows alike is read once (with every_row
    twice); one with two different labels, or with none, is rejected: what it shows is not known. With
    every_row a label that the set drops doesn't count as a second one.
    """
    with open_files(paths[0]) as files:
        root = _root(files)
        rows = _read_legend(files, root + LEGEND, entry)
        for file in files.names:
            if not file.startswith(f"{root}images/"):
                if file != root + LEGEND:
                    yield Skipped(file, "outside_the_set")
                continue
            labels = rows.pop(file.removeprefix(f"{root}images/"), [])
            used = [label for label in labels if not (wanted.every_row and wanted.skips(label, "", name))]
            if len(set(used or labels)) == 1:
                item = read_picture(name, entry, files, file, (used or labels)[0], wanted)
                yield item
                if wanted.every_row and isinstance(item, Record):
                    yield from (item._replace(source=f"{file}#{k}") for k in range(2, len(used) + 1))
            elif labels:
                yield Rejected(file, f"labels that differ: {', '.join(sorted(set(labels)))}")
            else:
                yield Rejected(file, f"no label in {LEGEND}")
        for missing in sorted(rows):
            yield Rejected(f"{root}images/{missing}", f"in {LEGEND}, but not in the archive")


def _root(files: Files) -> str:
    """The folder that holds everything (GitHub puts one around a repository), with its slash, or ""."""
    legends = [file for file in files.names if f"/{file}".endswith(f"/{LEGEND}")]
    if len(legends) != 1:
        raise CandidError(f"{files.path}: {len(legends)} files {LEGEND}; expected one, beside images/")
    return legends[0].removesuffix(LEGEND)


def _read_legend(files: Files, file: str, entry: Dataset) -> dict[str, list[str]]:
    """Picture -> the label of each of its rows."""
    where = f"{files.path}: {file}"
    labels: dict[str, list[str]] = defaultdict(list)
    lines = io.StringIO(files.read_text(file), "")
    for line, (image, emotion) in table_rows(lines, ("image", "emotion"), where):
        if emotion.strip():
            labels[image.strip()].append(to_label(emotion, entry, f"{where}, line {line}"))
    return labels


def read_rafdb(name: str, entry: Dataset, paths: list[Path], wanted: Wanted) -> Items:
    """Read the aligned pictures with the labels of the list, whose lines are like `train_00001.jpg 5`.

    The picture of that line is train_00001_aligned.jpg, in any folder of the archive; its name begins with
    the official part. Persons are not named.
    """
    listing, pictures = paths
    labels = _read_list(listing, entry)
    with open_files(pictures) as files:
        for file in files.names:
            if reason := skip_reason(file):
                yield Skipped(file, reason)
                continue
            stem, dot, suffix = file.rpartition("/")[2].rpartition(".")
            label = labels.pop(stem.removesuffix("_aligned") + dot + suffix, None)
            if label is None:
                yield Rejected(file, f"no label in {listing.name}, or a second picture of the same line")
            else:
                yield read_picture(name, entry, files, file, label, wanted)
    for missing in sorted(labels):
        yield Rejected(missing, f"in {listing.name}, but not in {pictures.name}")


def _read_list(path: Path, entry: Dataset) -> dict[str, str]:
    labels: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise CandidError(f"{path}: not UTF-8 text") from None
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if len(words) == 2 and words[0] not in labels:
            labels[words[0]] = to_label(words[1], entry, f"{path}, line {number}")
        elif words:
            expected = "expected lines like 'train_00001.jpg 5', each of another picture"
            raise CandidError(f"{path}, line {number}: {line[:60]!r}; {expected}")
    return labels


def table_rows(
    lines: Iterable[str],
    columns: Sequence[str],
    where: str,
    optional: Sequence[str] = (),
    strict: bool = True,
) -> Iterator[tuple[int, list[str]]]:
    """Give the line number and the cells of these columns, of each row that isn't empty.

    Columns may come in any order, with others between them, in upper or lower case; the cells of one that is
    `optional` and not there are "". No cells stand for a row of another length than the header, where that is
    not refused (`strict`).
    """
    rows, line = csv.reader(lines), 0
    try:
        header = [column.strip().lower() for column in next(rows, [])]
        if not {column.lower() for column in columns} <= {*header}:
            found, expected = ",".join(header)[:80], ",".join(columns)
            raise CandidError(f"{where}: columns {found!r}; expected {expected}")
        wanted = [column.lower() for column in (*columns, *optional)]
        chosen = [header.index(column) if column in header else None for column in wanted]
        for row in rows:
            line = rows.line_num
            if len(row) == len(header):
                yield line, ["" if column is None else row[column] for column in chosen]
            elif row and strict:
                raise CandidError(f"{where}, line {line}: {len(row)} cells; expected {len(header)}")
            elif row:
                yield line, []
    except csv.Error as error:
        raise CandidError(f"{where}, line {line + 1}: not CSV: {error}") from None
    except UnicodeDecodeError:
        raise CandidError(f"{where}, after line {line}: not UTF-8 text") from None
