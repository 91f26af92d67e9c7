"""metrics/report.json and plots/predictions.csv: the keys, what is left out, and the price of a leak."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from candid.errors import CandidError
from candid.evaluation import table
from candid.evaluation.leaks import Leaks, find_leaks
from candid.evaluation.summary import Predictions, summarise

CLASSES = ("angry", "happy", "sad")


def predictions(actual: list[int], predicted: list[int], sure: float = 0.8) -> Predictions:
    probabilities = np.full((len(actual), 3), (1 - sure) / 2)
    probabilities[np.arange(len(actual)), predicted] = sure
    return Predictions(CLASSES, np.array(actual), probabilities, np.arange(len(actual)))


def summary(
    found: Predictions, leaked: list[int] | None = None, copied: list[int] | None = None
) -> dict[str, Any]:
    first, second = (np.isin(np.arange(len(found.actual)), chosen or []) for chosen in (leaked, copied))
    return summarise(found, Leaks(first, second, first & False), resamples=200, seed=0)


def test_keys_are_those_that_the_design_fixes():
    result = summary(predictions([0, 1, 2, 0, 1, 2], [0, 1, 1, 0, 2, 2]))
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
    json.dumps(result, allow_nan=False)


def test_a_class_never_predicted_scores_nothing_as_in_scikit_learn():
    happy = summary(predictions([0, 1, 2, 0], [0, 0, 2, 0]))["per_class"]["happy"]
    assert (happy["precision"], happy["recall"], happy["f1"], happy["support"]) == (0, 0, 0, 1)


def test_what_nothing_is_known_about_is_left_out():
    result = summary(predictions([0, 1, 0, 1], [0, 1, 1, 1]))
    assert result["per_class"]["sad"] == {"support": 0}
    assert result["macro"]["recall"] == 0.75, "the mean is over the classes that occur"
    wrongly = summary(predictions([0, 1, 0, 1], [0, 2, 1, 1]))["per_class"]["sad"]
    assert wrongly == {"precision": 0.0, "f1": 0.0, "support": 0}


def test_one_class_or_one_face_gives_no_curve_and_no_interval():
    result = summary(predictions([1], [1]))
    assert result["accuracy"] == 1
    assert not {"accuracy_low", "accuracy_high"} & set(result)
    assert "auc" not in result["macro"]
    assert "auc" not in result["per_class"]["happy"]
    json.dumps(result, allow_nan=False)


def test_clean_stands_on_the_faces_without_relative_in_train():
    found = predictions([0, 1, 2, 0, 1, 2, 0, 1], [0, 1, 2, 1, 2, 2, 0, 0])
    whole = summary(found)
    assert not whole["leaky"]
    assert whole["clean"]["accuracy"] == whole["accuracy"]
    assert whole["clean"]["faces"] == 8
    assert "without_copies" not in whole
    leaky = summary(found, leaked=[0, 1, 2], copied=[0, 1, 2])
    assert leaky["leaky"] is True
    assert (leaky["leaked_test_faces"], leaky["clean"]["faces"]) == (3, 5)
    assert (leaky["accuracy"], leaky["clean"]["accuracy"]) == (0.625, 0.4)
    assert leaky["clean"]["accuracy_low"] <= 0.4 <= leaky["clean"]["accuracy_high"]
    assert "without_copies" not in leaky, "it would say the same"


def test_relatives_that_are_no_copies_are_told_apart():
    result = summary(predictions([0, 1, 2, 0], [0, 1, 2, 1]), leaked=[0, 1], copied=[0])
    assert (result["leaked_test_faces"], result["copied_test_faces"]) == (2, 1)
    assert (result["clean"]["faces"], result["without_copies"]["faces"]) == (2, 3)
    assert summary(predictions([0, 1], [0, 1]), leaked=[0, 1])["clean"] == {"faces": 0}


def frame(**columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_leaks_are_found_by_copies_and_by_honest_groups():
    splits = frame(
        id=[9, 0, 1, 2, 3, 4, 5],
        part=["test", "train", "train", "validation", "test", "test", "test"],
        group=[9, 0, 1, 2, 0, 2, 5],
    )
    kept = frame(id=list(range(10)), group=[-1, 1, -1, -1, -1, 1, -1, 9, -1, 9])
    leaks = find_leaks(splits, kept)  # test faces 3, 4, 5, 9
    assert leaks.leaked.tolist() == [True, False, True, False]
    assert leaks.copied.tolist() == [False, False, True, False]


def test_copies_that_were_removed_from_train_are_no_leak():
    kept = frame(id=[0, 1], group=[0, 0])
    assert not find_leaks(frame(id=[1], part=["test"], group=[0]), kept).leaked.any()


@pytest.mark.parametrize("ids", [[0, 1], [0, 1, 2, 2]], ids=["missing", "twice"])
def test_a_face_without_its_one_row_of_duplicates_is_refused(ids):
    splits = frame(id=[0, 1, 2], part=["train", "test", "test"], group=[0, 1, 2])
    with pytest.raises(CandidError, match="face 2 is missing or there twice"):
        find_leaks(splits, frame(id=ids, group=[-1] * len(ids)))


def test_the_table_gives_back_the_metrics():
    """Every number in metrics/report.json can be made again from plots/predictions.csv."""
    generator = np.random.default_rng(0)
    raw = generator.dirichlet([0.05] * 3, 50)  # many probabilities below 1e-6
    test = frame(id=list(range(50)), actual=[CLASSES[n % 3] for n in range(50)], group=list(range(50)))
    found = table.as_predictions(test, CLASSES, raw)
    written = table.predictions_table(test, found)
    again = written[[f"p_{name}" for name in CLASSES]].astype(float).to_numpy()
    np.testing.assert_array_equal(again, found.probabilities)
    np.testing.assert_allclose(again, raw, rtol=1e-5)
    assert written["predicted"].tolist() == [CLASSES[n] for n in again.argmax(axis=1)]


def test_tables_that_do_not_belong_together_are_refused():
    images = np.zeros((2, 8, 8), np.uint8)
    faces = frame(id=[0, 1], source=["", ""], dataset=["", ""])
    splits = frame(id=[0, 1], label=["sad", "sad"], part=["train", "test"], group=[0, 1])
    assert table.test_faces(splits, faces, images)["id"].tolist() == [1]
    for changed, text in (
        ((splits.assign(part="train"), faces, images), "no face in the test part"),
        ((splits, faces, images[:1]), "2 rows; data/faces.npy holds 1"),
        ((splits.assign(id=[0, 5]), faces, images), "id 5"),
        ((splits.assign(id=[1, 1]), faces, images), "id 1"),
    ):
        with pytest.raises(CandidError, match=text):
            table.test_faces(*changed)
