"""The catalogue of datasets (catalogue.yaml) and the section `data`, which download and ingest share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from candid.settings import ConflictError, Section, check, read_yaml

CATALOGUE = Path(__file__).with_name("catalogue.yaml")
OWN = "folder"  # the dataset that is the user's own pictures


def _one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError) as error:
        raise ValueError(f"{error}; expected a regular expression such as '(p[0-9]+)_'") from None
    if groups != 1:
        raise ValueError(f"it has {groups} groups; expected one, as in '(p[0-9]+)_'")
    return pattern


Pattern = Annotated[str, AfterValidator(_one_group)]


class DataSettings(Section):
    """Section `data` of params.yaml."""

    dataset: str
    path: str | None  # of the dataset `folder`: a folder, zip or tar of one folder a class
    subject_pattern: Pattern | None  # of `folder`, as in Dataset; None: persons are unknown
    parts: list[Literal["train", "validation", "test"]] | None = Field(min_length=1)
    classes: list[str] | None = Field(min_length=1)
    image_size: int = Field(ge=8, le=1024)
    color: Literal["grey", "rgb"]
    max_rejected_share: float = Field(ge=0, le=1)
    altered: Literal["warn", "stop"]  # what to do about a known set that is not as published

    @model_validator(mode="after")
    def _own_pictures(self) -> Self:
        own = self.dataset == OWN
        if own and not self.path:
            reason = f"expected a folder, zip or tar of one folder a class, as dataset is {OWN}"
            raise ConflictError("path", self.path, reason)
        if self.subject_pattern is not None and not own:
            reason = f"subject_pattern is for dataset: {OWN}; {self.dataset} has its own; expected null"
            raise ConflictError("subject_pattern", self.subject_pattern, reason)
        return self


class Archive(Section):
    """One published file of a dataset.

    It is the right one when its sha256 is that given here, or when the files in it are: the same
    pictures come in other wrappings too (packed again after Kaggle's client unpacked them, say).
    """

    name: str  # file name under data/raw, and in the mirror
    also: list[str] = []  # other names, under which the same content is published in another wrapping
    kaggle: str | None = None  # handle for Kaggle's client: owner/dataset/versions/N, or competitions/name
    kaggle_file: str | None = None  # the one file to take from there, where it isn't the whole
    url: str | None = None  # HTTPS address, where it is published openly
    sha256: str | None = None
    contents: list[str] = []
    """Digests of the published files, whatever they are wrapped in (download.contents_digest); more than one
    where a reduced copy is known, too."""
    get: str | None = None  # what a person has to do where neither of these serves (a form to sign, say)


class Dataset(Section):
    """One entry of the catalogue."""

    title: str
    homepage: str
    licence: str
    citation: str
    archives: list[Archive] = []
    union: list[str] = []  # datasets that this one is made of, in order; it then has no archives of its own
    reader: Literal["folders", "fer2013_csv", "ferplus", "muxspace", "rafdb"] = "folders"
    labels: dict[str, str] = {}  # published label, lower case -> one of LABELS; labels.SYNONYMS need none
    other_labels: bool = False  # labels not known here are classes (a user's folder), else stop the run
    part_pattern: Pattern | None = None  # group 1: the part (labels.part_of), where a name starts
    subject_pattern: Pattern | None = None
    """The same for the person shown; also matched at the start of the folders below and above the class's."""
    sequence_pattern: Pattern | None = None  # the same for the film that the picture is a frame of
    fingerprint: str | None = None  # the known set (fingerprints/<name>.csv) that this one should be
    planted: str | None = None  # file in the archive: near-duplicates planted on purpose (a, b, kind)
    drop: list[str] = []  # labels left out unless data.classes has them; dataset:label for one set of a union
    every_row: bool = False  # a picture with two rows alike counts twice, as where papers count rows
    dedup: Literal["remove", "group", "off"] = "remove"  # what dedup.policy: auto means here
    series: bool = False  # known persons a moment apart, cut alike: dedup.method doubts such pairs more
    faces: int | None = None  # faces with one label that the archives are known to hold


def read_catalogue() -> dict[str, Dataset]:
    """Read the catalogue; the keys are the names that data.dataset takes."""
    return {name: check(name, Dataset, value, CATALOGUE) for name, value in read_yaml(CATALOGUE).items()}


def members(name: str, catalogue: dict[str, Dataset]) -> dict[str, Dataset]:
    """Return the datasets with archives that `name` stands for: those of its union, in order, or itself."""
    entry = catalogue[name]
    return {part: catalogue[part] for part in entry.union} if entry.union else {name: entry}


def selected_datasets(settings: DataSettings, catalogue: dict[str, Dataset]) -> dict[str, Dataset]:
    """Return the datasets of the settings, as `members` gives them, with data.subject_pattern."""
    datasets = members(settings.dataset, catalogue)
    if catalogue[settings.dataset].every_row:  # `faces` counts pictures
        return {name: entry.model_copy(update={"faces": None}) for name, entry in datasets.items()}
    if settings.subject_pattern is None:
        return datasets
    return {OWN: datasets[OWN].model_copy(update={"subject_pattern": settings.subject_pattern})}
