"""The catalogue of datasets (catalogue.yaml) and the section `data`, which download and ingest share."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from stages.errors import CandidError
from stages.faces import LABELS, PARTS
from stages.settings import Section, check, read_yaml

CATALOGUE = Path(__file__).with_name("catalogue.yaml")


class DataSettings(Section):
    """Section `data` of params.yaml."""

    dataset: str
    path: str
    parts: list[Literal["train", "validation", "test"]] | None
    classes: list[str] | None
    image_size: int = Field(ge=8, le=1024)
    color: Literal["grey", "rgb"]
    max_rejected_share: float = Field(ge=0, le=1)


class Archive(Section):
    """One published file of a dataset."""

    name: str
    """File name under data/raw, and in the mirror."""
    kaggle: str | None = None
    """Handle for Kaggle's client, e.g. msambare/fer2013."""
    url: str | None = None
    """HTTPS address, where it is published openly."""
    size: int | None = None
    """Bytes."""
    sha256: str | None = None
    get: str | None = None
    """Where a person gets it, when neither of the above serves (a form to sign, say)."""


class Dataset(Section):
    """One entry of the catalogue."""

    title: str
    homepage: str
    licence: str
    citation: str
    archives: list[Archive] = []
    union: list[str] = []
    """Datasets that this one is made of, in order; it then has no archives of its own."""
    reader: Literal["folders", "fer2013_csv", "muxspace", "rafdb", "sample"] = "folders"
    labels: dict[str, str] = {}
    """Published label, lower case -> one of LABELS."""
    parts: dict[str, Literal["train", "validation", "test"]] = {}
    """Published part -> ours."""
    drop: list[str] = []
    """Labels of LABELS left out unless data.classes asks for them."""
    dedup: Literal["remove", "group", "off"] = "remove"
    """What dedup.policy: auto means here."""
    faces: int | None = None
    """Faces with a label that the archives are known to hold."""


def read_catalogue(path: Path = CATALOGUE) -> dict[str, Dataset]:
    """Read the catalogue; the keys are the names that data.dataset takes."""
    entries = {name: check(name, Dataset, value, path) for name, value in read_yaml(path).items()}
    for name, entry in entries.items():
        unknown = (set(entry.labels.values()) - set(LABELS)) | (set(entry.parts.values()) - set(PARTS))
        unknown |= set(entry.union) - set(entries)
        if unknown:
            raise CandidError(f"{path}: {name}: {sorted(unknown)[0]!r} is no label, part or dataset known here")
    return entries


def find_dataset(name: str, catalogue: dict[str, Dataset]) -> Dataset:
    """Look an entry up; CandidError names the datasets there are."""
    if name not in catalogue:
        raise CandidError(f"params.yaml: data.dataset = {name!r}: expected one of {', '.join(catalogue)}")
    return catalogue[name]
