"""Candidates from hashes and from views, each with its distance and similarity."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.duplicates.candidates import MANY, Candidates, view_pairs
from candid.duplicates.hashes import hash_images
from candid.duplicates.join import pairs_within, plan
from candid.duplicates.params import DedupSettings
from candid.duplicates.verify import DECIMALS, prepare, similarities
from candid.errors import CandidError

STILL = np.array([1.0, 0.0, 0.0, 0.0])  # the motion of an image that lies over the other as it is


def search(
    images: NDArray[np.uint8], grey: NDArray[np.uint8], chosen: NDArray[np.int64], settings: DedupSettings
) -> pd.DataFrame:
    """Compare the candidate pairs among the rows `chosen`.

    Args:
        images: all images, as they are hashed.
        grey: the same at the working size.
        chosen: rows to search, without exact copies and flat images.
        settings: hash, verification and mirror.

    Returns:
        a < b, distance_bits, similarity, kind (near, mirror), sorted by a, b; without verification the
        similarity is the share of equal bits.
    """
    plain, faces = images[chosen], grey[chosen]
    hashes = hash_images(plain, settings.hash, settings.hash_size)
    tables = [_compare(faces, None, hashes, hashes, settings)]
    if settings.mirror:
        mirrored = np.ascontiguousarray(faces[:, :, ::-1])
        turned = hash_images(np.ascontiguousarray(plain[:, :, ::-1]), settings.hash, settings.hash_size)
        tables.append(_compare(faces, mirrored, hashes, turned, settings))
    table = pd.concat(tables, ignore_index=True)
    a, b = chosen[table["a"].to_numpy()], chosen[table["b"].to_numpy()]
    table = table.assign(a=np.minimum(a, b), b=np.maximum(a, b))
    best_first = [True, True, False, False]  # a symmetric face may be found both ways
    table = table.sort_values(["a", "b", "similarity", "kind"], ascending=best_first, ignore_index=True)
    return table.drop_duplicates(["a", "b"], ignore_index=True)


def _compare(
    faces: NDArray[np.uint8],
    mirrored: NDArray[np.uint8] | None,
    hashes: NDArray[np.uint64],
    others: NDArray[np.uint64],
    settings: DedupSettings,
) -> pd.DataFrame:
    bits = settings.hash_size**2
    pairs = _hash_pairs(hashes, None if mirrored is None else others, settings)
    if settings.verify:
        pairs, motions = _with_motions(pairs, view_pairs(faces, mirrored), len(faces))
        prepared = prepare(faces)
        similarity = similarities(prepared, pairs, motions, None if mirrored is None else prepare(mirrored))
    apart = np.bitwise_count(hashes[pairs[:, 0]] ^ others[pairs[:, 1]]).sum(axis=1, dtype=np.int64)
    if not settings.verify:
        similarity = np.asarray(np.round(1 - apart / bits, DECIMALS), np.float64)
    columns = {"a": pairs[:, 0], "b": pairs[:, 1], "distance_bits": apart, "similarity": similarity}
    return pd.DataFrame({**columns, "kind": "near" if mirrored is None else "mirror"})


def _hash_pairs(
    hashes: NDArray[np.uint64], mirrored: NDArray[np.uint64] | None, settings: DedupSettings
) -> NDArray[np.int64]:
    bits, limit, count = settings.hash_size**2, settings.max_distance_bits, len(hashes)
    if count >= MANY and not plan(count, bits, limit):
        if settings.verify:
            return np.empty((0, 2), np.int64)  # comparing all pairs would take minutes; the views find more
        raise CandidError(
            f"{count} images are too many to compare hashes of {bits} bits within {limit}: expected"
            " dedup.verify: true, or dedup.hash_size: 8 and dedup.max_distance_bits: 8 or less"
        )
    if mirrored is None:
        found = pairs_within(hashes, bits, limit)
        return np.stack([found.a, found.b], axis=1)
    both = pairs_within(np.concatenate([hashes, mirrored]), bits, limit)
    across = (both.a < count) & (both.b >= count) & (both.a < both.b - count)
    return np.stack([both.a, both.b - count], axis=1)[across]


def _with_motions(
    hashed: NDArray[np.int64], seen: Candidates, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The pairs of both searches; those that only the hashes found start without a motion."""
    keys = hashed[:, 0] * count + hashed[:, 1]
    new = hashed[~np.isin(keys, seen.pairs[:, 0] * count + seen.pairs[:, 1])]
    pairs = np.concatenate([seen.pairs, new])
    return pairs, np.concatenate([seen.motions, np.tile(STILL, (len(new), 1))])
