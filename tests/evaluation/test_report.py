"""evaluate: every number from the table alone, as scikit-learn has it; leaks and their price; examples."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from candid.errors import CandidError
from candid.evaluation import scores
from candid.evaluation.predictions import (
    Leaks,
    find_leaks,
    read_predictions,
    tabulate_test_set,
    with_predictions,
)
from candid.evaluation.report import evaluate, headline
from candid.files import write_csv

CLASSES = ("angry", "happy", "sad")


def predictions(
    actual: list[int], predicted: list[int], sure: float = 0.8, leaked: Any = (), copied: Any = ()
) -> pd.DataFrame:
    rows = np.arange(len(actual))
    probabilities = np.full((len(actual), 3), (1 - sure) / 2)
    probabilities[rows, predicted] = sure
    masks = {"leaked": np.isin(rows, leaked), "copied": np.isin(rows, copied), "validated": False}
    table = pd.DataFrame({"actual": np.array(CLASSES)[actual], "group": rows, **masks})
    return with_predictions(table, CLASSES, probabilities)


def report(*args: Any, **options: Any) -> dict[str, Any]:
    return evaluate(predictions(*args, **options), resamples=200)


def test_keys_are_those_that_the_design_fixes():
    result = report([0, 1, 2, 0, 1, 2], [0, 1, 1, 0, 2, 2])
    assert list(result) == [
        *("accuracy", "accuracy_low", "accuracy_high"),
        *("balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high", "log_loss", "ece"),
        *("leaky", "leaked_test_faces", "copied_test_faces", "validated_test_faces", "faces", "groups"),
        *("macro", "micro", "weighted", "per_class", "clean"),
    ]
    for average in ("macro", "micro", "weighted"):
        assert list(result[average]) == ["precision", "recall", "f1", "f1_low", "f1_high", "auc"]
    assert list(result["per_class"]) == list(CLASSES)
    assert list(result["per_class"]["happy"]) == ["precision", "recall", "f1", "support", "auc"]
    assert result["accuracy_low"] <= result["accuracy"] == 0.666667 <= result["accuracy_high"]
    assert list(headline(result))[:4] == ["accuracy", "accuracy_low", "accuracy_high", "macro_f1"]
    assert len(headline(result)) == 10
    json.dumps(result, allow_nan=False)


@st.composite
def drawn_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Few faces, few classes, coarse probabilities: gaps and ties are the rule."""
    classes, faces = draw(st.integers(2, 5)), draw(st.integers(1, 30))
    names = np.array([f"c{number}" for number in range(classes)])
    actual = names[draw(st.lists(st.integers(0, classes - 1), min_size=faces, max_size=faces))]
    row = st.lists(st.integers(0, 3), min_size=classes, max_size=classes).filter(any)
    weights = np.array(draw(st.lists(row, min_size=faces, max_size=faces)), float)
    shares = weights / weights.sum(axis=1, keepdims=True)
    return with_predictions(pd.DataFrame({"actual": actual}), names.tolist(), shares)


@settings(deadline=None, max_examples=30)
@given(drawn_tables())
def test_scores_are_those_of_scikit_learn(table):
    result = evaluate(table, resamples=100)
    names = [name for name in table if name.startswith("p_")]
    probabilities = table[names].to_numpy()
    actual, predicted = table["actual"], table["predicted"]
    near = 2e-6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sk.classification_report(actual, predicted, output_dict=True, zero_division=0)
        loss = sk.log_loss(actual, probabilities, labels=[name[2:] for name in names])
    assert (result["accuracy"], result["log_loss"]) == pytest.approx((theirs["accuracy"], loss), abs=near)
    for average in ("macro", "weighted"):
        expected = theirs[f"{average} avg"]
        for ours, name in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert result[average][ours] == pytest.approx(expected[name], abs=near)
    areas = []
    for column in names:
        truth, scored = actual == column[2:], result["per_class"][column[2:]]
        assert scored["support"] == truth.sum()
        if scored["support"]:
            assert scored["f1"] == pytest.approx(theirs[column[2:]]["f1-score"], abs=near)
        if truth.all() or not truth.any():
            assert "auc" not in scored
        else:
            areas.append(sk.roc_auc_score(truth, table[column]))
            assert scored["auc"] == pytest.approx(areas[-1], abs=near)
    assert result["macro"].get("auc", 9) == pytest.approx(np.mean(areas) if areas else 9, abs=near)


