"""Which faces are not independent: connected components over subject, sequence and duplicate group."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

UNKNOWN = -1


def kind_codes(faces: pd.DataFrame, kept: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Number the values of each kind: kind -> one code a face, UNKNOWN where the face has none."""
    codes: dict[str, NDArray[np.int64]] = {
        kind: pd.factorize(faces[kind].replace("", None))[0].astype(np.int64)
        for kind in ("subject", "sequence")
    }
    return codes | {"duplicate": kept["group"].to_numpy(np.int64)}


def components(faces: int, kinds: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Join faces that share a code of any kind, directly or over other faces.

    Returns:
        one number a face: the smallest index in its component.
    """
    parent = list(range(faces))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    for codes in kinds:
        first: dict[int, int] = {}
        for face in np.flatnonzero(codes != UNKNOWN).tolist():
            other, mine = root(first.setdefault(int(codes[face]), face)), root(face)
            parent[max(other, mine)] = min(other, mine)
    return np.array([root(face) for face in range(faces)], np.int64)


def smallest_id(groups: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rename each group to the smallest id among the faces given."""
    _, inverse = np.unique(groups, return_inverse=True)
    smallest = np.full(inverse.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(smallest, inverse, ids)
    return smallest[inverse]
