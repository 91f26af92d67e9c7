from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candid.training.optimizers import Cosine, build_optimizer
from candid.training.schedules import Patience, Plateau, cosine, is_better, phase_of, step_rate
from tests.training import tiny_net


def test_cosine_by_hand():
    """Warm-up over 4 steps to 1, then half a cosine over 8 to 0.2."""
    rates = [cosine(step, 12, 4, 1.0, 0.2) for step in range(13)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[8] == pytest.approx(0.6)
    assert rates[6] == pytest.approx(0.2 + 0.8 * (1 + 2**-0.5) / 2)
    assert rates[12] == pytest.approx(0.2)


@settings(max_examples=25, deadline=None)
@given(steps=st.integers(1, 500), data=st.data())
def test_compiled_cosine_is_the_plain_one(steps, data):
    warmup, step = data.draw(st.integers(0, steps - 1)), data.draw(st.integers(0, steps))
    compiled = float(Cosine(steps, warmup, 0.1, 0.001)(step))
    assert compiled == pytest.approx(cosine(step, steps, warmup, 0.1, 0.001), rel=1e-4, abs=1e-7)


def test_step_by_hand():
    rates = [step_rate(epoch, 1.0, [2, 4], 0.1) for epoch in range(6)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@settings(max_examples=20, deadline=None)
@given(
    values=st.lists(st.sampled_from([0.1, 0.2, 0.20005, 0.3, 0.5]), min_size=1, max_size=25),
    patience=st.integers(1, 4),
    monitor=st.sampled_from(["val_accuracy", "val_loss"]),
)
def test_plateau_is_that_of_keras(values, patience, monitor):
    train = tiny_net.settings(
        schedule="plateau", min_lr=2e-3, plateau={"monitor": monitor, "patience": patience, "factor": 0.5}
    )
    theirs = keras.callbacks.ReduceLROnPlateau(
        monitor=monitor,
        patience=patience,
        factor=0.5,
        min_lr=2e-3,
        mode="min" if monitor == "val_loss" else "max",
        min_delta=1e-4,
    )
    theirs.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    theirs.model.compile(keras.optimizers.SGD(0.01), "mse")
    theirs.on_train_begin()
    ours = Plateau(0.01)
    for epoch, value in enumerate(values):
        theirs.on_epoch_end(epoch, {monitor: value})
        ours.after(value, train)
        assert ours.rate == pytest.approx(float(theirs.model.optimizer.learning_rate))


@settings(max_examples=20, deadline=None)
@given(values=st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=1, max_size=20), patience=st.integers(1, 5))
def test_stopping_is_that_of_keras(values, patience):
    train = tiny_net.settings(early_stopping={"monitor": "val_loss", "patience": patience})
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    theirs = keras.callbacks.EarlyStopping(monitor="val_loss", patience=patience, mode="min")
    theirs.set_model(model)
    theirs.on_train_begin()
    model.stop_training = False
    ours = Patience()
    for epoch, value in enumerate(values):
        theirs.on_epoch_end(epoch, {"val_loss": value})
        assert ours.after(value, train) == model.stop_training
        if model.stop_training:
            break


def test_patience_null_never_stops():
    train = tiny_net.settings(early_stopping={"monitor": "val_accuracy", "patience": None})
    patience = Patience()
    assert not any(patience.after(0.5, train) for _ in range(100))


def test_a_loss_improves_downwards():
    assert is_better("val_loss", 0.4, 0.5)
    assert not is_better("val_accuracy", 0.4, 0.5)
    assert is_better("val_macro_f1", 0.4, None)


def test_phases():
    plain = tiny_net.settings(epochs=5)
    assert {phase_of(epoch, plain) for epoch in range(5)} == {phase_of(0, plain)}
    transfer = tiny_net.settings(epochs=5, freeze_epochs=2, thaw_learning_rate=1e-4)
    assert [phase_of(epoch, transfer).frozen for epoch in range(5)] == [True, True, False, False, False]
    assert [phase_of(epoch, transfer).rate for epoch in (1, 2)] == [0.01, 1e-4]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"optimizer": "sgd"}, keras.optimizers.SGD),
        ({"optimizer": "sgd", "nesterov": True}, keras.optimizers.SGD),
        ({"optimizer": "adam"}, keras.optimizers.Adam),
        ({"optimizer": "nadam"}, keras.optimizers.Nadam),
        ({"optimizer": "adamw", "weight_decay": 0.01}, keras.optimizers.AdamW),
    ],
    ids=str,
)
def test_each_optimizer_is_the_one_asked_for(changes, kind):
    """One step on a plain bowl, beside Keras's own."""
    train = tiny_net.settings(**changes)
    ours, theirs = keras.Variable([1.0, -2.0], name="kernel"), keras.Variable([1.0, -2.0], name="kernel")
    options = {"learning_rate": 0.1}
    if kind is keras.optimizers.SGD:
        options |= {"momentum": 0.9, "nesterov": changes.get("nesterov", False)}
    if "weight_decay" in changes:
        options |= {"weight_decay": 0.01}
    optimizers = [build_optimizer(train, 0.1, 10, 0), kind(**options)]
    for optimizer, variable in zip(optimizers, (ours, theirs), strict=True):
        for _ in range(3):
            optimizer.apply([keras.ops.convert_to_tensor(variable) * 2], [variable])
    assert np.allclose(ours.numpy(), theirs.numpy())


def test_clip_norm_bounds_the_step_and_decay_spares_biases():
    clipped = build_optimizer(tiny_net.settings(optimizer="sgd", momentum=0.0, clip_norm=1.0), 1.0, 10, 0)
    kernel = keras.Variable([0.0, 0.0], name="kernel")
    clipped.apply([keras.ops.convert_to_tensor([300.0, 400.0])], [kernel])
    assert np.allclose(kernel.numpy(), [-0.6, -0.8])

    decaying = build_optimizer(tiny_net.settings(optimizer="sgd", weight_decay=0.1), 0.5, 10, 0)
    kernel, bias = keras.Variable([1.0], name="kernel"), keras.Variable([1.0], name="bias")
    zero = keras.ops.convert_to_tensor([0.0])
    decaying.apply([zero, zero], [kernel, bias])
    assert kernel.numpy() == pytest.approx(0.95)
    assert bias.numpy() == 1
