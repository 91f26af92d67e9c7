"""The compiled step: loss, weights, mixing, batch norm; and what training reads."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from candid.errors import CandidError
from candid.training.batch_norm import Recompute, fused_batch_norm
from candid.training.data import training_set
from candid.training.learner import Learner, logits_of
from candid.training.nets import build_model
from tests.training import tiny_net

ROWS = np.arange(12, dtype=np.int32)


def learner_of(data: Any, *augment: Any, size: int = 12, **changes: Any) -> Learner:
    keras.utils.set_random_seed(0)
    return Learner(tiny_net.build(size=size), data, tiny_net.settings(*augment, **changes))


def outputs(data: Any, **changes: Any) -> tuple[dict[str, Any], float]:
    """What a learner without dropout gives in training, and the loss of it."""
    learner = learner_of(data, **changes)
    for layer in learner.logits.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    given = learner(ROWS, training=True)
    loss = float(learner.compute_loss(y_pred=given))
    return {name: np.asarray(value) for name, value in given.items()}, loss


@pytest.mark.parametrize(("smoothing", "soft"), [(0.0, False), (0.3, False), (0.0, True)])
def test_the_loss_is_the_smoothed_cross_entropy_of_keras_also_of_soft_targets(smoothing, soft):
    data = tiny_net.faces()
    targets = np.eye(3, dtype=np.float32)[data.labels[:12]]
    if soft:
        targets = np.tile(np.array([0.7, 0.2, 0.1], np.float32), (12, 1))
        data = replace(data, targets=np.tile(targets, (5, 1)))
    given, loss = outputs(data, label_smoothing=smoothing)
    keras_loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    assert loss == pytest.approx(float(keras_loss(targets, given["logits"])), rel=1e-5)


def test_class_weights_weigh_the_loss_of_their_class():
    data = replace(tiny_net.faces(), class_weights=np.array([3, 1, 0.5], np.float32))
    given, loss = outputs(data)
    crossed = -np.log(np.exp(given["logits"]) / np.exp(given["logits"]).sum(1, keepdims=True))
    labels = data.labels[:12]
    weighed = crossed[np.arange(12), labels] * data.class_weights[labels]
    assert loss == pytest.approx(weighed.mean(), rel=1e-4)


def test_mixup_mixes_faces_and_targets_alike_by_shares_of_the_beta_distribution():
    """Faces of one value a class: the mixed value shows the share."""
    data = tiny_net.faces(classes=3)
    data = replace(data, faces=np.repeat((data.labels * 100).astype(np.uint8), 144).reshape(-1, 12, 12, 1))
    learner = learner_of(data, mixup=0.4)
    faces, targets = map(np.asarray, learner._mix(data.faces[:12], learner.targets.numpy()[:12]))
    assert np.allclose(targets.sum(1), 1, atol=1e-5)
    assert np.abs(faces[:, 0, 0, 0] - targets @ [0, 100, 200]).max() <= 1
    assert (targets.max(1) < 0.999).any()
    assert learner.shares.mean() == pytest.approx(0.5, abs=1e-3)
    assert learner.shares.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.01)


def test_a_prediction_is_that_of_the_net_whatever_augmentation_is_set():
    data = tiny_net.faces(size=16)
    bright = {"flip": 1.0, "brightness": {"amount": 0.9, "probability": 1.0}}
    plain = learner_of(data, bright, size=16)
    expected = np.asarray(keras.ops.softmax(plain.logits(data.faces[ROWS], training=False)))
    assert np.allclose(plain(ROWS, training=False), expected, atol=1e-6)
    cropped = learner_of(data, {"crop": {"name": "ten", "size": 12}})
    expected = np.asarray(keras.ops.softmax(cropped.logits(data.faces[ROWS, 2:14, 2:14], training=False)))
    assert np.allclose(cropped(ROWS, training=False), expected, atol=1e-6)
    assert cropped(ROWS, training=True)["logits"].shape == (12, 3)


def test_a_net_without_a_softmax_of_its_own_is_refused():
    faces = keras.Input((4, 4, 1), dtype="uint8")
    dense = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(faces))
    with pytest.raises(TypeError, match="softmax"):
        logits_of(keras.Model(faces, dense))


@pytest.mark.parametrize(("count", "by_class"), [(64, False), (512, True)])
def test_recomputed_statistics_are_those_of_the_training_faces(count, by_class):
    """Against NumPy; 512 faces are two batches, whose means differ where they are sorted by class."""
    data = tiny_net.faces(train=count, validation=3)
    learner = learner_of(data)
    weights = [weight.numpy() for weight in learner.logits.trainable_weights]
    order = np.argsort(data.labels[:count], kind="stable") if by_class else np.arange(count)
    Recompute(learner).run(order.astype(np.int32))
    norm = learner.logits.get_layer("body_norm")
    before = np.asarray(keras.Model(learner.logits.input, norm.input)(data.faces[:count]), np.float64)
    assert np.allclose(norm.moving_mean.numpy(), before.mean((0, 1, 2)), atol=1e-5)
    assert np.allclose(norm.moving_variance.numpy(), before.var((0, 1, 2)), rtol=1e-3, atol=1e-5)
    for one, other in zip(weights, learner.logits.trainable_weights, strict=True):
        assert np.array_equal(one, other.numpy())
    assert norm.momentum == 0.99
    assert any(getattr(layer, "rate", 0) == 0.2 for layer in learner.logits.layers)


def test_frozen_batch_norm_keeps_its_statistics():
    learner = learner_of(tiny_net.faces())
    norm = learner.logits.get_layer("body_norm")
    norm.trainable = False
    Recompute(learner).run(np.arange(40, dtype=np.int32))
    assert not norm.moving_mean.numpy().any()


@pytest.mark.parametrize("frozen", [False, True])
def test_batch_norm_as_one_kernel_ends_where_that_of_keras_ends(frozen):
    faces = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 1), dtype=np.uint8)

    def trained(context: Any) -> tuple[Any, Any]:
        keras.utils.set_random_seed(0)
        net = build_model("plain_cnn", image_size=16, widths=[8, 12], depths=[2, 2], batch_norm_momentum=0.6)
        for layer in net.layers[:-3]:
            layer.trainable = not frozen
        with context(net):
            net.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
            for _ in range(3):
                net.train_on_batch(faces, np.arange(16) % 7)
            return net, net.predict_on_batch(faces)

    (plain, expected), (fused, given) = trained(lambda _: nullcontext()), trained(fused_batch_norm)
    np.testing.assert_allclose(given, expected, rtol=2e-3, atol=1e-5)
    for one, other in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-4)
    assert not any("call" in vars(layer) for layer in fused.layers)


WEIGHTS = {"happy": 0.5, "sad": 2}


def splits(parts=("train", "test", "validation", "train"), labels=("sad", "happy", "happy", "happy")):
    return pd.DataFrame({"id": [4, 1, 3, 0], "label": labels, "part": parts, "group": [0, 1, 2, 3]})


def images(*shape: int) -> Any:
    return np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)


def test_training_faces_come_first_and_test_faces_not_at_all():
    data = training_set(images(6, 4, 4), splits(), WEIGHTS)
    assert data.faces.shape == (3, 4, 4, 1)
    assert np.array_equal(data.faces[..., 0], images(6, 4, 4)[[4, 0, 3]])
    assert data.classes == ["happy", "sad"]
    assert data.labels.tolist() == [1, 0, 0]
    assert data.validation_labels.tolist() == [0]
    assert data.train == 2
    assert data.class_weights.tolist() == [0.5, 2.0]
    assert training_set(images(6, 4, 4, 3), splits(), WEIGHTS).faces.shape == (3, 4, 4, 3)


def test_votes_are_the_targets_of_training_faces():
    votes = pd.DataFrame(
        {"id": [0, 3, 4, 1], "happy": [6, 9, 4, 9], "sad": [4, 1, 4, 0], "fear": [0, 0, 2, 1]}
    )
    data = training_set(images(6, 4, 4), splits(), WEIGHTS, votes)
    expected = np.array([[0.5, 0.5], [0.6, 0.4], [1, 0]], np.float32)  # ids 4, 0; 3 validates
    np.testing.assert_array_equal(np.asarray(data.targets), expected)
    votes.loc[votes["id"] == 0, ["happy", "sad"]] = 1  # shared by no second rater
    with pytest.raises(CandidError, match=r"has none for face 0; expected labels, or a dataset with"):
        training_set(images(6, 4, 4), splits(), WEIGHTS, votes)


@pytest.mark.parametrize(
    ("changes", "count", "weights", "line"),
    [
        ({"parts": ("test", "test", "validation", "test")}, 6, WEIGHTS, "no train faces"),
        ({"parts": ("train", "test", "test", "train")}, 6, WEIGHTS, "no validation faces"),
        ({"labels": ("sad",) * 4}, 6, WEIGHTS, "1 classes; expected at least 2"),
        ({}, 6, {"happy": 1.0}, "sad = None: expected a number"),
    ],
)
def test_inputs_that_do_not_fit_end_in_one_line(changes, count, weights, line):
    with pytest.raises(CandidError, match=line):
        training_set(images(count, 4, 4), splits(**changes), weights)
