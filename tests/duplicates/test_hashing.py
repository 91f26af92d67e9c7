"""The comparison gives the pairs of an exhaustive search; hashes are packed as imagehash has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from candid.duplicates.groups import LISTED
from candid.duplicates.hashing import FUNCTIONS, hash_images, pack, pairs_within
from candid.duplicates.settings import Hash


def exhaustive(hashes: np.ndarray, limit: int) -> set[tuple[int, int, int]]:
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2, dtype=int)
    a, b = np.nonzero(np.triu(apart <= limit, 1))
    return set(zip(a.tolist(), b.tolist(), apart[a, b].tolist(), strict=True))


def found(hashes: np.ndarray, limit: int) -> set[tuple[int, int, int]]:
    pairs = pairs_within(hashes, limit)
    triples = list(zip(pairs.a.tolist(), pairs.b.tolist(), pairs.distance_bits.tolist(), strict=True))
    assert triples == sorted(triples)
    assert len(set(triples)) == len(triples)
    return set(triples)


def near_hashes(count: int, bits: int, seed: int) -> np.ndarray:
    """Some hashes, and others a few bits from them."""
    random = np.random.default_rng(seed)
    centres = random.integers(0, 2, (max(count // 4, 1), bits)).astype(bool)
    chosen = centres[random.integers(0, len(centres), count)]
    flips = random.random((count, bits)) < random.choice([0, 0.02, 0.06, 0.15, 0.3], (count, 1))
    return pack(chosen ^ flips)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1200), st.sampled_from([16, 36, 64, 100, 256]), st.integers(0, 40), st.integers(0, 999))
def test_pairs_equal_exhaustive_search(count, bits, limit, seed):
    hashes = near_hashes(count, bits, seed)
    if count <= LISTED:
        assert found(hashes, limit) == exhaustive(hashes, limit)
    else:
        distinct = np.unique(hashes, axis=0)
        assert found(distinct, limit) == exhaustive(distinct, limit)


def test_many_copies_are_paired_with_the_first_only():
    hashes = np.concatenate([np.zeros((20_000, 1), np.uint64), np.full((1, 1), 7, np.uint64)])
    pairs = pairs_within(hashes, 8)
    assert len(pairs.a) == 20_000
    assert (pairs.a == 0).sum() == 20_000
    assert pairs.distance_bits.max() == 3


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("shape", [(48, 48), (100, 30, 3)])
def test_bits_are_those_of_imagehash(name, shape):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    words = hash_images(images, Hash(hash=name, hash_size=16, max_distance_bits=4))
    assert words.shape == (3, 4)
    for image, row in zip(images, words, strict=True):
        theirs = FUNCTIONS[name](Image.fromarray(image), hash_size=16).hash.ravel()
        np.testing.assert_array_equal(pack(theirs[None])[0], row)
        assert int(row[1]) & 1 == theirs[64]
