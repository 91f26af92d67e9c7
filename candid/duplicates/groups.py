"""Duplicate groups: connected components of the pairs, and a guard against a collapse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from candid.errors import CandidError

SMALLEST_SUSPECT = 100  # a group of up to so many different pictures is plausible in a set of any size


def group_ids(a: NDArray[np.int64], b: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Group of each of `count` faces: the smallest id of its component, -1 for a face in no pair."""
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    smallest = np.full(int(component.max(initial=-1)) + 1, count, np.int64)
    np.minimum.at(smallest, component, np.arange(count))
    groups = smallest[component]
    alone = np.bincount(component, minlength=len(smallest))[component] == 1
    return np.where(alone, -1, groups)


def guard(groups: NDArray[np.int64], first_copies: NDArray[np.int64], share: float, verified: bool) -> None:
    """Stop when one group holds an implausible share of the different pictures.

    Args:
        groups: as `group_ids` gives them.
        first_copies: ids of one image per set of exact copies; any number of copies is plausible.
        share: greatest plausible share of all images.
        verified: whether pairs were confirmed by correlation, which decides the likely cause.

    Raises:
        CandidError: names the group's size and the likely cause.
    """
    distinct = groups[first_copies]
    sizes = np.bincount(distinct[distinct >= 0]) if (distinct >= 0).any() else np.zeros(1, np.int64)
    largest, limit = int(sizes.max()), max(SMALLEST_SUSPECT, int(share * len(groups)))
    if largest <= limit:
        return
    cause = (
        "dedup.min_similarity is too low for these pictures, or they are frames of one video"
        if verified
        else "dedup.max_distance_bits is too high for these pictures (set it lower, or dedup.verify: true)"
    )
    raise CandidError(
        f"near-duplicates: one group holds {largest} different pictures of {len(groups)}, at most {limit} are"
        f" plausible (dedup.max_group_share = {share}): {cause}"
    )
