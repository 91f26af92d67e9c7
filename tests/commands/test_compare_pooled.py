"""Intervals of scores that no resample varies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from candid.compare.pooled import RESAMPLES, Drawn


def drawn(groups: list[list[list[int]]]) -> Drawn:
    """Every resample as the whole: two classes, `groups` matrices of actual by predicted."""
    counts = np.array(groups, np.int64)
    return Drawn(["happy", "sad"], np.repeat(counts.sum(axis=0)[None], RESAMPLES, axis=0), counts)


def exact(groups: int) -> float:
    return float(binomtest(groups, groups).proportion_ci(method="exact").low)


def test_a_score_of_a_class_is_bounded_by_the_groups_that_have_the_class():
    happy, sad, taken_for_happy = [[3, 0], [0, 0]], [[0, 0], [0, 2]], [[0, 0], [1, 0]]
    found = drawn([happy] * 4 + [sad] * 2 + [taken_for_happy] * 6)
    assert found.bounds("per_class.happy.recall") == pytest.approx((exact(4), 1))
    assert found.bounds("per_class.sad.precision") == pytest.approx((exact(2), 1))


def test_a_class_that_is_never_named_has_a_recall_near_0_and_a_precision_that_nobody_knows():
    found = drawn([[[0, 0], [2, 0]]] * 9)
    assert found.bounds("accuracy") == pytest.approx((0, 1 - exact(9)))
    assert found.bounds("per_class.sad.recall") == pytest.approx((0, 1 - exact(9)))
    assert found.bounds("per_class.sad.precision") is None
