"""Training as a user sees it: what the epochs do, which one is saved, and how a run that can't go on ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import log_loss
from sklearn.svm import LinearSVC

from candid.errors import CandidError
from candid.training.data import derive, epoch_order
from candid.training.fit import COLUMNS, best_epoch, build_optimizer, phase_of, train_svm, validation_scores
from candid.training.learner import seed_epoch
from candid.training.nets import build_model
from tests.training import tiny_net
from tests.training.tiny_net import fit

THAW = {"epochs": 1, "thaw_learning_rate": 50.0}
"""A rate so absurd that the epoch before is the best."""
NESTEROV = {"name": "sgd", "momentum": 0.5, "nesterov": True}


def validated(net: Any) -> tuple[float, float]:
    """Accuracy and cross-entropy of the validation faces, by NumPy."""
    data = tiny_net.faces()
    given = np.asarray(net(data.faces[data.train :]))
    right = given.argmax(1) == data.validation_labels
    return right.mean(), -np.log(given[np.arange(20), data.validation_labels]).mean()


def test_training_learns_tells_of_each_epoch_and_keeps_the_best(tmp_path):
    lines: list[str] = []
    net, history = fit(tmp_path, tiny_net.settings(epochs=8, learning_rate=0.03), lines=lines)
    assert list(history) == list(COLUMNS)
    assert history["epoch"].tolist() == list(range(1, 9))
    assert set(history["learning_rate"]) == {0.03}
    assert history["val_accuracy"].max() >= 0.9
    assert len(lines) == 8
    assert "faces/s" in lines[0]
    assert validated(net)[0] == history["val_accuracy"].max()


def test_the_saved_epoch_follows_the_monitor(tmp_path):
    freeze = {**THAW, "epochs": 2}
    net, history = fit(tmp_path, tiny_net.settings(freeze=freeze, monitor="val_loss"))
    assert validated(net)[1] == pytest.approx(history["val_loss"].min(), rel=1e-3)
    best = history["val_loss"].argmin() + 1
    assert best < 3
    rows: list[Any] = history.to_dict("records")
    assert best_epoch(rows, "val_loss") == best
    assert best_epoch([{**row, "val_accuracy": 0.5} for row in rows], "val_accuracy") == 1


@pytest.mark.parametrize(("thaw", "moves"), [(50.0, False), (0.01, True)])
def test_a_frozen_body_stays_and_a_thawed_one_moves(tmp_path, thaw, moves):
    """The net that is left is the best epoch's: the first, where the second has an absurd rate."""
    start: dict[str, Any] = {}

    def build():
        net = tiny_net.build()
        start.update({weight.path: weight.numpy() for weight in net.trainable_weights})
        return net

    freeze = {"epochs": 1, "thaw_learning_rate": thaw}
    net, history = fit(tmp_path, tiny_net.settings(epochs=2, freeze=freeze, monitor="val_loss"), make=build)
    assert history["learning_rate"].tolist() == [0.01, thaw]
    assert history["val_loss"].idxmin() == int(moves)
    for weight in net.trainable_weights:
        assert np.array_equal(start[weight.path], weight.numpy()) == ("body" in weight.path and not moves)


def test_averaging_validates_and_keeps_smoother_weights(tmp_path):
    sgd = {"name": "sgd", "momentum": 0.0}
    plain: dict[str, Any] = {"epochs": 1, "learning_rate": 0.05, "optimizer": sgd}
    keras.utils.set_random_seed(0)
    start = tiny_net.build().get_layer("body").kernel.numpy()
    moved = {}
    for averaging in (0.0, 0.9):
        net, _ = fit(tmp_path / str(averaging), tiny_net.settings(averaging=averaging, **plain))
        moved[averaging] = np.abs(net.get_layer("body").kernel.numpy() - start).sum()
    assert 0 < moved[0.9] < moved[0.0]


def test_mixed_precision_saves_a_net_in_float32(tmp_path):
    net, history = fit(tmp_path, tiny_net.settings(precision="mixed_bfloat16", epochs=2))
    assert {layer.dtype_policy.name for layer in net.layers} <= {"float32", "uint8"}
    assert abs(validated(net)[0] - history["val_accuracy"].max()) <= 0.1
    assert keras.config.dtype_policy().name == "float32"


def test_steps_a_call_do_not_change_the_result(tmp_path):
    one, more = (fit(tmp_path / str(n), tiny_net.settings(steps_per_execution=n))[0] for n in (1, 2))
    for a, b in zip(one.get_weights(), more.get_weights(), strict=True):
        assert np.allclose(a, b, atol=1e-5)


def test_a_rate_that_is_too_high_stops_with_one_line(tmp_path):
    absurd = tiny_net.settings(learning_rate=100.0, optimizer="sgd", epochs=30)
    with pytest.raises(CandidError, match=r"epoch \d+: the loss is not a number: train.learning_rate = 100"):
        fit(tmp_path, absurd)


def test_memory_that_runs_out_is_one_line_and_other_faults_are_not_hidden(tmp_path):
    full = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[64,512]")
    with pytest.raises(CandidError, match=r"out of memory with train\.batch_size = 16: try half"):
        fit(tmp_path, tiny_net.settings(), make=Mock(side_effect=full))
    with pytest.raises(ZeroDivisionError):
        fit(tmp_path, tiny_net.settings(), make=Mock(side_effect=ZeroDivisionError))


