"""Intervals: resampled by group, the same on any machine, and as wide as theory says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from candid.evaluation import bootstrap
from candid.evaluation.predictions import Predictions


def intervals(actual, predicted, groups, classes, resamples, seed):
    """Of accuracy, balanced accuracy, macro and weighted F1."""
    predictions = Predictions([""] * classes, actual, np.eye(classes)[predicted], groups)
    drawn = bootstrap.draw(predictions, resamples, seed)
    return [drawn.interval(name) for name in ("accuracy", "balanced_accuracy", "macro.f1", "weighted.f1")]


def test_a_resample_takes_whole_groups_and_as_many_as_there_are():
    counts = bootstrap.counts_by_group(np.array([7, 3, 7, 7]), np.array([0, 1, 2, 0]), 3)
    np.testing.assert_array_equal(counts, [[0, 1, 0], [2, 0, 1]])
    counts = np.diag([1, 10, 100, 1000])
    drawn = bootstrap.resample(counts, 5000, seed=1)
    times = drawn / np.diag(counts)
    assert (times == times.round()).all()
    assert (times.sum(axis=1) == 4).all()
    assert len(np.unique(times, axis=0)) == math.comb(7, 4), "every multiset of four groups comes up"


def test_resamples_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    counts = np.random.default_rng(0).integers(0, 5, (37, 4))
    at_once = bootstrap.resample(counts, 101, seed=5)
    monkeypatch.setattr(bootstrap, "CELLS_AT_ONCE", 100)
    np.testing.assert_array_equal(bootstrap.resample(counts, 101, seed=5), at_once)
    assert (bootstrap.resample(counts, 101, seed=6) != at_once).any()
    # a fixed answer: a change of generator or order would silently change published intervals
    drawn = bootstrap.resample(np.eye(3, dtype=np.int64), 4, seed=0)
    np.testing.assert_array_equal(drawn, [[0, 2, 1], [3, 0, 0], [3, 0, 0], [0, 1, 2]])


def test_copies_do_not_narrow_the_interval():
    generator = np.random.default_rng(0)
    actual, predicted = generator.integers(0, 3, 300), generator.integers(0, 3, 300)
    groups = np.arange(300)
    once = intervals(actual, predicted, groups, 3, 500, 0)
    ten = intervals(np.tile(actual, 10), np.tile(predicted, 10), np.tile(groups, 10), 3, 500, 0)
    np.testing.assert_allclose(ten, once)


def coverage(parts, groups, each, truth, alike, resamples):
    """Of how many test parts the interval holds the truth, and of how many plain quantiles do.

    A part has groups of `each` faces, some of them harder than others: the less so, the larger `alike`.
    """
    generator = np.random.default_rng(0)
    held = plain = 0
    for seed in range(parts):
        chance = generator.beta(truth * alike, (1 - truth) * alike, groups) if alike else truth
        right = generator.binomial(each, chance, groups)
        drawn = bootstrap.resample(right[:, None], resamples, seed)[:, 0] / (groups * each)
        low, high = bootstrap.interval(drawn, right, each - right, proportion=True)
        held += low <= truth <= high
        low, high = np.quantile(drawn, [0.025, 0.975])
        plain += low <= truth <= high
    return held, plain


def test_few_groups_widen_the_interval_until_it_holds_what_it_promises():
    """1,000 test parts of 6 subjects with 16 faces each; the truth is 70 %."""
    held, plain = coverage(1000, 6, 16, 0.7, 9, 400)
    assert plain < 890
    assert 940 < held < 985
    assert bootstrap.tail(3589) == pytest.approx(0.025, rel=0.003), "with many groups nothing changes"


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_too_few_groups_leave_the_interval_unknown(groups):
    """Their resamples never leave the range of what was seen."""
    actual = np.tile([0, 1], 8)
    bounds = intervals(actual, np.zeros_like(actual), np.arange(16) % groups, 2, 100, 0)
    assert np.isnan(bounds).all()


@pytest.mark.parametrize("faces", [20, 50, 99, 300])
def test_one_mistake_more_never_makes_a_model_surer(faces):
    """Among single faces bounds fall with each mistake, and hold those of Clopper and Pearson."""
    actual = np.zeros(faces, np.int64)
    earlier = (1.0, 1.0)
    for wrong in range(11):
        predicted = (np.arange(faces) < wrong).astype(np.int64)
        low, high = intervals(actual, predicted, np.arange(faces), 2, 2000, 0)[0]
        exact = binomtest(faces - wrong, faces).proportion_ci(method="exact")
        assert low <= exact.low + 0.004, "the variance is that of resamples"
        assert high >= exact.high - 0.004
        assert wrong == 0 or low < earlier[0]
        assert high <= earlier[1]
        earlier = low, high


@pytest.mark.parametrize(("groups", "each", "truth", "alike"), [
    (99, 1, 0.97, None), (99, 1, 0.99, None), (12, 8, 0.95, 2.3), (60, 3, 0.98, 2.3),
])  # fmt: skip
def test_near_1_the_interval_holds_what_it_promises(groups, each, truth, alike):
    """500 test parts like those of CK+: single faces, or subjects."""
    held, plain = coverage(500, groups, each, truth, alike, 300)
    assert held >= 475
    assert plain < 475


def test_no_mistake_is_not_certainty():
    """Of 20 groups without a mistake: Clopper and Pearson's bound, as scipy has it."""
    actual = np.repeat([0, 1], 30)
    exact = binomtest(20, 20).proportion_ci(method="exact")
    for bounds in intervals(actual, actual, np.arange(60) // 3, 2, 200, 0):
        assert bounds == pytest.approx((exact.low, 1.0))
    low, high = intervals(actual, 1 - actual, np.arange(60) // 3, 2, 200, 0)[0]
    assert (low, high) == pytest.approx((0.0, 1 - exact.low))
