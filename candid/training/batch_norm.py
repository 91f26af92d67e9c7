"""Batch norm in training: its statistics for the weights as they are now, and TensorFlow's kernel for it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from candid.backend import backend, worth_compiling
from candid.training.distribution import layers_of, patched
from candid.training.learner import Learner

Tensor = Any

BATCH = 256
MAX_FACES = 2048  # more change validation accuracy by less than the noise of a reseed


class Recompute(keras.Model):
    """Measures batch norm's statistics over clean training faces; nothing is learnt.

    The layers' own running averages lag: with Keras's momentum of 0.99 and 13 steps an epoch they describe
    the net of dozens of epochs ago, and averaged weights (train.averaging) were never run in training at all.
    """

    def __init__(self, learner: Learner) -> None:
        """Share the learner's net and faces."""
        super().__init__(name="recompute", dtype="float32")
        self.logits, self.view, self.devices = learner.logits, learner.view, learner.strategy.devices
        # Held as a variable of this model too: else JAX compiles all faces into the step, as a constant.
        self.faces = learner.faces
        self.built = True
        self.compile(jit_compile=learner.jit_compile)

    def call(self, rows: Any, training: bool = False) -> Any:
        """Run the net as in training, by which its layers measure the batch; nothing is learnt."""
        del training
        return self.logits(self.view(rows), training=True)

    def run(self, rows: NDArray[np.int32]) -> None:
        """Set every batch norm's moving mean and variance to those over `rows`, taken in large batches.

        `rows`: training rows in random order; at most MAX_FACES are used, in whole batches.
        """
        norms = [norm for norm in layers_of(self.logits, layers.BatchNormalization) if norm.trainable]
        if not norms:
            return
        drops = [layer for layer in layers_of(self.logits) if isinstance(getattr(layer, "rate", 0), float)]
        size = min(BATCH, len(rows))
        size -= size % self.devices
        batches = min(MAX_FACES, len(rows)) // size
        means = [np.zeros(norm.moving_mean.shape) for norm in norms]
        squares = [np.zeros(norm.moving_mean.shape) for norm in norms]
        # The moving statistics are those of the last batch alone, and dropout is off.
        with patched(norms, "momentum", lambda _: 0.0), patched(drops, "rate", lambda _: 0.0):
            for number in range(batches):
                self.predict_on_batch(rows[number * size : (number + 1) * size])
                for total, square, norm in zip(means, squares, norms, strict=True):
                    mean = np.asarray(ops.convert_to_numpy(norm.moving_mean), np.float64)
                    total += mean / batches
                    square += (ops.convert_to_numpy(norm.moving_variance) + mean**2) / batches
        for mean, square, norm in zip(means, squares, norms, strict=True):
            norm.moving_mean.assign(mean.astype(np.float32))
            norm.moving_variance.assign(np.maximum(square - mean**2, 0).astype(np.float32))


def fused_batch_norm(net: Any) -> AbstractContextManager[None]:
    """Within this, every batch norm over the channels of a feature map is one kernel of TensorFlow.

    What it computes stays the same up to rounding, and the net is saved without this. Keras composes batch
    norm of some fifteen operations in float32, forward and back: six times the time of the kernel in
    bfloat16, four times in float32, and a third of a training step of `plain_cnn` on a CPU. Nothing is
    changed where XLA fuses them.
    """
    if backend() != "tensorflow" or worth_compiling():
        return nullcontext()
    norms = [norm for norm in layers_of(net, layers.BatchNormalization) if norm.input_spec.ndim == 4]
    norms = [norm for norm in norms if norm.axis in (-1, 3) and norm.scale and norm.center]
    return patched(norms, "call", lambda norm: partial(_normalise, norm))


def _normalise(layer: Any, inputs: Tensor, training: bool = False, mask: Tensor = None) -> Tensor:
    """Do what keras.layers.BatchNormalization.call does."""
    import tensorflow as tf

    del mask
    kernel = partial(
        tf.raw_ops.FusedBatchNormV3, x=inputs, scale=layer.gamma, offset=layer.beta, epsilon=layer.epsilon
    )
    if not (training and layer.trainable):
        return kernel(mean=layer.moving_mean, variance=layer.moving_variance, is_training=False).y
    made = kernel(mean=[], variance=[], is_training=True)
    count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)
    variance = made.batch_variance * (count - 1) / count  # the kernel's is over count - 1, Keras's over count
    kept = layer.momentum
    layer.moving_mean.assign(layer.moving_mean * kept + made.batch_mean * (1 - kept))
    layer.moving_variance.assign(layer.moving_variance * kept + variance * (1 - kept))
    return made.y
