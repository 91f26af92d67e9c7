from __future__ import annotations

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss

from candid.training.scores import validation_scores
from candid.training.streams import derive, epoch_order, seed_epoch
from tests.training import tiny_net


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 200), batch=st.integers(2, 64), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_an_epoch_visits_every_face_in_whole_batches(count, batch, seed, epoch):
    order = epoch_order(count, batch, seed, epoch)
    assert len(order) % batch == 0
    assert len(order) < count + batch
    assert sorted(order[:count]) == list(range(count))
    assert np.array_equal(order, epoch_order(count, batch, seed, epoch))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {tuple(epoch_order(100, 10, seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_derived_seeds_are_apart():
    seeds = {derive(seed, purpose, epoch) for seed in range(5) for purpose in "ab" for epoch in range(50)}
    assert len(seeds) == 500
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_dropout_of_an_epoch_does_not_depend_on_what_ran_before():
    net = tiny_net.build()
    faces = tiny_net.faces().faces[:8]

    def run(epoch):
        seed_epoch(net, 5, epoch)
        return np.asarray(net(faces, training=True))

    keras.utils.set_random_seed(0)
    first = run(3)
    other = run(4)
    assert np.array_equal(first, run(3))
    assert not np.array_equal(first, other)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 40), st.integers(2, 5))
def test_validation_scores_are_those_of_scikit_learn(seed, count, classes):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count).astype(np.int32)
    probabilities = rng.dirichlet(np.ones(classes), count).astype(np.float32)
    found = validation_scores(probabilities, labels)
    predicted = probabilities.argmax(1)
    assert found["val_accuracy"] == (predicted == labels).mean()
    assert np.isclose(found["val_macro_f1"], f1_score(labels, predicted, average="macro"))
    normalised = probabilities.astype(np.float64)
    normalised /= normalised.sum(1, keepdims=True)
    assert np.isclose(found["val_loss"], log_loss(labels, normalised, labels=range(classes)), rtol=1e-4)
