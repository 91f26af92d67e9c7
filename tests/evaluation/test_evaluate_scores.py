"""Scores equal scikit-learn's on any predictions: classes without faces, never predicted, ties, certainty."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from candid.evaluation import scores
from candid.evaluation.summary import Predictions, roc_areas

CASES = settings(deadline=None, max_examples=60)


@st.composite
def predictions(draw: st.DrawFn) -> Predictions:
    """Few faces, few classes, coarse probabilities: gaps and ties are the rule."""
    classes = draw(st.integers(2, 5))
    faces = draw(st.integers(1, 30))
    actual = draw(st.lists(st.integers(0, classes - 1), min_size=faces, max_size=faces))
    row = st.lists(st.integers(0, 3), min_size=classes, max_size=classes).filter(any)
    weights = np.array(draw(st.lists(row, min_size=faces, max_size=faces)), float)
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    return Predictions([f"c{n}" for n in range(classes)], np.array(actual), probabilities, np.arange(faces))


def quiet(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call scikit-learn without its warnings about undefined scores."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **options)


def matrix(found: Predictions) -> scores.Integers:
    return scores.confusion_matrix(found.actual, found.predicted, len(found.classes))


@CASES
@given(predictions())
def test_counts_and_accuracies(found):
    labels = range(len(found.classes))
    counts = matrix(found)
    np.testing.assert_array_equal(counts, sk.confusion_matrix(found.actual, found.predicted, labels=labels))
    assert scores.accuracy(counts) == pytest.approx(sk.accuracy_score(found.actual, found.predicted))
    expected = quiet(sk.balanced_accuracy_score, found.actual, found.predicted)
    assert scores.balanced_accuracy(counts) == pytest.approx(expected)


@CASES
@given(predictions())
def test_precision_recall_and_f1_of_each_class(found):
    counts = matrix(found)
    ours = (scores.precision(counts), scores.recall(counts), scores.f1(counts))
    labels = range(len(found.classes))
    for zero in (0.0, np.nan):  # 0 / 0 is NaN here, and counts as 0 in the averages
        theirs = quiet(
            sk.precision_recall_fscore_support,
            found.actual,
            found.predicted,
            labels=labels,
            zero_division=zero,
        )
        for our, their in zip(ours, theirs, strict=False):
            np.testing.assert_allclose(np.nan_to_num(our), np.nan_to_num(their))


@CASES
@given(predictions())
def test_averages_are_those_of_scikit_learn_at_its_defaults(found):
    counts = matrix(found)
    per_class = (scores.precision(counts), scores.recall(counts), scores.f1(counts))
    functions: dict[str, Callable[..., Any]] = {"macro": scores.macro, "weighted": scores.weighted}
    for name, average in functions.items():
        theirs = quiet(sk.precision_recall_fscore_support, found.actual, found.predicted, average=name)
        np.testing.assert_allclose([average(values, counts) for values in per_class], theirs[:3])
    micro = quiet(sk.precision_recall_fscore_support, found.actual, found.predicted, average="micro")
    np.testing.assert_allclose([scores.accuracy(counts)] * 3, micro[:3])


@CASES
@given(predictions())
def test_areas_under_roc_curves(found):
    areas = roc_areas(found)
    truth = np.eye(len(found.classes), dtype=bool)[found.actual]
    defined = []
    for number, area in enumerate(areas.per_class):
        if truth[:, number].all() or not truth[:, number].any():
            assert math.isnan(area)
            continue
        expected = sk.roc_auc_score(truth[:, number], found.probabilities[:, number])
        assert area == pytest.approx(expected)
        defined.append(number)
    assert areas.micro == pytest.approx(sk.roc_auc_score(truth.ravel(), found.probabilities.ravel()))
    if len(defined) == len(found.classes) > 2:
        for name, ours in (("macro", areas.macro), ("weighted", areas.weighted)):
            theirs = sk.roc_auc_score(found.actual, found.probabilities, multi_class="ovr", average=name)
            assert ours == pytest.approx(theirs)
    if defined:
        assert areas.macro == pytest.approx(np.mean([areas.per_class[number] for number in defined]))


@CASES
@given(predictions())
def test_roc_curves(found):
    positive, score = found.actual == 0, found.probabilities[:, 0]
    curve = scores.roc_curve(positive, score)
    if positive.all() or not positive.any():
        assert curve is None
        return
    assert curve is not None
    false, true, _ = sk.roc_curve(positive, score, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive_rate, false)
    np.testing.assert_allclose(curve.true_positive_rate, true)


@CASES
@given(predictions())
def test_log_loss_with_certain_and_wrong_predictions(found):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 1/3 + 2/3 is not always 1
        expected = sk.log_loss(found.actual, found.probabilities, labels=range(len(found.classes)))
    assert scores.log_loss(found.actual, found.probabilities) == pytest.approx(expected)


@CASES
@given(predictions(), st.integers(1, 20))
def test_calibration_error_is_the_sum_that_its_paper_writes(found, bins):
    correct, confidence = found.predicted == found.actual, found.confidence
    expected = 0.0
    for number in range(bins):
        low, high = np.linspace(0, 1, bins + 1)[number : number + 2]
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            expected += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    assert scores.calibration(correct, confidence, bins).error == pytest.approx(expected)


def test_a_stack_of_matrices_gives_the_scores_of_each():
    stack = np.random.default_rng(0).integers(0, 4, (6, 3, 3))
    stack[2] = 0
    for function in (scores.accuracy, scores.balanced_accuracy, scores.macro_f1, scores.weighted_f1):
        together = function(stack)
        np.testing.assert_array_equal(together, [function(one) for one in stack])
        assert math.isnan(together[2]), "no faces, no score"


def test_scores_import_no_keras_and_no_pandas():
    """The gate scores predictions in a second: it imports this module alone."""
    code = (
        "import sys, candid.evaluation.scores, candid.evaluation.bootstrap; "
        "print({name.split('.')[0] for name in sys.modules} & {'keras', 'tensorflow', 'pandas', 'scipy'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
