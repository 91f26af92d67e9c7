"""Reader: fer2013.csv (emotion,pixels,Usage), alone or in a zip or tar archive, read as a stream."""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from candid.data.catalogue import Dataset
from candid.data.ingest.archives import opened
from candid.data.ingest.records import Items, Record, Rejected, Skipped, Wanted, to_label
from candid.data.packed import DAMAGED, MAX_EXPANSION, open_tar, read_to_end
from candid.errors import CandidError, is_disk_fault

TABLES = ("fer2013.csv", "icml_face_data.csv")
"""Names of the table in the contest's archives; the second has the same rows, in another order of columns."""

LONGEST_LINE = 1 << 24
"""Characters. A row of the table has about 8,000."""


def read_fer2013_csv(name: str, entry: Dataset, paths: list[Path], wanted: Wanted) -> Items:
    """Read one face a row, in the order of the table; `source` is file:line, the header being line 1.

    Columns may come in any order, with others between them; without Usage the part stays unknown. Rows of
    another length than the header are rejected. Pixels are checked where they are decoded.
    """
    del name  # persons and films are unknown
    path = paths[0]
    with _open_table(path) as (table, lines):
        rows = csv.reader(lines)
        header = [column.strip().lower() for column in _next(rows, path) or []]
        if not {"emotion", "pixels"} <= set(header):
            raise CandidError(f"{path}: columns {','.join(header)[:80]!r}; expected emotion,pixels,Usage")
        emotion, pixels = header.index("emotion"), header.index("pixels")
        usage = header.index("usage") if "usage" in header else None
        while (row := _next(rows, path)) is not None:
            source = f"{table}:{rows.line_num}"
            if len(row) != len(header):
                yield Rejected(source, f"{len(row):,} cells; expected {len(header)}")
                continue
            label = to_label(row[emotion], entry, f"{path}, line {rows.line_num}")
            part = _part(row[usage], entry, f"{path}, line {rows.line_num}") if usage is not None else ""
            if reason := wanted.skips(label, part):
                yield Skipped(source, reason, label)
            else:
                yield Record(row[pixels], label, source, part)


def _part(usage: str, entry: Dataset, where: str) -> str:
    if usage.strip().lower() not in entry.parts:
        known = "Training, PublicTest or PrivateTest"
        raise CandidError(f"{where}: Usage {usage[:40]!r}; expected {known}")
    return entry.parts[usage.strip().lower()]


def _next(rows: Iterator[list[str]], path: Path) -> list[str] | None:
    """The next row that isn't empty, or None at the end."""
    line = 1 + getattr(rows, "line_num", 0)
    try:
        return next((row for row in rows if row), None)
    except csv.Error as error:
        raise CandidError(f"{path}, line {line}: not CSV: {error}") from None
    except UnicodeDecodeError:
        raise CandidError(f"{path}, after line {line}: not UTF-8 text") from None
    except DAMAGED as error:
        if is_disk_fault(error):
            raise
        raise CandidError(
            f"{path}, after line {line}: the archive is cut short or damaged: {error}"
        ) from None


@contextmanager
def _open_table(path: Path) -> Iterator[tuple[str, Iterator[str]]]:
    """Name of the table and its lines."""
    if not path.is_file():
        raise CandidError(f"{path}: no such file; expected the output of download")
    if zipfile.is_zipfile(path):
        with opened(path) as archive:
            table = _find(path, archive.names())
            with archive.stream(table) as file:
                yield table, _lines(file)
    elif path.suffix in (".gz", ".tar", ".tgz"):
        with _open_tar(path) as (table, file):
            yield table, _lines(file)
    else:
        with path.open("rb") as file:
            yield path.name, _lines(file)


@contextmanager
def _open_tar(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The table in a tar archive, read where it lies; other members are passed over, whatever they are."""
    try:
        archive = open_tar(path)
    except DAMAGED as error:
        if is_disk_fault(error):
            raise
        raise CandidError(f"{path}: not a tar archive, or cut short: {error}") from None
    room = max(MAX_EXPANSION * path.stat().st_size, 1 << 30)
    with archive:
        try:
            for member in archive:
                room -= member.size
                if member.size < 0 or room < 0:  # below 0 it would lead tarfile back, and round for ever
                    raise tarfile.ReadError(f"{member.name!r} declares {member.size:,} bytes")
                file = archive.extractfile(member) if member.isreg() else None
                if file and member.name.rpartition("/")[2] in TABLES:
                    yield member.name, file
                    read_to_end(archive, room)
                    return
        except DAMAGED as error:
            if is_disk_fault(error):
                raise
            raise CandidError(f"{path}: the archive is cut short or damaged: {error}") from None
    raise CandidError(f"{path}: holds neither {' nor '.join(TABLES)}")


def _find(path: Path, names: list[str]) -> str:
    found = [name for table in TABLES for name in names if name.rpartition("/")[2] == table]
    if not found:
        raise CandidError(f"{path}: holds neither {' nor '.join(TABLES)}")
    return found[0]


def _lines(file: IO[bytes]) -> Iterator[str]:
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        while line := text.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE:
                raise csv.Error(f"a line of {LONGEST_LINE:,} characters or more")
            yield line
