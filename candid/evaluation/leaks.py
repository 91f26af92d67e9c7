"""Which test faces the model may have met, in another shape, while it was trained."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.errors import CandidError
from candid.training.lineage import before, digests


class Leaks(NamedTuple):
    """Masks over the test faces, by rising id."""

    leaked: NDArray[np.bool_]
    """A face of the same honest group (subject, sequence, near-duplicate, or a chain) was trained on."""
    copied: NDArray[np.bool_]
    """A face of the same duplicate group was trained on; always leaked too."""
    validated: NDArray[np.bool_]
    """Not leaked, but a face of the same honest group is in validation, which chose the epoch."""


def met_before(model: str, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return ids of the faces that a model had met in earlier trainings, from whose weights its own started.

    Args:
        model: file written by train.
        images: all faces by id.
    """
    earlier = before(model)
    return np.flatnonzero(np.isin(digests(images), earlier)) if len(earlier) else np.zeros(0, np.int64)


def find_leaks(splits: pd.DataFrame, kept: pd.DataFrame, earlier: NDArray[np.int64] | None = None) -> Leaks:
    """Compare the groups of test faces and of those that were trained on.

    Args:
        splits: id, part, group (honest group) of the faces that the pipeline uses.
        kept: id, group (duplicate group, -1 for none) of all faces.
        earlier: ids of faces that the model had met before this training; they count as trained on.

    Raises:
        CandidError: `kept` lacks a face of the splits, or has one twice.
    """
    wrong = [*kept["id"][kept["id"].duplicated()], *splits["id"][~splits["id"].isin(kept["id"])]]
    if wrong:
        raise CandidError(
            f"data/kept.csv: face {wrong[0]} is missing or there twice; expected one row a face"
        )
    splits = splits.sort_values("id", kind="stable")
    duplicates = splits["id"].map(kept.set_index("id")["group"]).to_numpy(np.int64)
    honest = splits["group"].to_numpy(np.int64)
    known = np.zeros(0, np.int64) if earlier is None else earlier
    again = splits["id"].isin(known).to_numpy()
    train = (splits["part"] == "train").to_numpy() | again
    test = (splits["part"] == "test").to_numpy()
    elsewhere = kept["group"][kept["id"].isin(known)].to_numpy(np.int64)
    trained = np.concatenate([duplicates[train], elsewhere])
    copied = again[test] | np.isin(duplicates[test], trained[trained >= 0])
    leaked = np.isin(honest[test], honest[train]) | copied
    validation = (splits["part"] == "validation").to_numpy()
    return Leaks(leaked, copied, np.isin(honest[test], honest[validation]) & ~leaked)
