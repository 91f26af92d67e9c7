"""The flagship's measuring program on made predictions."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from benchmarks import copies_worth
from candid.data.fer2013 import VOTES
from candid.evaluation.predictions import read_predictions
from candid.files import write_csv

FACES = 200
COPIED = np.arange(FACES) < 80


def predictions(path, right):
    """Write a table of predictions of two classes, right where `right` says."""
    actual = np.where(np.arange(FACES) % 2, "happy", "sad")
    other = np.where(actual == "happy", "sad", "happy")
    table = {
        "source": [f"test/{number}.png" for number in range(FACES)],
        "digest": [f"{number:04d}" for number in range(FACES)],
        "group": np.arange(FACES) // 2,
        "leaked": COPIED,
        "copied": COPIED,
        "validated": False,
        "actual": actual,
        "predicted": np.where(right, actual, other),
    }
    write_csv(path, pd.DataFrame(table).sample(frac=1, random_state=len(str(path))))
    return str(path)


@pytest.fixture
def arms(tmp_path):
    """A knows the copies by heart; B is right on three faces of four everywhere, and has two seeds."""
    base = np.arange(FACES) % 4 > 0
    b = [predictions(tmp_path / f"b{seed}.csv", np.roll(base, seed)) for seed in range(2)]
    return {"A": predictions(tmp_path / "a.csv", base | COPIED), "B": ",".join(b)}


def test_each_set_of_faces_is_scored_and_differences_are_paired(arms):
    results = copies_worth.measure(arms)
    assert results["faces"] == {"all": 200, "copied": 80, "unique": 120}
    a, b = results["arms"]["A"], results["arms"]["B"]
    assert (a["copied"]["accuracy"], a["unique"]["accuracy"], b["all"]["accuracy"]) == (1, 0.75, 0.75)
    assert b["copied"]["difference"] == -0.25
    assert b["copied"]["difference_low"] <= -0.25 <= b["copied"]["difference_high"] < 0
    assert b["unique"]["difference_low"] <= 0 <= b["unique"]["difference_high"]
    assert b["seeds"] == 2


def test_labels_are_held_against_the_votes(arms, tmp_path):
    header = ",".join(("file", "fer2013_row", *VOTES))
    own = {"happy": [0, 8, 0, 2, 0, 0, 0, 0, 0, 0], "sad": [0, 6, 0, 4, 0, 0, 0, 0, 0, 0]}
    rows = [",".join(map(str, (f"{n}.png", n, *own["happy" if n % 2 else "sad"]))) for n in range(FACES)]
    path = tmp_path / "votes.csv.gz"
    path.write_bytes(gzip.compress("\n".join([header, *rows]).encode()))
    votes = copies_worth.agreement(arms, path)
    assert (votes["rated"], votes["first_choice"], votes["random_rater"]) == (FACES, 0.5, pytest.approx(0.6))
    assert votes["by_agreement"]["6 or 7"]["label_is_first_choice"] == 0
    assert votes["by_agreement"]["8 or 9"]["A"] == 1


def test_other_faces_are_refused(tmp_path):
    one, other = (predictions(tmp_path / f"{name}.csv", COPIED) for name in "ab")
    write_csv(other, read_predictions(other).assign(digest="x"))
    with pytest.raises(SystemExit, match="expected predictions for the same faces"):
        copies_worth.right_share(f"{one},{other}")
