"""Find the exact and near-duplicates of an array of images: what tools and notebooks call."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.duplicates.copies import Copies, collapse, copy_pairs, open_out
from candid.duplicates.groups import group_ids, guard
from candid.duplicates.params import DedupSettings
from candid.duplicates.search import search
from candid.duplicates.views import flat_images, working_images

JUST_REJECTED = 0.15  # pairs this much below the threshold are handed on, to be looked at


class Duplicates(NamedTuple):
    """What was found; ids are rows of the array."""

    pairs: pd.DataFrame
    """a < b, distance_bits, similarity, kind (exact, near, mirror), sorted by a, b."""
    rejected: pd.DataFrame
    """Candidates that the verifier turned down by less than JUST_REJECTED; columns as `pairs`."""
    groups: NDArray[np.int64]
    """Smallest id of each image's duplicate group, -1 for an image without a duplicate."""
    flat: NDArray[np.bool_]
    """Images of one grey: only their exact copies count."""
    candidates: int
    """Pairs that were compared in full."""


def find_duplicates(
    images: NDArray[np.uint8], settings: DedupSettings, digests: NDArray[np.void] | None = None
) -> Duplicates:
    """Find all pairs of images that show the same photograph.

    Args:
        images: uint8, N x H x W or N x H x W x 3; compared in grey at 48 x 48.
        settings: hash, verification, mirror and guard are read; policies are not applied here.
        digests: N values that tell exact copies, where `images` are reduced; default: of the pixels.

    Of many copies of one image (copies.LISTED) only the pairs with the first are listed; groups are whole.

    Raises:
        CandidError: one group is implausibly large, or the set is too large for the settings.
    """
    exact = collapse(pixel_digests(images) if digests is None else digests)
    grey = working_images(images)
    flat = flat_images(grey)
    chosen = exact.first[~flat[exact.first]]
    # In the order of their content, so that what is found does not depend on the order of the rows.
    chosen = chosen[np.argsort(pixel_digests(images[chosen]), kind="stable")]
    compared = search(images, grey, chosen, settings)
    least = settings.min_similarity if settings.verify else 0.0
    accepted = compared["similarity"] >= least
    just = ~accepted & (compared["similarity"] >= least - JUST_REJECTED)
    pairs = pd.concat([_exact_pairs(exact), _for_all_copies(compared[accepted], exact)], ignore_index=True)
    pairs = pairs.sort_values(["a", "b"], kind="stable", ignore_index=True)
    groups = group_ids(pairs["a"].to_numpy(), pairs["b"].to_numpy(), len(images))
    guard(groups, exact.first, settings.max_group_share, settings.verify)
    return Duplicates(pairs, compared[just].reset_index(drop=True), groups, flat, len(compared))


def pixel_digests(images: NDArray[np.uint8]) -> NDArray[np.void]:
    """128 bits of each image's pixels (BLAKE2b)."""
    out = np.empty((len(images), 16), np.uint8)
    for i, image in enumerate(images):
        raw = np.ascontiguousarray(image).data
        out[i] = np.frombuffer(hashlib.blake2b(raw, digest_size=16).digest(), np.uint8)
    return out.view(np.dtype((np.void, 16)))[:, 0]


def _exact_pairs(copies: Copies) -> pd.DataFrame:
    pairs = copy_pairs(copies)
    columns = {"a": pairs[:, 0], "b": pairs[:, 1]}
    return pd.DataFrame({**columns, "distance_bits": np.int64(0), "similarity": 1.0, "kind": "exact"})


def _for_all_copies(near: pd.DataFrame, copies: Copies) -> pd.DataFrame:
    """Give every exact copy the near-duplicates of its first copy."""
    a, b = copies.which[near["a"].to_numpy(np.int64)], copies.which[near["b"].to_numpy(np.int64)]
    pairs, source = open_out(a, b, copies)
    return near.iloc[source].reset_index(drop=True).assign(a=pairs[:, 0], b=pairs[:, 1])
