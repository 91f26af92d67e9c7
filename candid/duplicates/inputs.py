"""What the stage reads, checked against each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.data.faces import load_images, read_faces
from candid.errors import CandidError
from candid.files import read_csv


class Inputs(NamedTuple):
    """The faces, as a table and as an array, and the pairs that are known to be copies."""

    faces: pd.DataFrame
    images: NDArray[np.uint8]
    planted: pd.DataFrame


def read_inputs() -> Inputs:
    """Read data/faces.csv, data/faces.npy and data/planted.csv; CandidError where they don't fit together."""
    faces, images = read_faces(), load_images()
    if len(faces) != len(images):
        raise CandidError(
            f"data/faces.csv has {len(faces)} rows, data/faces.npy {len(images)}; expected as many"
        )
    planted = read_csv("data/planted.csv", ("a", "b"), {"a": np.int64, "b": np.int64})
    ends = planted[["a", "b"]].to_numpy()
    if len(ends) and not 0 <= ends.min() <= ends.max() < len(faces):
        raise CandidError(
            f"data/planted.csv: an id that data/faces.csv lacks; expected 0 to {len(faces) - 1}"
        )
    return Inputs(faces, images, planted)
