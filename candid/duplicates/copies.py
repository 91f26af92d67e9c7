"""Equal rows are handled as one, and opened out again at the end."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LISTED = 50  # of more copies than this, only the first is paired with everything: pairs grow with the square


class Copies(NamedTuple):
    """Sets of equal rows."""

    first: NDArray[np.int64]
    """Row of the first copy of each distinct row, ascending."""
    which: NDArray[np.int64]
    """Each row's distinct row, an index into `first`."""


def collapse(rows: NDArray[Any]) -> Copies:
    """Find equal rows of an N x ... array."""
    if not len(rows):
        return Copies(np.empty(0, np.int64), np.empty(0, np.int64))
    flat = np.ascontiguousarray(rows.reshape(len(rows), -1))
    width = flat.dtype.itemsize * flat.shape[1]
    key = flat[:, 0] if flat.shape[1] == 1 else flat.view(np.dtype((np.void, width)))[:, 0]
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")  # number the distinct rows as they come
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Copies(first[order].astype(np.int64), rank[which.reshape(-1)].astype(np.int64))


def copy_pairs(copies: Copies) -> NDArray[np.int64]:
    """Pairs of equal rows, P x 2: all of up to LISTED copies, else each with the first."""
    members, starts, sizes = _members(copies)
    found = [np.empty((0, 2), np.int64)]
    for which in np.flatnonzero(sizes > 1):
        ids = members[starts[which] : starts[which] + sizes[which]]
        if len(ids) <= LISTED:
            i, j = np.triu_indices(len(ids), 1)
            found.append(np.stack([ids[i], ids[j]], axis=1))
        else:
            found.append(np.stack([np.repeat(ids[0], len(ids) - 1), ids[1:]], axis=1))
    return np.concatenate(found)


def open_out(
    a: NDArray[np.int64], b: NDArray[np.int64], copies: Copies
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give every copy the pairs of its distinct row.

    Args:
        a, b: pairs of distinct rows, indices into copies.first.
        copies: from `collapse`.

    Returns:
        pairs of rows, Q x 2 with the smaller first, and which of the given pairs each of them comes from.
    """
    members, starts, sizes = _members(copies)
    listed = np.where(sizes > LISTED, 1, sizes)
    repeats = listed[a] * listed[b]
    source = np.repeat(np.arange(len(a)), repeats)
    within = np.arange(len(source)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    one = members[starts[a[source]] + within // listed[b[source]]]
    two = members[starts[b[source]] + within % listed[b[source]]]
    return np.stack([np.minimum(one, two), np.maximum(one, two)], axis=1), source


def _members(copies: Copies) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    members = np.argsort(copies.which, kind="stable")
    sizes = np.bincount(copies.which, minlength=len(copies.first))
    return members, np.cumsum(sizes) - sizes, sizes
