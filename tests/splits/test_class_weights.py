"""Class weights against scikit-learn and against their defining laws."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from candid.errors import CandidError
from candid.splits.class_weights import class_weights

COUNTS = st.lists(st.integers(1, 100_000), min_size=1, max_size=8).map(
    lambda counts: {f"class{i}": count for i, count in enumerate(counts)}
)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=300))
def test_balanced_is_scikit_learns(labels):
    classes, counts = np.unique(labels, return_counts=True)
    ours = class_weights(dict(zip(map(str, classes), counts.tolist(), strict=True)), "balanced", 0.9)
    theirs = compute_class_weight("balanced", classes=classes, y=np.array(labels))
    np.testing.assert_allclose(list(ours.values()), theirs, rtol=1e-11)


@settings(deadline=None, max_examples=60)
@given(COUNTS)
def test_sqrt_weighs_by_the_root_and_the_mean_training_face_by_one(counts):
    weights = class_weights(counts, "sqrt", 0.9)
    mean = sum(weights[name] * count for name, count in counts.items()) / sum(counts.values())
    assert math.isclose(mean, 1, rel_tol=1e-9)
    products = [weights[name] * math.sqrt(count) for name, count in counts.items()]
    np.testing.assert_allclose(products, products[0], rtol=1e-9)


@settings(deadline=None, max_examples=60)
@given(COUNTS, st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999, 0.9999]))
def test_effective_number_is_the_papers_equation(counts, beta):
    weights = class_weights(counts, "effective_number", beta)
    assert math.isclose(sum(weights.values()), len(counts), rel_tol=1e-9)
    # E_n = (1 - beta**n) / (1 - beta) = 1 + beta + ... + beta**(n - 1), here as the sum.
    effective = {
        name: np.sum(beta ** np.arange(min(count, 400_000), dtype=float)) for name, count in counts.items()
    }
    products = [weights[name] * effective[name] for name in counts]
    np.testing.assert_allclose(products, products[0], rtol=1e-7)


def test_effective_number_runs_from_equal_weights_to_inverse_counts():
    counts = {"happy": 8_000, "disgust": 500}
    assert class_weights(counts, "effective_number", 0) == {"happy": 1, "disgust": 1}
    near_one = class_weights(counts, "effective_number", 1 - 1e-12)
    assert math.isclose(near_one["disgust"] / near_one["happy"], 16, rel_tol=1e-6)


def test_none_weighs_all_alike():
    assert class_weights({"happy": 9, "sad": 1}, "none", 0.9) == {"happy": 1, "sad": 1}


@pytest.mark.parametrize("scheme", ["none", "balanced", "sqrt", "effective_number"])
def test_a_class_without_a_training_face_is_refused(scheme):
    with pytest.raises(CandidError, match=r"'sad' has no face in the train part"):
        class_weights({"happy": 9, "sad": 0}, scheme, 0.9)


SPLITS = """id,label,part,group
0,sad,train,0
1,happy,train,1
2,happy,train,2
3,happy,test,3
4,sad,validation,4
"""


def test_the_stage_counts_the_training_part_only(run_stage, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/splits.csv").write_text(SPLITS)
    (tmp_path / "params.yaml").write_text("class_weights: {scheme: balanced, beta: 0.999}\n")
    done = run_stage("stages.class_weights")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "data/class_weights.json").read_text()) == {"happy": 0.75, "sad": 1.5}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("{scheme: inverse, beta: 0.9}", ["class_weights.scheme", "'inverse'", "'sqrt'"]),
        ("{scheme: balanced, beta: 1.0}", ["class_weights.beta", "less than 1"]),
        ("{scheme: balanced, beta: 0.9, gamma: 1}", ["unknown key class_weights.gamma"]),
    ],
)
def test_wrong_settings_end_in_one_line(run_stage, tmp_path, section, words):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/splits.csv").write_text(SPLITS)
    (tmp_path / "params.yaml").write_text(f"class_weights: {section}\n")
    done = run_stage("stages.class_weights")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words), done.stderr
