"""Scores of stacks of confusion matrices equal scikit-learn's of each, whatever classes lack."""

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

LABELS = st.integers(2, 5).flatmap(
    lambda classes: st.tuples(
        st.just(classes), st.lists(st.tuples(*[st.integers(0, classes - 1)] * 2), min_size=1, max_size=30)
    )
)


@settings(deadline=None, max_examples=100)
@given(LABELS)
def test_scores_are_those_of_scikit_learn(drawn):
    classes, pairs = drawn
    actual, predicted = np.array(pairs).T
    counts = scores.confusion_matrix(actual, predicted, classes)
    labels = list(range(classes))
    np.testing.assert_array_equal(counts, sk.confusion_matrix(actual, predicted, labels=labels))
    per_class = (scores.precision(counts), scores.recall(counts), scores.f1(counts))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # undefined scores
        function: Callable[..., Any] = sk.precision_recall_fscore_support
        theirs = function(actual, predicted, labels=labels, zero_division=np.nan)
        averages = {name: function(actual, predicted, average=name) for name in ("macro", "weighted")}
        balanced = sk.balanced_accuracy_score(actual, predicted)
    np.testing.assert_allclose(per_class, theirs[:3])
    np.testing.assert_array_equal(scores.support(counts), theirs[3])
    assert scores.accuracy(counts) == pytest.approx(sk.accuracy_score(actual, predicted))
    assert scores.balanced_accuracy(counts) == pytest.approx(balanced)
    for name, average in {"macro": scores.macro, "weighted": scores.weighted}.items():
        np.testing.assert_allclose([average(values, counts) for values in per_class], averages[name][:3])


def test_a_stack_of_matrices_gives_the_scores_of_each():
    stack = np.random.default_rng(0).integers(0, 4, (6, 3, 3))
    stack[2] = 0
    for function in (scores.accuracy, scores.balanced_accuracy, scores.macro_f1, scores.weighted_f1):
        together = function(stack)
        np.testing.assert_array_equal(together, [function(one) for one in stack])
        assert math.isnan(together[2]), "no faces, no score"


def test_scores_import_no_keras_and_no_pandas():
    """The gate scores predictions in a second: it imports these modules alone."""
    code = (
        "import sys, candid.evaluation.scores, candid.evaluation.bootstrap; "
        "print({name.split('.')[0] for name in sys.modules} & {'keras', 'tensorflow', 'pandas', 'scipy'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
