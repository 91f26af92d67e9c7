"""The index finds what an exhaustive search finds; copies do not explode."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candid.duplicates.copies import LISTED, collapse, copy_pairs, open_out
from candid.duplicates.hashes import pack
from candid.duplicates.join import _by_index, pairs_within, plan


def exhaustive(hashes: np.ndarray, limit: int) -> set[tuple[int, int, int]]:
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2, dtype=int)
    a, b = np.nonzero(np.triu(apart <= limit, 1))
    return set(zip(a.tolist(), b.tolist(), apart[a, b].tolist(), strict=True))


def found(hashes: np.ndarray, bits: int, limit: int) -> set[tuple[int, int, int]]:
    pairs = pairs_within(hashes, bits, limit)
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


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 150), st.sampled_from([16, 36, 64, 100, 256]), st.integers(0, 40), st.integers(0, 999))
def test_pairs_equal_exhaustive_search(count, bits, limit, seed):
    hashes = near_hashes(count, bits, seed)
    if count <= LISTED:
        assert found(hashes, bits, limit) == exhaustive(hashes, limit)
    else:
        distinct = np.unique(hashes, axis=0)
        assert found(distinct, bits, limit) == exhaustive(distinct, limit)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(2, 150), st.integers(0, 12), st.integers(0, 999), st.sampled_from([64, 1000, 10**5, 10**7])
)
def test_every_plan_of_the_index_is_exact(count, limit, seed, planned_for):
    """Plans of large sets, run on small ones."""
    hashes = np.unique(near_hashes(count, 64, seed), axis=0)
    chunks = plan(planned_for, 64, limit)
    if not chunks or sum(chunk.width > 16 for chunk in chunks):
        return  # compared one by one, or millions of empty buckets
    rows = _by_index(hashes[:, 0], chunks, limit)
    assert {tuple(row) for row in rows.tolist()} == exhaustive(hashes, limit)
    assert len({tuple(row) for row in rows.tolist()}) == len(rows)


def test_plan_of_a_million_is_exact():
    hashes = np.unique(near_hashes(3000, 64, 5), axis=0)
    chunks = plan(10**6, 64, 8)
    assert [(chunk.width, chunk.radius) for chunk in chunks] == [(22, 2), (21, 2), (21, 2)]
    rows = _by_index(hashes[:, 0], chunks, 8)
    assert {tuple(row) for row in rows.tolist()} == exhaustive(hashes, 8)


@pytest.mark.parametrize("limit", range(13))
def test_a_plan_leaves_no_gap(limit):
    """The radii of the chunks sum to d - m + 1 and the chunks cover all bits, or all pairs are compared."""
    for count in (100, 10**4, 10**6):
        chunks = plan(count, 64, limit)
        if chunks:
            assert sum(chunk.radius for chunk in chunks) == limit - len(chunks) + 1
            assert [c.start for c in chunks] == np.cumsum([0, *(c.width for c in chunks[:-1])]).tolist()
            assert chunks[-1].start + chunks[-1].width == 64


def test_many_copies_are_paired_with_the_first_only():
    hashes = np.concatenate([np.zeros((20_000, 1), np.uint64), np.full((1, 1), 7, np.uint64)])
    pairs = pairs_within(hashes, 64, 8)
    assert len(pairs.a) == 20_000
    assert (pairs.a == 0).sum() == 20_000
    assert pairs.distance_bits.max() == 3


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 6), max_size=60))
def test_collapse_numbers_rows_as_they_come(values):
    rows = np.array(values, np.uint64)[:, None]
    copies = collapse(rows)
    np.testing.assert_array_equal(rows[copies.first][copies.which], rows)
    assert (np.diff(copies.first) > 0).all()
    assert all(values.index(values[first]) == first for first in copies.first)
    expected = {(i, j) for j in range(len(values)) for i in range(j) if values[i] == values[j]}
    if all(values.count(v) <= LISTED for v in values):
        assert {tuple(pair) for pair in copy_pairs(copies).tolist()} == expected


def test_open_out_gives_every_copy_the_pair():
    copies = collapse(np.array([[5], [7], [5], [9], [7]]))
    pairs, source = open_out(np.array([0, 1]), np.array([1, 2]), copies)
    assert {(*p, s) for p, s in zip(pairs.tolist(), source.tolist(), strict=True)} == {
        (0, 1, 0), (0, 4, 0), (1, 2, 0), (2, 4, 0), (1, 3, 1), (3, 4, 1),
    }  # fmt: skip
