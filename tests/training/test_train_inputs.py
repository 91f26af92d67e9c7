from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from candid.errors import CandidError
from candid.training.inputs import training_set

WEIGHTS = {"happy": 0.5, "sad": 2}


def splits(parts=("train", "test", "validation", "train"), labels=("sad", "happy", "happy", "happy")):
    return pd.DataFrame({"id": [4, 1, 3, 0], "label": labels, "part": parts, "group": [0, 1, 2, 3]})


def images(shape=(6, 4, 4)):
    return np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)


def test_training_faces_come_first_and_test_faces_not_at_all():
    data = training_set(images(), splits(), WEIGHTS)
    assert data.faces.shape == (3, 4, 4, 1)
    assert np.array_equal(data.faces[..., 0], images()[[4, 0, 3]])
    assert data.classes == ["happy", "sad"]
    assert data.labels.tolist() == [1, 0, 0]
    assert data.validation_labels.tolist() == [0]
    assert data.train == 2
    assert data.class_weights.tolist() == [0.5, 2.0]


def test_colour_faces_keep_their_channels():
    assert training_set(images((6, 4, 4, 3)), splits(), WEIGHTS).faces.shape == (3, 4, 4, 3)


@pytest.mark.parametrize(
    ("changes", "weights", "told"),
    [
        ({"parts": ("test", "test", "validation", "test")}, WEIGHTS, "no train faces"),
        ({"parts": ("train", "test", "test", "train")}, WEIGHTS, "no validation faces"),
        ({"labels": ("sad",) * 4}, WEIGHTS, "1 classes; expected at least 2"),
        ({}, {"happy": 1.0}, "no weight for class 'sad'"),
        ({}, {"happy": 1.0, "sad": -1}, "sad = -1: expected a number"),
        ({}, {"happy": 1.0, "sad": "1"}, "sad = '1': expected a number"),
        ({}, [1, 2], "expected one weight a class"),
    ],
)
def test_what_is_missing_is_told(changes, weights, told):
    with pytest.raises(CandidError, match=told):
        training_set(images(), splits(**changes), weights)


def test_an_id_beyond_the_array_is_told():
    with pytest.raises(CandidError, match=r"id 4, but data/faces\.npy has 2 faces"):
        training_set(images((2, 4, 4)), splits(), WEIGHTS)
