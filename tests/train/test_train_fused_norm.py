"""Batch norm as one kernel computes what Keras computes, and leaves the net as it was."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import pytest

from stages.train.fused_norm import fused_batch_norm
from stages.train.nets import build_model

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a kernel of TensorFlow's")
FACES = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 1), dtype=np.uint8)
LABELS = np.arange(16) % 7


def trained(fused: bool, frozen: bool = False) -> tuple[Any, Any]:
    """Weights after three steps, and what the net then gives outside training."""
    keras.utils.set_random_seed(0)
    net = build_model("plain_cnn", image_size=16, widths=[8, 12], depths=[2, 2], batch_norm_momentum=0.6)
    for layer in net.layers[:-3]:
        layer.trainable = not frozen
    with fused_batch_norm(net) if fused else nullcontext():
        net.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        for _ in range(3):
            net.train_on_batch(FACES, LABELS)
        given = net.predict_on_batch(FACES)
    return net, given


@pytest.mark.parametrize("frozen", [False, True])
def test_three_steps_end_where_those_of_keras_end(frozen: bool) -> None:
    (plain, expected), (fused, given) = trained(False, frozen), trained(True, frozen)
    np.testing.assert_allclose(given, expected, rtol=2e-3, atol=1e-5)
    for one, other in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-4)


def test_afterwards_the_net_is_one_of_plain_layers() -> None:
    net, given = trained(True)
    assert not any("call" in vars(layer) for layer in net.layers)
    np.testing.assert_allclose(net(FACES, training=False), given, rtol=1e-4, atol=1e-6)
