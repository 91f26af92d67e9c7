"""The readers by the name that the catalogue gives them, and the reading of all of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from candid.data.catalogue import OWN, Archive, Dataset
from candid.data.ingest.fer2013_csv import read_fer2013_csv
from candid.data.ingest.folders import read_folders
from candid.data.ingest.muxspace import read_muxspace
from candid.data.ingest.rafdb import read_rafdb
from candid.data.ingest.records import Item, Items, Record, Wanted
from candid.errors import CandidError

Reader = Callable[[str, Dataset, list[Path], Wanted], Items]

READERS: dict[str, Reader] = {
    "folders": read_folders,
    "fer2013_csv": read_fer2013_csv,
    "muxspace": read_muxspace,
    "rafdb": read_rafdb,
}
"""Each takes the dataset's name and entry, its files in the catalogue's order, and what is wanted of it."""


def read_all(datasets: dict[str, Dataset], raw: Path, wanted: Wanted) -> Iterator[tuple[str, Item]]:
    """Read the datasets one behind the other: the dataset's name with each item its reader gives.

    Within a dataset the items come sorted by file name (those of a table in its order), whatever the order in
    the archive.

    Raises:
        CandidError: data.subject_pattern names the persons of one's own pictures, and a picture names
            nobody: it could be split apart from the others of its person.
    """
    for name, entry in datasets.items():
        paths = [find(raw, archive) for archive in entry.archives]
        for item in READERS[entry.reader](name, entry, paths, wanted):
            if name == OWN and entry.subject_pattern and isinstance(item, Record) and not item.subject:
                raise CandidError(
                    f"{item.source}: data.subject_pattern = {entry.subject_pattern!r} finds no person in its "
                    "name or its path below the class's folder; expected one for every picture"
                )
            yield name, item


def find(raw: Path, archive: Archive) -> Path:
    """The archive's file in `raw`, under any of its names; CandidError where there is none."""
    for name in (archive.name, *archive.also):
        if (raw / name).is_file():
            return raw / name
    raise CandidError(
        f"{raw / archive.name}: no such file; expected the output of download for this data.dataset"
    )