def test_every_number_comes_again_from_the_written_table_alone(tmp_path):
    generator = np.random.default_rng(0)
    raw = generator.dirichlet([0.05] * 3, 50)  # many probabilities below 1e-6
    masks = {name: generator.random(50) < 0.2 for name in Leaks._fields}
    test = pd.DataFrame({"id": range(50), "actual": np.array(CLASSES)[np.arange(50) % 3]})
    table = with_predictions(test.assign(group=np.arange(50) // 2, **masks), CLASSES, raw)
    write_csv(tmp_path / "predictions.csv", table)
    again = read_predictions(tmp_path / "predictions.csv")
    assert evaluate(again, 200, 3) == evaluate(table, 200, 3)
    probabilities = again[[f"p_{name}" for name in CLASSES]].astype(float).to_numpy()
    np.testing.assert_allclose(probabilities, raw, rtol=1e-5)


def test_what_nothing_is_known_about_is_left_out():
    result = report([0, 1, 0, 1], [0, 1, 1, 1])
    assert result["per_class"]["sad"] == {"support": 0}
    assert result["macro"]["recall"] == 0.75, "the mean is over the classes that occur"
    wrongly = report([0, 1, 0, 1], [0, 2, 1, 1])["per_class"]["sad"]
    assert wrongly == {"precision": 0.0, "f1": 0.0, "support": 0}
    one = report([1], [1])
    assert one["accuracy"] == 1
    assert not {"accuracy_low", "accuracy_high"} & set(one)
    assert "auc" not in one["macro"]
    assert not {"accuracy_low", "macro_auc"} & set(headline(one))


def test_clean_is_the_score_of_the_faces_without_a_related_image_in_training():
    faces = ([0, 1, 2, 0, 1, 2, 0, 1], [0, 1, 2, 1, 2, 2, 0, 0])
    whole = report(*faces)
    assert not whole["leaky"]
    assert whole["clean"]["accuracy"] == whole["accuracy"]
    assert whole["clean"]["faces"] == 8
    assert "without_copies" not in whole
    leaky = report(*faces, leaked=[0, 1, 2], copied=[0, 1, 2])
    assert leaky["leaky"] is True
    assert (leaky["leaked_test_faces"], leaky["clean"]["faces"]) == (3, 5)
    assert (leaky["accuracy"], leaky["clean"]["accuracy"]) == (0.625, 0.4)
    assert leaky["clean"]["accuracy_low"] <= 0.4 <= leaky["clean"]["accuracy_high"]
    assert "without_copies" not in leaky, "it would say the same"
    assert (headline(leaky)["leaked_share"], headline(leaky)["accuracy_unleaked"]) == (0.375, 0.4)
    related = report([0, 1, 2, 0], [0, 1, 2, 1], leaked=[0, 1], copied=[0])
    assert (related["leaked_test_faces"], related["copied_test_faces"]) == (2, 1)
    assert (related["clean"]["faces"], related["without_copies"]["faces"]) == (2, 3)
    assert report([0, 1], [0, 1], leaked=[0, 1])["clean"] == {"faces": 0}


def test_calibration_error_is_the_sum_that_its_paper_writes():
    generator = np.random.default_rng(0)
    confidence = np.r_[generator.uniform(0.5, 1, 200), 0.6, 0.8]  # on edges, too
    right = generator.random(202) < 0.7
    shares = np.where(right[:, None], [[1, 0]], [[0, 1]]) * (2 * confidence - 1)[:, None]
    shares += 1 - confidence[:, None]
    table = pd.DataFrame({"actual": "a", "p_a": shares[:, 0], "p_b": shares[:, 1]})
    expected = 0.0
    for low, high in zip(np.arange(15) / 15, np.arange(1, 16) / 15, strict=True):
        inside = (shares.max(axis=1) > low) & (shares.max(axis=1) <= high)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - shares.max(axis=1)[inside].mean())
    assert evaluate(table, 100)["ece"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pd.DataFrame({"actual": ["a"]}), "expected columns actual and p_<class>"),
        (pd.DataFrame({"actual": [], "p_a": []}), "at least one face"),
        (pd.DataFrame({"actual": ["b"], "p_a": [1.0]}), "class 'b' has no column"),
        (pd.DataFrame({"actual": ["a"], "p_a": ["x"]}), "expected probabilities"),
        (pd.DataFrame({"actual": ["a"], "p_a": [math.nan]}), "expected probabilities"),
        (pd.DataFrame({"actual": ["a"], "predicted": "b", "p_a": [0.6], "p_b": [0.4]}), "row 0 says 'b'"),
    ],
)
def test_what_is_no_table_of_predictions_is_refused(table, words):
    with pytest.raises(CandidError, match=words):
        evaluate(table)


