"""Groups are connected components; equal rows are collapsed and opened out."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from candid.duplicates.groups import LISTED, collapse, collapsed, copy_pairs, group_ids, open_out

PAIRS = st.integers(1, 30).flatmap(
    lambda n: st.tuples(
        st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=40)
    )
)


@settings(deadline=None, max_examples=60)
@given(PAIRS)
def test_groups_are_connected_components(drawn):
    count, pairs = drawn
    pairs = [pair for pair in pairs if pair[0] != pair[1]]
    a, b = np.array([p[0] for p in pairs], np.int64), np.array([p[1] for p in pairs], np.int64)
    groups = group_ids(a, b, count)
    label = list(range(count))
    for _ in range(count):
        for one, two in pairs:
            label[one] = label[two] = min(label[one], label[two])
    paired = {end for pair in pairs for end in pair}
    np.testing.assert_array_equal(groups, [label[i] if i in paired else -1 for i in range(count)])


def test_an_implausible_group_is_named():
    groups = np.concatenate([np.zeros(150, np.int64), np.full(850, -1)])
    assert collapsed(groups, np.arange(1000)).startswith("one group holds 150 different images of 1,000;")
    assert not collapsed(np.concatenate([groups, np.full(2000, -1)]), np.arange(3000))


def test_copies_of_one_file_are_plausible():
    assert not collapsed(np.zeros(5000, np.int64), np.array([0]))
    assert not collapsed(np.concatenate([np.zeros(100, np.int64), [-1]]), np.arange(101))


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
