"""Reader: the muxspace repository, images/ with data/legend.csv (user.id,image,emotion)."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from candid.data.catalogue import Dataset
from candid.data.ingest.archives import Archive, opened
from candid.data.ingest.folders import read_one
from candid.data.ingest.records import Items, Rejected, Skipped, Wanted, to_label
from candid.errors import CandidError

LEGEND = "data/legend.csv"


def read_muxspace(name: str, entry: Dataset, paths: list[Path], wanted: Wanted) -> Items:
    """Read the pictures of images/ with their labels, in whatever case they are written there.

    The column user.id names who labelled, not who is shown; the subject is the person in the file name of
    those that come from Labeled Faces in the Wild. A picture that was
    labelled twice alike is read once; one with two different labels, or with none, is rejected: what it shows
    is not known.
    """
    with opened(paths[0]) as archive:
        root = _root(archive)
        labels = _read_legend(archive, root + LEGEND, entry)
        pictures = [file for file in archive.names() if file.startswith(f"{root}images/")]
        others = [file for file in archive.names() if not file.startswith(f"{root}images/")]
        yield from (Skipped(file, "outside_the_set") for file in others if file != root + LEGEND)
        for file in pictures:
            found = sorted(labels.pop(file.removeprefix(f"{root}images/"), set()))
            if len(found) == 1:
                yield read_one(name, entry, archive, file, found[0], wanted)
            else:
                reason = f"labels that differ: {', '.join(found)}" if found else f"no label in {LEGEND}"
                yield Rejected(file, reason)
        for missing in sorted(labels):
            yield Rejected(f"{root}images/{missing}", f"in {LEGEND}, but not in the archive")


def _root(archive: Archive) -> str:
    """The folder that holds everything (GitHub puts one around a repository), with its slash, or ""."""
    legends = [file for file in archive.names() if f"/{file}".endswith(f"/{LEGEND}")]
    if len(legends) != 1:
        raise CandidError(f"{archive.path}: {len(legends)} files {LEGEND}; expected one, beside images/")
    return legends[0].removesuffix(LEGEND)


def _read_legend(archive: Archive, file: str, entry: Dataset) -> dict[str, set[str]]:
    """Picture -> the labels it was given."""
    where = f"{archive.path}: {file}"
    labels: dict[str, set[str]] = defaultdict(set)
    try:
        rows = csv.reader(archive.read_text(file).splitlines())
        header = [column.strip().lower() for column in next(rows, [])]
        if not {"image", "emotion"} <= set(header):
            raise CandidError(f"{where}: columns {','.join(header)[:80]!r}; expected user.id,image,emotion")
        image, emotion = header.index("image"), header.index("emotion")
        for row in filter(None, rows):
            if len(row) != len(header):
                raise CandidError(f"{where}, line {rows.line_num}: {len(row)} cells; expected {len(header)}")
            if row[emotion].strip():
                labels[row[image].strip()].add(
                    to_label(row[emotion], entry, f"{where}, line {rows.line_num}")
                )
    except csv.Error as error:
        raise CandidError(f"{where}: not a CSV table: {error}") from None
    return labels
