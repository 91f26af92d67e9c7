"""The table and the array of faces that every stage after ingest reads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from candid.errors import CandidError
from candid.files import read_csv

if TYPE_CHECKING:
    import pandas as pd

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")
"""The one vocabulary of expressions; model outputs stand in this order."""

PARTS = ("train", "validation", "test")  # of a split; the catalogue maps official parts to these
FACES_COLUMNS = ("id", "label", "source", "dataset", "part", "subject", "sequence")
KEPT_COLUMNS = ("id", "group", "kept", "reason")
SPLITS_COLUMNS = ("id", "label", "part", "group")


def read_faces(path: str | Path = "data/faces.csv") -> pd.DataFrame:
    """Read data/faces.csv: FACES_COLUMNS, `id` int64 and equal to the row number, the rest text."""
    table = read_csv(path, FACES_COLUMNS, {"id": np.int64})
    if not np.array_equal(table["id"].to_numpy(), np.arange(len(table))):
        raise CandidError(f"{path}: column 'id' must count 0, 1, 2, ... as the rows of faces.npy do")
    return table


def read_kept(path: str | Path = "data/kept.csv") -> pd.DataFrame:
    """Read data/kept.csv: one row a face; `group` is -1 for a face without a near-duplicate."""
    return read_csv(path, KEPT_COLUMNS, {"id": np.int64, "group": np.int64, "kept": "bool"})


def read_splits(path: str | Path = "data/splits.csv") -> pd.DataFrame:
    """Read data/splits.csv: the kept faces; faces with the same `group` (an int) are not independent."""
    table = read_csv(path, SPLITS_COLUMNS, {"id": np.int64, "group": np.int64})
    wrong = ~table["part"].isin(PARTS)
    if wrong.any():
        raise CandidError(f"{path}: part {table['part'][wrong].iloc[0]!r}; expected {', '.join(PARTS)}")
    twice = table["id"].duplicated()
    if twice.any():
        raise CandidError(f"{path}: id {table['id'][twice].iloc[0]} is there twice; expected each face once")
    return table


def load_images(path: str | Path = "data/faces.npy") -> NDArray[np.uint8]:
    """Map the faces into memory: uint8, N x H x W (grey) or N x H x W x 3 (RGB), read-only."""
    try:
        images: NDArray[Any] = open_memmap(path, mode="r")  # plain .npy only: no pickle, no zip
    except FileNotFoundError:
        raise CandidError(f"{path}: no such file; expected the output of ingest") from None
    except Exception as error:  # NumPy has Python's own tokenizer and literals read the header
        raise CandidError(f"{path}: not an array of faces: {error}") from None
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        kind = f"{images.dtype} {images.shape}"
        raise CandidError(f"{path}: {kind}; expected uint8 of shape N x H x W or N x H x W x 3")
    return images


def digest(image: NDArray[np.uint8]) -> str:
    """128-bit hexadecimal digest (BLAKE2b) of one face's pixels: equal pixels, equal digest."""
    return hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).hexdigest()


def class_order(labels: pd.Series[str]) -> list[str]:
    """The classes that occur, in the order of LABELS; any others (a user's own) behind, sorted."""
    classes = set(labels)
    return [name for name in LABELS if name in classes] + sorted(classes - set(LABELS))
