from __future__ import annotations

import keras
import numpy as np

from candid.training.batch_norm import Recompute
from candid.training.learner import Learner
from tests.training import tiny_net


def measured(data):
    keras.utils.set_random_seed(0)
    learner = Learner(tiny_net.build(), data, tiny_net.settings())
    Recompute(learner).run(np.arange(data.train, dtype=np.int32))
    return learner


def test_statistics_are_those_of_the_training_faces():
    """Against the mean and variance of what stands before batch norm, by NumPy."""
    data = tiny_net.faces(train=64)
    learner = measured(data)
    norm = learner.logits.get_layer("body_norm")
    before = keras.Model(learner.logits.input, norm.input)(data.faces[: data.train])
    before = np.asarray(before, np.float64)
    assert np.allclose(norm.moving_mean.numpy(), before.mean((0, 1, 2)), atol=1e-5)
    assert np.allclose(norm.moving_variance.numpy(), before.var((0, 1, 2)), atol=1e-5)


def test_batches_are_put_together_into_one_variance():
    """More faces than a batch of 256, sorted by class, so that the batches' means differ."""
    data = tiny_net.faces(train=512, validation=3)
    order = np.argsort(data.labels[:512], kind="stable").astype(np.int32)
    learner = Learner(tiny_net.build(), data, tiny_net.settings())
    Recompute(learner).run(order)
    norm = learner.logits.get_layer("body_norm")
    before = np.asarray(keras.Model(learner.logits.input, norm.input)(data.faces[:512]), np.float64)
    assert np.allclose(norm.moving_variance.numpy(), before.var((0, 1, 2)), rtol=1e-3)


def test_weights_momentum_and_dropout_stay():
    data = tiny_net.faces()
    keras.utils.set_random_seed(0)
    untouched = [weight.numpy() for weight in tiny_net.build().trainable_weights]
    learner = measured(data)
    for before, after in zip(untouched, learner.logits.trainable_weights, strict=True):
        assert np.array_equal(before, after.numpy())
    assert learner.logits.get_layer("body_norm").momentum == 0.99
    assert any(getattr(layer, "rate", 0) == 0.2 for layer in learner.logits.layers)


def test_frozen_batch_norm_keeps_its_statistics():
    data = tiny_net.faces()
    learner = Learner(tiny_net.build(), data, tiny_net.settings())
    norm = learner.logits.get_layer("body_norm")
    norm.trainable = False
    Recompute(learner).run(np.arange(data.train, dtype=np.int32))
    assert not norm.moving_mean.numpy().any()
