"""What the gate's numbers mean: against exact tests, against scikit-learn, and by simulation."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score

from candid.errors import CandidError
from candid.evaluation.scores import Integers
from candid.gate.statistics import Pairs, bootstrap, changes, compare_pairs, group_kinds, permutations

compare = partial(compare_pairs, resamples=1000)


def pairs(actual: Integers, before: Integers, after: Integers, groups: Integers | None = None) -> Pairs:
    classes = tuple("abcd"[: 1 + int(max(actual.max(), before.max(), after.max(), 1))])
    return Pairs(classes, actual, before, after, np.arange(len(actual)) if groups is None else groups, 1.0)


def drawn(
    generator: np.random.Generator, n: int, differ: float, drop: float, groups: Integers | None = None
) -> Pairs:
    """Two models, right on 70 %, that differ in correctness on a share of the faces."""
    chance = generator.random(n) if groups is None else generator.random(int(groups.max()) + 1)[groups]
    lost, gained = chance < (differ + drop) / 2, chance > 1 - (differ - drop) / 2
    actual = generator.choice(4, n, p=[0.1, 0.2, 0.3, 0.4])
    wrong = (actual + generator.integers(1, 4, n)) % 4
    agreed = np.where(generator.random(n) < 0.7, actual, wrong)
    before = np.where(lost, actual, np.where(gained, wrong, agreed))
    after = np.where(gained, actual, np.where(lost, wrong, agreed))
    return pairs(actual, before, after, groups)


labels = st.lists(st.tuples(*[st.integers(0, 3)] * 3, st.integers(0, 5)), min_size=1, max_size=40)


@given(labels)
@settings(deadline=None, max_examples=60)
def test_kinds_hold_every_face_and_group_once_and_changes_are_those_of_scikit_learn(rows):
    actual, before, after, groups = np.array(rows, np.int64).T
    kinds = group_kinds(pairs(actual, before, after, np.unique(groups, return_inverse=True)[1]))
    assert kinds.times.sum() == len(set(groups))
    assert kinds.total[0].sum() == kinds.total[1].sum() == len(rows)
    assert 1 <= kinds.effective_groups <= len(set(groups)) + 1e-9
    observed = changes(kinds.total)
    assert observed[0] == pytest.approx(accuracy_score(actual, after) - accuracy_score(actual, before))
    expected = f1_score(actual, after, average="macro") - f1_score(actual, before, average="macro")
    assert observed[1] == pytest.approx(expected)


def test_exchanging_is_mcnemar_s_test_for_accuracy():
    generator = np.random.default_rng(0)
    kinds = group_kinds(drawn(generator, 300, differ=0.1, drop=0.05))
    observed = changes(kinds.total)[0]
    by_chance = permutations(kinds, 20_000, generator)[:, 0]
    differing = np.abs(kinds.times @ (kinds.counts[:, 1] - kinds.counts[:, 0]).trace(axis1=1, axis2=2))
    alone = kinds.times[np.ptp(kinds.counts.trace(axis1=2, axis2=3), axis=1) > 0].sum()
    exact = binomtest(int((alone - differing) // 2), int(alone), alternative="less").pvalue
    assert (by_chance <= observed + 1e-12).mean() == pytest.approx(exact, abs=0.01)


def test_resampling_by_group_sees_that_grouped_faces_tell_less():
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 6)
    grouped = drawn(generator, 600, 0.2, 0.0, groups)
    alone = Pairs(grouped.classes, grouped.actual, grouped.before, grouped.after, np.arange(600), 1.0)
    wide = bootstrap(group_kinds(grouped), 2000, generator)[:, 0].std()
    narrow = bootstrap(group_kinds(alone), 2000, generator)[:, 0].std()
    assert wide > 2 * narrow  # the square root of six, where a group's faces change together


def test_the_same_seed_gives_the_same_answer_whatever_the_order_of_the_faces():
    result = drawn(np.random.default_rng(0), 200, 0.1, 0.02, np.arange(200) // 2)
    order = np.random.default_rng(1).permutation(200)
    groups = np.unique(result.groups[order], return_inverse=True)[1]
    shuffled = Pairs(result.classes, result.actual[order], result.before[order], result.after[order], groups)
    assert compare(result) == compare(result)
    first, second = ([check.change for check in compare(each).headline] for each in (result, shuffled))
    assert first == second


def test_equal_models_pass_at_any_size_and_four_lost_faces_of_99_could_be_chance():
    """The plain interval would call it a regression; exactly, one such reseed in sixteen is harmless."""
    for n in (5, 10, 99):
        actual = np.arange(n) % 2
        equal = compare(pairs(actual, actual, actual))
        assert not equal.failed
        assert equal.headline[0].upper95 > 0
    actual = np.arange(99) % 4
    after = np.where(np.arange(99) < 4, (actual + 1) % 4, actual)
    assert not compare(pairs(actual, actual, after)).failed
    assert compare(pairs(actual, actual, np.where(np.arange(99) < 9, (actual + 1) % 4, actual))).failed


def test_a_class_too_small_to_judge_cannot_fail():
    """Three of three faces lost is no proof (one in eight by chance); twenty of twenty is."""
    generator = np.random.default_rng(0)
    for size, fails in ((3, False), (20, True)):
        rare = np.r_[np.zeros(size, np.int64), generator.integers(1, 4, 2000)]
        after = np.where(rare == 0, 1, rare)
        result = compare(pairs(rare, rare, after))
        assert result.classes[0].f1.failed is fails
        assert result.classes[0].lost == size


def test_too_few_groups_are_refused_not_passed():
    actual = np.arange(100) % 4
    lopsided = np.maximum(np.arange(100) - 95, 0)  # 96 faces in one group, four alone
    for groups, words in ((np.arange(100) % 4, r"4 independent groups"), (lopsided, r"worth 1\.1 groups")):
        with pytest.raises(CandidError, match=words):
            compare(pairs(actual, actual, (actual + 1) % 4, groups))


@pytest.mark.parametrize(
    ("groups", "headline", "classes"), [(5, True, False), (6, True, False), (7, True, True)]
)
def test_with_few_groups_what_can_fail_does_and_what_cannot_is_known(groups, headline, classes):
    """Exchanging G groups has 2^G outcomes: a collapse of every face has p = 2^-G, and none can be less."""
    actual = np.arange(400) % 4
    group = np.arange(400) // 4 % groups
    result = compare_pairs(pairs(actual, actual, (actual + 1) % 4, group))
    assert [check.failed for check in result.headline] == [headline] * 2
    assert [change.f1.failed for change in result.classes] == [classes] * 4
    assert [change.f1.detectable is None for change in result.classes] == [not classes] * 4
    assert all(check.p_value >= 0.8 * 2.0**-groups for check in result.checks)
    assert all(change.f1.mark == ("regression" if classes else "too few faces") for change in result.classes)


def test_no_drop_is_called_detectable_that_the_permutation_test_cannot_prove():
    """Of 4 % five groups must change for the worse at the least, so of 40 faces an eighth."""
    actual = np.arange(40) % 4
    result = compare(pairs(actual, actual, actual))
    assert all(check.detectable is not None and check.detectable >= 5 / 40 for check in result.headline)
    lost = np.where(np.arange(40) < 4, (actual + 1) % 4, actual)
    assert not compare(pairs(actual, actual, lost)).failed


@pytest.mark.parametrize("grouped", [False, True])
def test_false_alarms_and_catches_at_the_size_of_a_test_part(grouped):
    """A small run of the simulation whose figures are in docs/gate.md."""
    generator = np.random.default_rng(5)
    groups = np.arange(1200) // 3 if grouped else None
    failed = [bool(compare(drawn(generator, 1200, 0.1, 0.0, groups)).failed) for _ in range(60)]
    caught = [bool(compare(drawn(generator, 1200, 0.1, 0.06, groups)).failed) for _ in range(20)]
    assert sum(failed) <= 5  # at most 5 % are expected, and the margin makes them fewer
    assert sum(caught) >= 19 if not grouped else sum(caught) >= 10
