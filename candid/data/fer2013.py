"""FER2013's table of pixels, and FER+: the same faces with the votes of ten raters."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from candid.data.archives import is_tar, open_files
from candid.data.catalogue import Dataset
from candid.data.labels import label_key, part_of
from candid.data.readers import Items, Record, Rejected, Skipped, Wanted, read_folders, table_rows, to_label
from candid.errors import CandidError

TABLES = ("fer2013.csv", "icml_face_data.csv")  # in the contest's archives; columns in another order
MAX_LINE = 1 << 24  # characters. A row of the table has about 8,000
VOTES = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),
)
"""What FER+'s ten raters could choose; NF is no face."""


def read_fer2013_csv(name: str, entry: Dataset, paths: list[Path], wanted: Wanted) -> Items:
    """Read fer2013.csv (emotion,pixels,Usage), alone or in a zip or tar: one face a row, in its order.

    `source` is file:line, the header being line 1. Where Usage is empty or not there the part stays unknown.
    Rows of another length than the header are rejected. Pixels are checked where they are decoded. With
    FER+'s table as second file the raters' majority is the label.
    """
    path = paths[0]
    votes = read_votes(paths[1]) if len(paths) > 1 else None
    with _open_table(path) as (table, lines):
        rows = table_rows(lines, ("emotion", "pixels"), str(path), ("usage",), strict=False)
        for number, (line, cells) in enumerate(rows):
            source, where = f"{table}:{line}", f"{path}, line {line}"
            if not cells:
                yield Rejected(source, "another number of cells than in the header")
                continue
            emotion, pixels, usage = cells
            part = part_of(usage) if usage.strip().lower() != "test" else ""
            if usage and not part:
                expected = "expected Training, PublicTest or PrivateTest"
                raise CandidError(f"{where}: Usage {usage[:40]!r}; {expected}")
            voted = votes.get(str(number), ()) if votes is not None else ()
            label = to_label(emotion, entry, where) if votes is None else majority(voted)
            yield _if_wanted(Record(pixels, label, source, part, votes=voted), name, wanted)


def read_ferplus(name: str, entry: Dataset, paths: list[Path], wanted: Wanted) -> Items:
    """Read FER2013's folders of pictures with the raters' majority in place of the folder's label.

    The second file is a table of votes by file name (file,...,neutral,...,NF); a picture's suffix may differ,
    since copies without loss are PNG. A picture without a row is one that FER+ calls no face.
    """
    votes = {_stem(file): row for file, row in read_votes(paths[1]).items()}
    for item in read_folders(name, entry, paths[:1], Wanted(parts=wanted.parts)):
        if isinstance(item, Record):
            voted = votes.get(_stem(item.source), ())
            item = _if_wanted(item._replace(label=majority(voted), votes=voted), name, wanted)
        yield item


def _if_wanted(record: Record, name: str, wanted: Wanted) -> Record | Skipped:
    if not record.label:
        return Skipped(record.source, "no_majority")
    reason = wanted.skips(record.label, record.part, name)
    return Skipped(record.source, reason, record.label) if reason else record


def majority(votes: tuple[int, ...]) -> str:
    """Return the label that FER+'s raters agree on, "" where there is none, or unknown or no face.

    As Barsoum et al. (2016, arXiv 1608.01041) train on the majority: a choice of a single rater doesn't
    count, and of the other votes more than half are for the label.

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
    votes: dict[str, tuple[int, ...]] = {}
    with _open_table(path) as (_, lines):
        rows = table_rows(lines, VOTES, str(path), ("file",))
        for number, (line, (*counts, file)) in enumerate(rows):
            if not all(count.strip().isdecimal() and int(count) <= 10 for count in counts):
                shown = ",".join(counts)[:60]
                raise CandidError(f"{path}, line {line}: {shown!r}; expected votes of ten raters")
            votes[file or str(number)] = tuple(map(int, counts))
    return votes


def _stem(file: str) -> str:
    """The name without its suffix, in its class's folder: two classes hold a Training_8475486."""
    return "/".join(file.rpartition(".")[0].split("/")[-2:])


@contextmanager
def _open_table(path: Path) -> Iterator[tuple[str, Iterator[str]]]:
    """Name of the table and its lines; it may lie in a zip or a tar, or be packed by gzip."""
    if zipfile.is_zipfile(path) or is_tar(path):
        with open_files(path) as files:
            tables = [file for table in TABLES for file in files.names if file.rpartition("/")[2] == table]
            if not tables:
                raise CandidError(f"{path}: holds neither {' nor '.join(TABLES)}")
            with files.stream(tables[0]) as member:
                yield tables[0], _lines(member)
        return
    with path.open("rb") as file:
        unpacked = gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == b"\x1f\x8b" else file
        try:
            yield path.name, _lines(unpacked)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise CandidError(f"{path}: cut short or damaged: {error}") from None


def _lines(file: IO[bytes] | gzip.GzipFile) -> Iterator[str]:
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        while line := text.readline(MAX_LINE):
            if len(line) == MAX_LINE:
                raise csv.Error(f"a line of {MAX_LINE:,} characters or more")
            yield line
