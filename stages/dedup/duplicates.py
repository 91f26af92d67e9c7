"""Find the exact and near-duplicates of an array of images: what tools and notebooks call."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.dedup.candidates import thumbnail_pairs
from stages.dedup.groups import group_ids, guard
from stages.dedup.hashes import hash_images
from stages.dedup.join import Copies, collapse, pairs_within
from stages.dedup.params import DedupSettings
from stages.dedup.verify import DECIMALS, prepare, similarities
from stages.dedup.views import flat_images, working_images

JUST_REJECTED = 0.15  # pairs this much below the threshold are handed on, to be looked at
LISTED_COPIES = 50  # of more copies of one image only the pairs with the first are listed


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
    """Pairs that were verified."""


def find_duplicates(
    images: NDArray[np.uint8], settings: DedupSettings, digests: NDArray[np.void] | None = None
) -> Duplicates:
    """Find all pairs of images that show the same photograph.

    Args:
        images: uint8, N x H x W or N x H x W x 3; compared in grey at 48 x 48.
        settings: hash, verification, mirror and guard are read; policies are not applied here.
        digests: N x 16 bytes that tell exact copies, where `images` are reduced; default: of the pixels.

    Raises:
        CandidError: one group is implausibly large.
    """
    exact = collapse(_digests(images) if digests is None else digests)
    grey = working_images(images)
    flat = flat_images(grey)
    chosen = exact.first[~flat[exact.first]]
    order = np.argsort(
        _digests(grey[chosen]), kind="stable"
    )  # by content: pairs do not depend on the order of rows
    chosen = chosen[order]
    near, rejected, candidates = _near(images, grey, chosen, settings)
    pairs = pd.concat([_exact_pairs(exact), _expand(near, exact)], ignore_index=True)
    pairs = pairs.sort_values(["a", "b"], kind="stable", ignore_index=True)
    a, b = pairs["a"].to_numpy(), pairs["b"].to_numpy()
    groups = group_ids(a, b, len(images))
    guard(groups, exact.first, settings.max_group_share, settings.verify)
    return Duplicates(pairs, rejected, groups, flat, candidates)


def _near(
    images: NDArray[np.uint8], grey: NDArray[np.uint8], chosen: NDArray[np.int64], settings: DedupSettings
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Accepted and just rejected pairs among `chosen`, each with a < b, and the number of candidates."""
    plain, bits = images[chosen], settings.hash_size**2
    hashes = hash_images(plain, settings.hash, settings.hash_size)
    pairs, bit_distances, kinds, scores = [], [], [], []
    prepared = prepare(grey[chosen]) if settings.verify else None
    for kind in ("near", "mirror") if settings.mirror else ("near",):
        mirrored = kind == "mirror"
        others = hash_images(plain[:, :, ::-1], settings.hash, settings.hash_size) if mirrored else hashes
        found = _hash_pairs(hashes, others if mirrored else None, bits, settings.max_distance_bits)
        if prepared is not None:
            flipped = np.ascontiguousarray(prepared.grey[:, :, ::-1]) if mirrored else None
            found = np.unique(np.concatenate([found, thumbnail_pairs(prepared.grey, flipped)]), axis=0)
            scores.append(similarities(prepared, found, prepare(flipped) if flipped is not None else None))
        apart = np.bitwise_count(hashes[found[:, 0]] ^ others[found[:, 1]]).sum(axis=1, dtype=np.int64)
        if prepared is None:
            scores.append(np.round(1 - apart / bits, DECIMALS))
        pairs.append(found)
        bit_distances.append(apart)
        kinds.append(np.repeat(kind, len(found)))
    ids = np.sort(chosen[np.concatenate(pairs)], axis=1)
    table = pd.DataFrame(
        {"a": ids[:, 0], "b": ids[:, 1], "distance_bits": np.concatenate(bit_distances),
         "similarity": np.concatenate(scores), "kind": np.concatenate(kinds)}
    )  # fmt: skip
    table = table.sort_values(
        ["a", "b", "similarity", "kind"], ascending=[True, True, False, False], ignore_index=True
    )
    table = table.drop_duplicates(
        ["a", "b"], ignore_index=True
    )  # a symmetric face is also its own mirror image
    least = settings.min_similarity if settings.verify else 0.0
    accepted = table["similarity"] >= least
    just = ~accepted & (table["similarity"] >= least - JUST_REJECTED)
    return table[accepted], table[just].reset_index(drop=True), len(table)


def _hash_pairs(
    hashes: NDArray[np.uint64], mirrored: NDArray[np.uint64] | None, bits: int, limit: int
) -> NDArray[np.int64]:
    if mirrored is None:
        found = pairs_within(hashes, bits, limit)
        return np.stack([found.a, found.b], axis=1)
    both = pairs_within(np.concatenate([hashes, mirrored]), bits, limit)
    across = (both.a < len(hashes)) & (both.b >= len(hashes)) & (both.a < both.b - len(hashes))
    return np.stack([both.a, both.b - len(hashes)], axis=1)[across]


def _exact_pairs(copies: Copies) -> pd.DataFrame:
    members = np.argsort(copies.which, kind="stable")
    sizes = np.bincount(copies.which, minlength=len(copies.first))
    ends = np.cumsum(sizes)
    rows = [np.empty((0, 2), np.int64)]
    for which in np.flatnonzero(sizes > 1):
        ids = members[ends[which] - sizes[which] : ends[which]]
        if len(ids) <= LISTED_COPIES:
            i, j = np.triu_indices(len(ids), 1)
            rows.append(np.stack([ids[i], ids[j]], axis=1))
        else:
            rows.append(np.stack([np.repeat(ids[0], len(ids) - 1), ids[1:]], axis=1))
    pairs = np.concatenate(rows)
    return pd.DataFrame(
        {"a": pairs[:, 0], "b": pairs[:, 1], "distance_bits": np.int64(0), "similarity": 1.0, "kind": "exact"}
    )


def _expand(near: pd.DataFrame, copies: Copies) -> pd.DataFrame:
    """Give every exact copy the near-duplicates of its first copy."""
    members = np.argsort(copies.which, kind="stable")
    sizes = np.bincount(copies.which, minlength=len(copies.first))
    starts = np.cumsum(sizes) - sizes
    a, b = copies.which[near["a"].to_numpy(np.int64)], copies.which[near["b"].to_numpy(np.int64)]
    listed = np.where(sizes > LISTED_COPIES, 1, sizes)
    repeats = listed[a] * listed[b]
    row = np.repeat(np.arange(len(near)), repeats)
    within = np.arange(len(row)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    one = members[starts[a[row]] + within // listed[b[row]]]
    two = members[starts[b[row]] + within % listed[b[row]]]
    table = near.iloc[row].reset_index(drop=True)
    return table.assign(a=np.minimum(one, two), b=np.maximum(one, two))


def _digests(images: NDArray[np.uint8]) -> NDArray[np.void]:
    """128 bits of each image's pixels."""
    out = np.empty((len(images), 16), np.uint8)
    for i, image in enumerate(images):
        raw = np.ascontiguousarray(image).data
        out[i] = np.frombuffer(hashlib.blake2b(raw, digest_size=16).digest(), np.uint8)
    return out.view(np.dtype((np.void, 16)))[:, 0]
