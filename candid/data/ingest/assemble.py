"""From records to the array and the table of faces: decode on all cores, keep the order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from candid.data.ingest.decode import Color
from candid.data.ingest.faces_file import FacesFile
from candid.data.ingest.pool import decode_all
from candid.data.ingest.records import Item, Record, Rejected, Skipped

CHUNK_FACES, CHUNK_BYTES = 256, 8 << 20
"""What is decoded in one go, by one worker: whichever is reached first."""


class Row(NamedTuple):
    """One line of faces.csv, without its id."""

    label: str
    source: str
    dataset: str
    part: str
    subject: str
    sequence: str


@dataclass
class Found:
    """What came of the files: rows of faces.csv, and what was left out and why."""

    rows: list[Row] = field(default_factory=list)
    rejected: list[tuple[str, Rejected]] = field(default_factory=list)
    """Dataset and what was rejected in it, in the order of the files."""
    skipped: list[tuple[str, Skipped]] = field(default_factory=list)


def assemble(
    items: Iterable[tuple[str, Item]], path: Path, size: int, color: Color, workers: int | None = None
) -> Found:
    """Write the faces to `path` (.npy) in the order of the items; gives the table that goes with it.

    Args:
        items: dataset and what its reader gave.
        path: where the array goes; uint8, N x size x size, with a last axis of 3 when color is "rgb".
        workers: processes that decode, by default one a core; the result doesn't depend on it.
    """
    found = Found()
    rejected: list[tuple[int, str, Rejected]] = []
    face = (size, size) if color == "grey" else (size, size, 3)
    with FacesFile(path, face) as file:
        jobs = ((chunk, [record.data for _, _, record in chunk]) for chunk in _chunks(items, found, rejected))
        for chunk, (faces, reasons) in decode_all(jobs, size, color, workers):
            file.append(faces)
            for (number, dataset, record), reason in zip(chunk, reasons, strict=True):
                if reason:
                    rejected.append((number, dataset, Rejected(record.source, reason)))
                else:
                    found.rows.append(Row(record.label, record.source, dataset, *record[3:]))
    found.rejected = [(dataset, fault) for _, dataset, fault in sorted(rejected)]
    return found


Chunk = list[tuple[int, str, Record]]


def _chunks(
    items: Iterable[tuple[str, Item]], found: Found, rejected: list[tuple[int, str, Rejected]]
) -> Iterator[Chunk]:
    """Records in chunks, numbered; what is no record goes where it belongs."""
    chunk: Chunk = []
    held = 0
    for number, (dataset, item) in enumerate(items):
        if isinstance(item, Record):
            chunk.append((number, dataset, item))
            held += len(item.data)
            if len(chunk) == CHUNK_FACES or held >= CHUNK_BYTES:
                yield chunk
                chunk, held = [], 0
        elif isinstance(item, Rejected):
            rejected.append((number, dataset, item))
        else:
            found.skipped.append((dataset, item))
    if chunk:
        yield chunk