def test_cosine_rises_to_the_rate_and_falls_to_the_least():
    """Six steps up to 0.1, then down to 0.001 over the other fourteen."""
    schedule = {"name": "cosine", "warmup_epochs": 3, "min_lr": 0.001}
    section = tiny_net.settings(epochs=10, schedule=schedule, learning_rate=0.1)
    optimizer = build_optimizer(section, phase_of(0, section), 2)
    rates = []
    for step in range(21):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert rates[:6] == pytest.approx([0.1 * step / 6 for step in range(1, 7)])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[20] == pytest.approx(0.001)
    halfway = (rates[12] + rates[13]) / 2
    assert halfway == pytest.approx((0.1 + 0.001) / 2)


@pytest.mark.parametrize(
    ("changes", "theirs"),
    [
        ({"optimizer": "sgd"}, keras.optimizers.SGD(0.1, momentum=0.9)),
        ({"optimizer": NESTEROV}, keras.optimizers.SGD(0.1, momentum=0.5, nesterov=True)),
        ({"optimizer": "adam"}, keras.optimizers.Adam(0.1)),
        ({"optimizer": "nadam", "clip_norm": 1.0}, keras.optimizers.Nadam(0.1, global_clipnorm=1.0)),
        ({"optimizer": "adamw", "weight_decay": 0.01}, keras.optimizers.AdamW(0.1, weight_decay=0.01)),
    ],
    ids=lambda value: str(value.get("optimizer")) if isinstance(value, dict) else "",
)
def test_each_optimizer_is_that_of_keras_and_decay_spares_biases(changes, theirs):
    """Three steps on a plain bowl, beside Keras's own."""
    section = tiny_net.settings(learning_rate=0.1, **changes)
    ours = build_optimizer(section, phase_of(0, section), 10)
    for name, exempt in (("kernel", []), ("bias", ["bias"])):
        variables = [keras.Variable([1.0, -2.0], name=name) for _ in range(2)]
        for optimizer, variable in zip((ours, theirs), variables, strict=True):
            optimizer = type(optimizer).from_config(optimizer.get_config())
            optimizer.exclude_from_weight_decay(var_names=exempt)
            for _ in range(3):
                optimizer.apply([keras.ops.convert_to_tensor(variable) * 2], [variable])
        assert np.allclose(variables[0].numpy(), variables[1].numpy())
    kernel, bias = keras.Variable([1.0], name="kernel"), keras.Variable([1.0], name="bias")
    zero = keras.ops.convert_to_tensor([0.0])
    ours.apply([zero, zero], [kernel, bias])
    assert (kernel.numpy() < 1) == ("weight_decay" in changes)
    assert bias.numpy() == 1


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 200), batch=st.integers(2, 64), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_an_epoch_visits_every_face_in_whole_batches(count, batch, seed, epoch):
    order = epoch_order(count, batch, seed, epoch)
    assert len(order) % batch == 0
    assert len(order) < count + batch
    assert sorted(order[:count]) == list(range(count))
    assert np.array_equal(order, epoch_order(count, batch, seed, epoch))


def test_epochs_seeds_and_purposes_draw_apart():
    orders = {tuple(epoch_order(100, 10, seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16
    seeds = {derive(seed, purpose, epoch) for seed in range(5) for purpose in "ab" for epoch in range(50)}
    assert len(seeds) == 500
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_dropout_of_an_epoch_does_not_depend_on_what_ran_before():
    net, faces = tiny_net.build(), tiny_net.faces().faces[:8]

    def run(epoch):
        seed_epoch(net, 5, epoch)
        return np.asarray(net(faces, training=True))

    keras.utils.set_random_seed(0)
    first, other = run(3), run(4)
    assert np.array_equal(first, run(3))
    assert not np.array_equal(first, other)


def test_validation_scores_by_hand():
    """Three of four right; class 2 occurs neither among labels nor predictions."""
    chosen = np.array([[0.9, 0.05, 0.05], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.6, 0.1]], np.float32)
    labels = np.array([0, 1, 1, 1], np.int32)
    scores = validation_scores(chosen, labels)
    assert scores["val_accuracy"] == 0.75
    assert scores["val_macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert scores["val_loss"] == pytest.approx(-np.log([0.9, 0.3, 0.7, 0.6]).mean(), rel=1e-5)
    chosen[0, 0] = np.nan
    assert np.isnan(validation_scores(chosen, labels)["val_loss"])


@pytest.mark.parametrize("classes", [2, 3])
def test_the_svm_is_scikit_learns_and_its_temperature_the_best_on_validation(classes):
    data = tiny_net.faces(train=60, size=24, classes=classes, wrong=4)
    weighted = replace(data, class_weights=np.array([1, 5, 1][:classes], np.float32))
    net, (row,) = train_svm(lambda: build_model("hog_svm", classes=classes, image_size=24), weighted, C=0.5)
    below = keras.Model(net.input, net.get_layer("head_logits").input)
    features, labels = np.asarray(below(data.faces)), data.labels[:60]
    svm = LinearSVC(C=0.5, dual=False).fit(features[:60], labels, weighted.class_weights[labels])
    given = np.asarray(net(data.faces))
    np.testing.assert_array_equal(given.argmax(axis=1), svm.predict(features))
    assert row["accuracy"] == svm.score(features[:60], labels)
    assert row["val_accuracy"] == svm.score(features[60:], data.validation_labels)
    logits = np.log(given[60:].astype(float))
    losses = [log_loss(data.validation_labels, softmax(logits * by, axis=1)) for by in (1.0, 0.9, 1.1)]
    assert row["val_loss"] == pytest.approx(losses[0], abs=1e-5)
    assert losses[0] == min(losses)
    again, _ = train_svm(lambda: build_model("hog_svm", classes=classes, image_size=24), weighted, C=0.5)
    np.testing.assert_array_equal(net.get_weights()[-2], again.get_weights()[-2])
