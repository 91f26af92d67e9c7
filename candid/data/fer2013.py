"""FER2013's table of pixels, and FER+: the same faces with the votes of ten raters."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from candid.data.archives import MAX_FILE_BYTES, is_tar, open_files
from candid.data.catalogue import Dataset
from candid.data.labels import label_key, part_of
from candid.data.readers import (
    Items,
    Record,
    Rejected,
    Skipped,
    Wanted,
    read_folders,
    table_rows,
    to_label,
)
from candid.errors import CandidError

TABLES = ("fer2013.csv", "icml_face_data.csv")
"""Names of the table in the contest's archives; the second has the same rows, in another order of columns."""

MAX_LINE = 1 << 24
"""Characters. A row of the table has about 8,000."""

VOTES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""What FER+'s ten raters could choose; NF is no face."""


def read_fer2013_csv(name: str, entry: Dataset, paths: list[Path], wanted: Wanted) -> Items:
    """Read fer2013.csv (emotion,pixels,Usage), alone or in a zip or tar: one face a row, in its order.

    `source` is file:line, the header being line 1. Columns may come in any order, with others between them;
    without Usage the part stays unknown. Rows of another length than the header are rejected. Pixels are
    checked where they are decoded. With FER+'s table as second file the raters' majority is the label.
    """
    path = paths[0]
    votes = read_votes(paths[1]) if len(paths) > 1 else None
    with _open_table(path) as (table, lines):
        rows = csv.reader(lines)
        header = [column.strip().lower() for column in _next(rows, path) or []]
        if not {"emotion", "pixels"} <= set(header):
            raise CandidError(f"{path}: columns {','.join(header)[:80]!r}; expected emotion,pixels,Usage")
        emotion, pixels = header.index("emotion"), header.index("pixels")
        usage = header.index("usage") if "usage" in header else None
        row_number = -1
        while (row := _next(rows, path)) is not None:
            row_number += 1
            source, where = f"{table}:{rows.line_num}", f"{path}, line {rows.line_num}"
            if len(row) != len(header):
                yield Rejected(source, f"{len(row):,} cells; expected {len(header)}")
                continue
            part = _usage(row[usage], where) if usage is not None else ""
            voted = votes.get(str(row_number), ()) if votes is not None else ()
            label = to_label(row[emotion], entry, where) if votes is None else majority(voted)
            if not label:
                yield Skipped(source, "no_majority")
            elif reason := wanted.skips(label, part, name):
                yield Skipped(source, reason, label)
            else:
                yield Record(row[pixels], label, source, part, votes=voted)


def read_ferplus(name: str, entry: Dataset, paths: list[Path], wanted: Wanted) -> Items:
    """Read FER2013's folders of pictures with the raters' majority in place of the folder's label.

    The second file is a table of votes by file name (file,...,neutral,...,NF); a picture's suffix may differ,
    since copies without loss are PNG. A picture without a row is one that FER+ calls no face.
    """
    votes = {_stem(file): row for file, row in read_votes(paths[1]).items()}
    for item in read_folders(name, entry, paths[:1], Wanted(parts=wanted.parts)):
        if not isinstance(item, Record):
            yield item
            continue
        voted = votes.get(_stem(item.source), ())
        label = majority(voted)
        if not label:
            yield Skipped(item.source, "no_majority")
        elif reason := wanted.skips(label, item.part, name):
            yield Skipped(item.source, reason, label)
        else:
            yield item._replace(label=label, votes=voted)


def majority(votes: tuple[int, ...]) -> str:
    """Return the label that FER+'s raters agree on, "" where there is none.

    As Barsoum et al. (2016, arXiv 1608.01041) train on the majority: a choice of a single rater doesn't
    count, and of the other votes more than half are for the label. Pictures that most call unknown or no face
    have none.

    Example:
        >>> majority((1, 8, 1, 0, 0, 0, 0, 0, 0, 0)), majority((5, 5, 0, 0, 0, 0, 0, 0, 0, 0))
        ('happy', '')
    """
    counted = [vote if vote > 1 else 0 for vote in votes]
    best = max(range(len(counted)), key=counted.__getitem__, default=0)
    if not counted or 2 * counted[best] <= sum(counted) or best >= VOTES.index("unknown"):
        return ""
    return label_key(VOTES[best])


def read_votes(path: Path) -> dict[str, tuple[int, ...]]:
    """Votes by file name where the table has a column file, else by row of fer2013.csv from 0."""
    text = _text(path)
    header = text.partition("\n")[0]
    named = "file" in [column.strip() for column in header.split(",")]
    votes: dict[str, tuple[int, ...]] = {}
    columns = ("file", *VOTES) if named else VOTES
    for number, (line, cells) in enumerate(table_rows(text, columns, str(path))):
        key, counts = (cells[0], cells[1:]) if named else (str(number), cells)
        if not all(count.strip().isdecimal() and int(count) <= 10 for count in counts):
            raise CandidError(f"{path}, line {line}: {','.join(counts)[:60]!r}; expected votes of ten raters")
        votes[key] = tuple(map(int, counts))
    return votes


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES)
        if data[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(data)) as unpacked:
                data = unpacked.read(MAX_FILE_BYTES)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CandidError(f"{path}: not UTF-8 text") from None
    except (EOFError, gzip.BadGzipFile) as error:
        raise CandidError(f"{path}: cut short or damaged: {error}") from None


def _stem(file: str) -> str:
    """The name without its suffix, in its class's folder: two classes hold a Training_8475486."""
    return "/".join(file.rpartition(".")[0].split("/")[-2:])


def _usage(usage: str, where: str) -> str:
    part = part_of(usage) if usage.strip().lower() != "test" else ""
    if not part:
        raise CandidError(f"{where}: Usage {usage[:40]!r}; expected Training, PublicTest or PrivateTest")
    return part


def _next(rows: Iterator[list[str]], path: Path) -> list[str] | None:
    """The next row that isn't empty, or None at the end."""
    line = 1 + getattr(rows, "line_num", 0)
    try:
        return next((row for row in rows if row), None)
    except csv.Error as error:
        raise CandidError(f"{path}, line {line}: not CSV: {error}") from None
    except UnicodeDecodeError:
        raise CandidError(f"{path}, after line {line}: not UTF-8 text") from None


@contextmanager
def _open_table(path: Path) -> Iterator[tuple[str, Iterator[str]]]:
    """Name of the table and its lines."""
    with path.open("rb") as file:
        start = file.read(4)
    if start[:4] == b"PK\x03\x04" or path.suffix in (".gz", ".tar", ".tgz", ".zip") or is_tar(path):
        with open_files(path) as files:
            tables = [file for table in TABLES for file in files.names if file.rpartition("/")[2] == table]
            if not tables:
                raise CandidError(f"{path}: holds neither {' nor '.join(TABLES)}")
            with files.stream(tables[0]) as member:
                yield tables[0], _lines(member)
    else:
        with path.open("rb") as file:
            yield path.name, _lines(file)


def _lines(file: IO[bytes]) -> Iterator[str]:
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        while line := text.readline(MAX_LINE):
            if len(line) == MAX_LINE:
                raise csv.Error(f"a line of {MAX_LINE:,} characters or more")
            yield line
