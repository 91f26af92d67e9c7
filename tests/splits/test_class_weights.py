"""Class weights by their defining laws."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candid.errors import CandidError
from candid.splits.class_weights import class_weights
from candid.splits.params import Scheme
from stages.class_weights import main
from tests.data.made import folder

LABELS = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=300)


@settings(deadline=None, max_examples=60)
@given(LABELS)
def test_each_scheme_weighs_by_its_power_of_the_count_and_the_mean_training_face_by_one(labels):
    classes, counts = np.unique(labels, return_counts=True)
    powers: dict[Scheme, float] = {"none": 0, "balanced": -1, "sqrt": -0.5}
    for scheme, power in powers.items():
        weights = class_weights(labels, classes.tolist(), scheme)
        assert np.mean([weights[label] for label in labels]) == pytest.approx(1, rel=1e-9)
        constant = np.array(list(weights.values())) / counts.astype(float) ** power
        np.testing.assert_allclose(constant, constant[0], rtol=1e-9)


@pytest.mark.parametrize("scheme", ["none", "balanced", "sqrt"])
def test_a_class_without_a_training_face_is_refused(scheme):
    with pytest.raises(CandidError, match=r"'sad' has no face in the train part"):
        class_weights(["happy"], ["happy", "sad"], scheme)


SPLITS = b"""id,label,part,group
0,sad,train,0
1,happy,train,1
2,happy,train,2
3,happy,test,3
4,sad,validation,4
"""


def test_the_stage_counts_the_training_set_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path, {"data/splits.csv": SPLITS, "params.yaml": b"class_weights: {scheme: balanced}\n"})
    main()
    assert json.loads((tmp_path / "data/class_weights.json").read_text()) == {"happy": 0.75, "sad": 1.5}
