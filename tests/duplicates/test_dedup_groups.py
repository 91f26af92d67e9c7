"""Groups are connected components; the guard stops a collapse and says why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candid.duplicates.groups import group_ids, guard
from candid.errors import CandidError

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


def test_no_images():
    empty = np.empty(0, np.int64)
    assert group_ids(empty, empty, 0).shape == (0,)


@pytest.mark.parametrize(("verified", "cause"), [(True, "min_similarity"), (False, "max_distance_bits")])
def test_guard_names_the_likely_cause(verified, cause):
    groups = np.concatenate([np.zeros(150, np.int64), np.full(850, -1)])
    with pytest.raises(CandidError, match=f"150 different pictures of 1000.*{cause}"):
        guard(groups, np.arange(1000), 0.05, verified)
    guard(groups, np.arange(1000), 0.2, verified)


def test_guard_lets_copies_of_one_file_pass():
    guard(np.zeros(5000, np.int64), np.array([0]), 0.05, True)
    guard(np.concatenate([np.zeros(100, np.int64), [-1]]), np.arange(101), 0.05, True)
