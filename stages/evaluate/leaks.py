"""Which test faces the model may have met, in another shape, while it was trained."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.errors import CandidError


class Leaks(NamedTuple):
    """Masks over the test faces, by rising id."""

    leaked: NDArray[np.bool_]
    """A face of the same honest group (subject, sequence, near-duplicate, or a chain) is in train."""
    copied: NDArray[np.bool_]
    """A face of the same duplicate group is in train; always leaked too."""


def find_leaks(splits: pd.DataFrame, kept: pd.DataFrame) -> Leaks:
    """Compare the groups of test and training faces.

    Args:
        splits: id, part, group (honest group) of the faces that the pipeline uses.
        kept: id, group (duplicate group, -1 for none) of all faces.

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
    train = (splits["part"] == "train").to_numpy()
    test = (splits["part"] == "test").to_numpy()
    copied = np.isin(duplicates[test], duplicates[train & (duplicates >= 0)])
    return Leaks(np.isin(honest[test], honest[train]) | copied, copied)
