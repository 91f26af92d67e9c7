"""Labelled faces for the tools that need some: a run's, or the sample."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from candid.data.catalogue import read_catalogue
from candid.data.faces import load_images, read_faces, read_splits
from candid.data.ingest import assemble, read_all
from candid.data.readers import Wanted
from candid.errors import CandidError
from candid.evaluation.predict import Images, views
from candid.files import read_json

SAMPLE = Path("data")  # folder of sample.zip
TEST_SHARE = 0.2  # of the subjects of the sample


class Parts(NamedTuple):
    """What a model learns from and what it is judged on."""

    images: Images
    train: pd.DataFrame  # id (row of `images`, rising), label, group (faces of one are not independent)
    test: pd.DataFrame  # the same columns
    datasets: tuple[str, ...]  # names of the sets that the faces are of
    source: str  # in words, for messages and tables


def read_parts(folder: Path) -> Parts:
    """Read the faces and the split of a run's folder `data`; where it has none, the sample.

    CandidError: a file of the folder is missing or wrong, or there is no face in the test part.
    """
    if not (folder / "faces.npy").is_file():
        if folder == SAMPLE and (SAMPLE / "sample.zip").is_file():
            return read_sample()
        missing = "neither faces.npy nor sample.zip" if folder == SAMPLE else "no faces.npy"
        raise CandidError(f"{folder}: {missing}; expected the folder data of a run")
    images, splits = load_images(folder / "faces.npy"), read_splits(folder / "splits.csv")
    named = read_faces(folder / "faces.csv")["dataset"]
    if len(named) != len(images) or not splits["id"].isin(range(len(images))).all():
        raise CandidError(f"{folder}: faces.npy, faces.csv and splits.csv do not belong together; dvc repro")
    splits = splits.sort_values("id", kind="stable")
    parts = {name: splits[splits["part"] == name] for name in ("train", "test")}
    for name, part in parts.items():
        if part.empty:
            raise CandidError(f"{folder}/splits.csv: no face in the {name} part; expected at least one")
    datasets = tuple(sorted(named.iloc[splits["id"]].unique()))
    return Parts(images, parts["train"], parts["test"], datasets, f"{folder} ({', '.join(datasets)})")


def read_sample() -> Parts:
    """Read the embedded sample, split by subject."""
    items = read_all({"sample": read_catalogue()["sample"]}, SAMPLE, Wanted())
    ingested = assemble(items, 48, "grey")
    subjects, subject = np.unique(ingested.faces["subject"], return_inverse=True)
    splits = ingested.faces[["id", "label"]].assign(group=subject)
    test = subject >= round((1 - TEST_SHARE) * len(subjects))
    return Parts(ingested.images, splits[~test], splits[test], ("sample",), "the sample")


def other_faces(model: Path, parts: Parts) -> list[str]:
    """A line where the JSON file beside a model names another dataset than the faces are of; else none."""
    try:
        learnt = read_json(model.with_suffix(".json"))["settings"]["data"]["dataset"]
    except (CandidError, KeyError, TypeError):
        return []
    if [learnt] == list(parts.datasets):
        return []
    others = ", ".join(parts.datasets)
    return [f"the model was trained on {learnt}: on faces of {others} its scores say little"]


def as_taken(images: Images, shape: tuple[int | None, ...]) -> Images:
    """Faces (N x H x H, or x 3) as a model of this input shape takes them: cut at the centre, its axes."""
    size = int(shape[1] or 0)
    cut = np.ascontiguousarray(next(views(images, "none", size)))
    return cut.reshape(len(images), size, size, *shape[3:])