def frame(**columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_leaks_are_found_by_copies_and_by_related_images():
    splits = frame(
        id=[9, 0, 1, 2, 3, 4, 5],
        part=["test", "train", "train", "validation", "test", "test", "test"],
        group=[9, 0, 1, 2, 0, 2, 5],
    )
    kept = frame(id=list(range(10)), group=[-1, 1, -1, -1, -1, 1, -1, 9, -1, 9])
    leaks = find_leaks(splits, kept)  # test faces 3, 4, 5, 9
    assert leaks.leaked.tolist() == [True, False, True, False]
    assert leaks.copied.tolist() == [False, False, True, False]
    assert leaks.validated.tolist() == [False, True, False, False]
    removed = find_leaks(frame(id=[1], part=["test"], group=[0]), frame(id=[0, 1], group=[0, 0]))
    assert not removed.leaked.any(), "its copy was removed from training"
    splits = frame(id=[0, 1, 2], part=["train", "test", "test"], group=[0, 1, 2])
    for ids in ([0, 1], [0, 1, 2, 2]):
        with pytest.raises(CandidError, match="face 2 is missing or there twice"):
            find_leaks(splits, frame(id=ids, group=[-1] * len(ids)))


def test_tables_that_do_not_belong_together_are_refused_and_formulas_defused():
    images = np.zeros((2, 8, 8), np.uint8)
    faces = frame(id=[0, 1], source=["", "=cmd()\r"], dataset=["", ""])
    splits = frame(id=[0, 1], label=["sad", "sad"], part=["train", "test"], group=[0, 1])
    kept = frame(id=[0, 1], group=[-1, -1])
    table = tabulate_test_set(splits, faces, kept, images)
    assert table["id"].tolist() == [1]
    assert table["source"].tolist() == ["'=cmd()\\r"]
    for changed, text in (
        ((splits.assign(part="train"), faces, kept, images), "no face in the test part"),
        ((splits, faces, kept, images[:1]), "2 rows; data/faces.npy holds 1"),
        ((splits.assign(id=[0, 5]), faces, kept, images), "id 5"),
        ((splits.assign(id=[1, 1]), faces, kept, images), "id 1"),
    ):
        with pytest.raises(CandidError, match=text):
            tabulate_test_set(*changed)


LABELS = st.integers(2, 5).flatmap(
    lambda classes: st.tuples(
        st.just(classes), st.lists(st.tuples(*[st.integers(0, classes - 1)] * 2), min_size=1, max_size=30)
    )
)


@settings(deadline=None, max_examples=50)
@given(LABELS)
def test_scores_of_a_matrix_are_those_of_scikit_learn(drawn):
    classes, pairs = drawn
    actual, predicted = np.array(pairs).T
    counts = scores.confusion_matrix(actual, predicted, classes)
    labels = list(range(classes))
    np.testing.assert_array_equal(counts, sk.confusion_matrix(actual, predicted, labels=labels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # undefined scores
        function: Callable[..., Any] = sk.precision_recall_fscore_support
        theirs = function(actual, predicted, labels=labels, zero_division=0)
        averages = {name: function(actual, predicted, average=name) for name in ("macro", "weighted")}
        balanced = sk.balanced_accuracy_score(actual, predicted)
    names = [*map(str, labels)]
    for kind, values in zip(("precision", "recall", "f1", "support"), theirs, strict=True):
        ours = [scores.named(counts, f"per_class.{name}.{kind}", names) for name in names]
        np.testing.assert_allclose(ours, np.where(theirs[3] > 0, values, np.nan))
    assert scores.named(counts, "accuracy") == pytest.approx(sk.accuracy_score(actual, predicted))
    assert scores.named(counts, "balanced_accuracy") == pytest.approx(balanced)
    for name, values in averages.items():
        ours = [scores.named(counts, f"{name}.{kind}") for kind in ("precision", "recall", "f1")]
        np.testing.assert_allclose(ours, values[:3])


def test_a_stack_of_matrices_gives_the_scores_of_each():
    stack = np.random.default_rng(0).integers(0, 4, (6, 3, 3))
    stack[2] = 0
    for metric in ("accuracy", "balanced_accuracy", "macro.f1", "weighted.f1"):
        together = scores.named(stack, metric)
        np.testing.assert_array_equal(together, [scores.named(one, metric) for one in stack])
        assert math.isnan(together[2]), "no faces, no score"
