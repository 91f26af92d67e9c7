"""Equal rows, handled as one and opened out again; and groups, the connected components of the pairs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

LISTED = 50  # of more copies than this, only the first is paired with everything: pairs grow with the square
MAX_GROUP_SHARE = 0.05  # of the images; more different ones in one group are a sign of a wrong threshold
SMALLEST_SUSPECT = 100  # a group of up to so many different images is plausible in a set of any size


class Copies(NamedTuple):
    """Sets of equal rows."""

    first: NDArray[np.int64]  # row of the first copy of each distinct row, ascending
    which: NDArray[np.int64]  # each row's distinct row, an index into `first`


def collapse(rows: NDArray[Any]) -> Copies:
    """Find equal rows of an N x ... array."""
    which, _ = pd.factorize(np.array([row.tobytes() for row in rows], object))  # numbers rows as they come
    return Copies(np.unique(which, return_index=True)[1], which)


def copy_pairs(copies: Copies) -> NDArray[np.int64]:
    """Pairs of equal rows, P x 2: all of up to LISTED copies, else each with the first."""
    members, starts, sizes = _members(copies)
    pairs = [np.empty((0, 2), np.int64)]
    for which in np.flatnonzero(sizes > 1):
        ids = members[starts[which] : starts[which] + sizes[which]]
        i, j = np.triu_indices(len(ids) if len(ids) <= LISTED else 1, 1, len(ids))
        pairs.append(np.stack([ids[i], ids[j]], axis=1))
    return np.concatenate(pairs)


def open_out(
    a: NDArray[np.int64], b: NDArray[np.int64], copies: Copies
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give every copy the pairs (a, b: indices into copies.first) of its distinct row.

    Returns pairs of rows, Q x 2 with the smaller first, and which of the given pairs each of them comes from.
    """
    members, starts, sizes = _members(copies)
    listed = np.where(sizes > LISTED, 1, sizes)
    repeats = listed[a] * listed[b]
    source = np.repeat(np.arange(len(a)), repeats)
    within = np.arange(len(source)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    copy_a = members[starts[a[source]] + within // listed[b[source]]]
    copy_b = members[starts[b[source]] + within % listed[b[source]]]
    return np.stack([np.minimum(copy_a, copy_b), np.maximum(copy_a, copy_b)], axis=1), source


def _members(copies: Copies) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    members = np.argsort(copies.which, kind="stable")
    sizes = np.bincount(copies.which, minlength=len(copies.first))
    return members, np.cumsum(sizes) - sizes, sizes


def group_ids(a: NDArray[np.int64], b: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Group of each of `count` images: the smallest id of its component, -1 for an image in no pair."""
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    members = pd.Series(np.arange(count)).groupby(component)
    return np.where(members.transform("size") == 1, -1, members.transform("min"))


def collapsed(groups: NDArray[np.int64], first_copies: NDArray[np.int64]) -> str:
    """Say which group (of `group_ids`) holds implausibly many different images; "" where none does.

    `first_copies`: ids of one image per set of exact copies; any number of copies is plausible.
    """
    distinct = groups[first_copies]
    largest = int(np.bincount(distinct[distinct >= 0], minlength=1).max())
    limit = max(SMALLEST_SUSPECT, int(MAX_GROUP_SHARE * len(groups)))
    if largest <= limit:
        return ""
    return f"one group holds {largest:,} different images of {len(groups):,}; at most {limit:,} are plausible"
