from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from candid.errors import CandidError
from candid.training.checkpoints import Checkpoints
from candid.training.learner import Learner, logits_of
from candid.training.train import COLUMNS
from tests.training import tiny_net
from tests.training.tiny_net import train

ROWS = np.arange(12, dtype=np.int32)


def without_dropout(net: Any) -> Any:
    for layer in net.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return net


def outputs(data=None, **changes: Any):
    """What a learner gives in training, and the loss of it."""
    keras.utils.set_random_seed(0)
    data = data or tiny_net.faces()
    learner = Learner(without_dropout(tiny_net.build()), data, tiny_net.settings(**changes))
    found = learner(ROWS, training=True)
    loss = float(learner.compute_loss(y_pred=found))
    return {name: np.asarray(value) for name, value in found.items()}, loss


def trained(tmp_path, data=None, settings=None, **options: Any):
    settings = settings or tiny_net.settings()
    return train(tiny_net.build, data or tiny_net.faces(), settings, Checkpoints(tmp_path), **options)


def test_loss_is_the_cross_entropy_of_keras():
    data = tiny_net.faces()
    found, loss = outputs(data)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True)(found["targets"], found["logits"])
    assert loss == pytest.approx(float(theirs), rel=1e-5)
    assert np.array_equal(found["targets"].argmax(1), data.labels[:12])


def test_label_smoothing_is_that_of_keras():
    found, loss = outputs(label_smoothing=0.3)
    hard = np.eye(3, dtype=np.float32)[tiny_net.faces().labels[:12]]
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3)(
        hard, found["logits"]
    )
    assert loss == pytest.approx(float(theirs), rel=1e-5)


def test_class_weights_weigh_the_loss_of_their_class():
    data = replace(tiny_net.faces(), class_weights=np.array([3, 1, 0.5], np.float32))
    found, loss = outputs(data)
    crossed = -np.log(np.exp(found["logits"]) / np.exp(found["logits"]).sum(1, keepdims=True))
    labels = data.labels[:12]
    assert loss == pytest.approx(
        (crossed[np.arange(12), labels] * data.class_weights[labels]).mean(), rel=1e-4
    )


def test_mixup_mixes_faces_and_targets_alike():
    """Faces of one value a class: the mixed value tells the share."""
    data = tiny_net.faces(classes=3)
    data = replace(data, faces=np.repeat((data.labels * 100).astype(np.uint8), 144).reshape(-1, 12, 12, 1))
    learner = Learner(tiny_net.build(), data, tiny_net.settings(mixup=0.4))
    faces, targets = learner._mix(data.faces[:12], learner.targets.numpy()[:12])
    faces, targets = np.asarray(faces), np.asarray(targets)
    assert np.allclose(targets.sum(1), 1, atol=1e-5)
    assert np.abs(faces[:, 0, 0, 0] - targets @ [0, 100, 200]).max() <= 1
    assert (targets.max(1) < 0.999).any()


def test_mixup_draws_its_shares_from_the_beta_distribution():
    learner = Learner(tiny_net.build(), tiny_net.faces(), tiny_net.settings(mixup=0.2))
    assert learner.shares.mean() == pytest.approx(0.5, abs=1e-3)
    assert learner.shares.var() == pytest.approx(1 / (4 * (2 * 0.2 + 1)), rel=0.01)


def test_prediction_is_that_of_the_net_whatever_augmentation_is_set():
    data, net = tiny_net.faces(), tiny_net.build()
    augmented = tiny_net.settings({"flip": 1.0, "brightness": {"amount": 0.9, "probability": 1.0}})
    learner = Learner(net, data, augmented)
    assert np.allclose(learner(ROWS, training=False), net(data.faces[ROWS], training=False), atol=1e-6)


def test_with_a_crop_the_net_sees_the_middle():
    data, net = tiny_net.faces(size=16), tiny_net.build(size=12)
    learner = Learner(net, data, tiny_net.settings({"crop": 12}))
    assert np.allclose(learner(ROWS, training=False), net(data.faces[ROWS, 2:14, 2:14]), atol=1e-6)
    assert learner(ROWS, training=True)["logits"].shape == (12, 3)


def test_a_net_without_a_softmax_of_its_own_is_refused():
    faces = keras.Input((4, 4, 1), dtype="uint8")
    dense = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(faces))
    with pytest.raises(TypeError, match="softmax"):
        logits_of(keras.Model(faces, dense))


def test_training_learns_and_tells_of_each_epoch(tmp_path):
    lines: list[str] = []
    settings = tiny_net.settings(epochs=8, learning_rate=0.03)
    net, history = trained(tmp_path, settings=settings, say=lines.append)
    assert list(history) == list(COLUMNS)
    assert history["epoch"].tolist() == list(range(1, 9))
    assert history["val_accuracy"].max() >= 0.9
    assert len(lines) == 8
    assert "faces/s" in lines[0]
    data = tiny_net.faces()
    predicted = np.asarray(net(data.faces[data.train :])).argmax(1)
    assert (predicted == data.validation_labels).mean() == history[
        "val_accuracy"
    ].max()  # the best epoch is kept


