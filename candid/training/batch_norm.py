"""Statistics of batch norm measured over training faces, for weights as they are now.

The layers' own running averages lag: with Keras's momentum of 0.99 and 13 steps an epoch they describe the
net of dozens of epochs ago, and averaged weights (averaging) were never run in training at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from candid.training.learner import Learner

BATCH = 256
MOST = 2048  # faces; more change validation accuracy by less than the noise of a reseed


class Recompute(keras.Model):
    """Runs a net over clean training faces to measure batch norm's statistics; nothing is learnt."""

    def __init__(self, learner: Learner) -> None:
        """Share the learner's net and faces."""
        super().__init__(name="recompute", dtype="float32")
        self.logits, self.view, self.split = learner.logits, learner.view, learner.split
        # Held as a variable of this model too: else JAX compiles all faces into the step, as a constant.
        self.faces = learner.faces
        self.norms = [
            layer for layer in _layers(learner.logits) if isinstance(layer, keras.layers.BatchNormalization)
        ]
        self.built = True
        self.compile(loss=None, jit_compile=learner.jit_compile)

    def call(self, rows: Any, training: bool = False) -> Any:
        """Run the net with batch statistics; what it returns is of no use."""
        del training
        return self.logits(self.view(rows), training=True)

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """Return 0: nothing is learnt here."""
        del args, kwargs
        return ops.zeros(())

    def compute_metrics(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return nothing."""
        del args, kwargs
        return {}

    def run(self, rows: NDArray[np.int32]) -> None:
        """Set every batch norm's moving mean and variance to those over `rows`, taken in large batches.

        Args:
            rows: training rows in random order; at most MOST of them are used, in whole batches.
        """
        norms = [norm for norm in self.norms if norm.trainable]
        if not norms:
            return
        size = min(BATCH, len(rows))
        size -= size % self.split.devices
        batches = min(MOST, len(rows)) // size
        rows, fed = self.split.fed(rows[: batches * size], size)
        means = [np.zeros(norm.moving_mean.shape) for norm in norms]
        squares = [np.zeros(norm.moving_mean.shape) for norm in norms]
        with _one_batch_at_a_time(self.logits, norms):
            for number in range(batches):
                self.test_on_batch(rows[number * fed : (number + 1) * fed])
                for total, square, norm in zip(means, squares, norms, strict=True):
                    mean = np.asarray(ops.convert_to_numpy(norm.moving_mean), np.float64)
                    total += mean / batches
                    square += (ops.convert_to_numpy(norm.moving_variance) + mean**2) / batches
        for mean, square, norm in zip(means, squares, norms, strict=True):
            norm.moving_mean.assign(mean.astype(np.float32))
            norm.moving_variance.assign(np.maximum(square - mean**2, 0).astype(np.float32))


def _layers(model: Any) -> list[Any]:
    """Every layer in a model, those inside layers too."""
    return list(model._flatten_layers(include_self=False))


@contextmanager
def _one_batch_at_a_time(model: Any, norms: list[Any]) -> Iterator[None]:
    """Make the moving statistics those of the last batch alone, and turn dropout off."""
    kept = [(norm, "momentum", norm.momentum) for norm in norms]
    kept += [
        (layer, "rate", layer.rate)
        for layer in _layers(model)
        if isinstance(getattr(layer, "rate", None), float)
    ]
    for layer, name, _ in kept:
        setattr(layer, name, 0.0)
    try:
        yield
    finally:
        for layer, name, value in kept:
            setattr(layer, name, value)