def test_the_saved_epoch_follows_the_monitor(tmp_path):
    """The last epoch's rate is absurd, so that an earlier one is the best."""
    data = tiny_net.faces()
    settings = tiny_net.settings(epochs=3, freeze_epochs=2, thaw_learning_rate=50.0, monitor="val_loss")
    net, history = trained(tmp_path, data, settings, say=lambda line: None)
    chosen = np.asarray(net(data.faces[data.train :]))[np.arange(20), data.validation_labels]
    assert -np.log(chosen).mean() == pytest.approx(history["val_loss"].min(), rel=1e-3)
    assert history["val_loss"].idxmin() < 2


def test_frozen_body_stays_while_the_head_learns(tmp_path):
    """The net that is left is the best epoch's: here the frozen one, since the second has an absurd rate."""
    start = {}

    def build():
        net = tiny_net.build()
        start.update({weight.path: weight.numpy() for weight in net.trainable_weights})
        return net

    settings = tiny_net.settings(epochs=2, freeze_epochs=1, thaw_learning_rate=50.0, monitor="val_loss")
    net, history = train(
        build, tiny_net.faces(), settings, Checkpoints(tmp_path), tiny_net.body_layers, say=lambda line: None
    )
    assert history["learning_rate"].tolist() == [0.01, 50.0]
    assert history["val_loss"].idxmin() == 0
    for weight in net.trainable_weights:
        assert np.array_equal(start[weight.path], weight.numpy()) == ("body" in weight.path)


def test_a_thawed_body_moves(tmp_path):
    settings = tiny_net.settings(epochs=2, freeze_epochs=1, thaw_learning_rate=0.01, monitor="val_loss")
    net, history = train(
        tiny_net.build,
        tiny_net.faces(),
        settings,
        Checkpoints(tmp_path),
        tiny_net.body_layers,
        say=lambda _: None,
    )
    keras.utils.set_random_seed(0)
    assert history["val_loss"].idxmin() == 1
    assert not np.array_equal(net.get_layer("body").kernel, tiny_net.build().get_layer("body").kernel)


def test_averaging_validates_and_keeps_smoother_weights(tmp_path):
    data = tiny_net.faces()
    quiet = {"say": lambda line: None}
    settings = tiny_net.settings(epochs=1, averaging=0.9, learning_rate=0.05, optimizer="sgd", momentum=0.0)
    averaged, _ = trained(tmp_path / "a", data, settings, **quiet)
    plain, _ = trained(tmp_path / "b", data, settings.model_copy(update={"averaging": 0.0}), **quiet)
    keras.utils.set_random_seed(0)
    start = tiny_net.build()
    kernel = lambda net: net.get_layer("body").kernel.numpy()  # noqa: E731
    moved, smoothed = (
        np.abs(kernel(plain) - kernel(start)).sum(),
        np.abs(kernel(averaged) - kernel(start)).sum(),
    )
    assert 0 < smoothed < moved


def test_a_rate_that_is_too_high_stops_with_one_line(tmp_path):
    settings = tiny_net.settings(learning_rate=100.0, optimizer="sgd", epochs=30)
    with pytest.raises(CandidError, match=r"epoch \d+: the loss is not a number: train.learning_rate = 100"):
        trained(tmp_path, settings=settings, say=lambda line: None)


def test_early_stopping_and_plateau_act(tmp_path):
    settings = tiny_net.settings(
        epochs=20,
        learning_rate=1e-6,
        min_lr=1e-8,
        schedule="plateau",
        plateau={"monitor": "val_accuracy", "patience": 1, "factor": 0.5},
        early_stopping={"monitor": "val_accuracy", "patience": 3},
    )
    _, history = trained(tmp_path, settings=settings, say=lambda line: None)
    assert len(history) < 20
    assert history["learning_rate"].iloc[-1] < 1e-6


def test_mixed_precision_saves_a_net_in_float32(tmp_path):
    settings = tiny_net.settings(precision="mixed_bfloat16", epochs=2)
    net, history = trained(tmp_path, settings=settings, say=lambda line: None)
    assert {layer.dtype_policy.name for layer in net.layers} <= {"float32", "uint8"}
    data = tiny_net.faces()
    predicted = np.asarray(net(data.faces[data.train :])).argmax(1)
    assert abs((predicted == data.validation_labels).mean() - history["val_accuracy"].max()) <= 0.1
    assert keras.config.dtype_policy().name == "float32"


def test_steps_per_call_do_not_change_the_result(tmp_path):
    quiet = {"say": lambda line: None}
    one, _ = trained(tmp_path / "one", **quiet)
    more, _ = trained(tmp_path / "more", settings=tiny_net.settings(steps_per_execution=2), **quiet)
    for a, b in zip(one.get_weights(), more.get_weights(), strict=True):
        assert np.allclose(a, b, atol=1e-5)


def test_memory_that_runs_out_is_told_in_one_line(tmp_path):
    def build():
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[64,512]")

    with pytest.raises(CandidError, match=r"out of memory with train\.batch_size = 16: try half"):
        train(build, tiny_net.faces(), tiny_net.settings(), Checkpoints(tmp_path))


def test_other_faults_are_not_hidden(tmp_path):
    def build():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(build, tiny_net.faces(), tiny_net.settings(), Checkpoints(tmp_path))
