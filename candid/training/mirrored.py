"""Distribution on TensorFlow: each device runs the step for itself, on its part of the batch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candid.training.one_device import OneDevice, Tensor


class Mirrored(OneDevice):
    """MirroredStrategy over the devices here, or MultiWorkerMirroredStrategy over those of all processes."""

    strategy: Any
    fused = False
    """XLA can't compile a step in which devices exchange values through tf.distribute, and Keras 3.15's loop
    over several steps fails on the rows of several devices."""

    def __init__(self, addresses: list[str], own: int) -> None:
        self.addresses, self.own = addresses, own
        if addresses:
            self.kind = "float16"  # exact, and processes can't be sent bytes

    def start(self) -> None:
        """Make the strategy, which TensorFlow wants before any computation."""
        import tensorflow as tf

        if self.addresses:
            task = {"type": "worker", "index": self.own}
            os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": self.addresses}, "task": task})
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        else:
            found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            self.strategy = tf.distribute.MirroredStrategy([device.name for device in found])
        self.devices = self.strategy.num_replicas_in_sync

    def scope(self) -> AbstractContextManager[Any]:
        """Give the strategy's own."""
        scope: AbstractContextManager[Any] = self.strategy.scope()
        return scope

    @contextmanager
    def whole_batch(self, net: Any) -> Iterator[None]:
        """Join batch norm's statistics, draw dropout for the whole batch; the net is saved without this."""
        import keras

        layers = list(net._flatten_layers(include_self=False))
        norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
        dropouts = [layer for layer in layers if isinstance(layer, keras.layers.Dropout)]
        for norm in norms:
            norm.synchronized = True
        for dropout in dropouts:
            dropout.call = partial(self._drop, dropout)
        try:
            yield
        finally:
            for norm in norms:
                norm.synchronized = False
            for dropout in dropouts:
                del dropout.call

    def uniform(self, shape: tuple[Any, ...], seed: Any) -> Tensor:
        """Draw for the whole batch and keep this device's part."""
        return self._own(super().uniform((shape[0] * _sharing(), *shape[1:]), seed))

    def neighbours(self, values: Tensor) -> Tensor:
        """Fetch the last value of the device before."""
        import tensorflow as tf

        if _sharing() == 1:
            return super().neighbours(values)
        context = tf.distribute.get_replica_context()
        last = context.all_gather(values[-1:], axis=0)
        before = (context.replica_id_in_sync_group - 1) % self.devices
        return tf.concat([last[before][None], values[:-1]], axis=0)

    def share_of_loss(self, mean: Tensor) -> Tensor:
        """Divide by the devices: Keras adds up what they find."""
        return mean / _sharing()

    def logs(self, found: dict[str, Any]) -> dict[str, Any]:
        """Give each metric an axis: over several processes Keras averages along the first."""
        return {name: value[None] for name, value in found.items()} if self.addresses else found

    def add_up(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum over the processes; the first device of each brings its values."""
        if not self.addresses:
            return values
        local = self.devices // len(self.addresses)
        given = self.strategy.experimental_distribute_values_from_function(
            lambda context: values if context.replica_id_in_sync_group % local == 0 else np.zeros_like(values)
        )
        total: NDArray[np.float32] = self.strategy.reduce("SUM", given, axis=None).numpy()
        return total

    def _own(self, values: Tensor) -> Tensor:
        """Cut this device's part out of what was made for the whole batch."""
        import tensorflow as tf

        parts = _sharing()
        if parts == 1:
            return values
        apart = tf.reshape(values, (parts, -1, *values.shape[1:]))
        return apart[tf.distribute.get_replica_context().replica_id_in_sync_group]

    def _drop(self, layer: Any, inputs: Tensor, training: bool = False) -> Tensor:
        """Do what Keras's dropout does, with the part of the mask that falls on this device."""
        import keras
        from keras import ops

        if not training or layer.rate == 0:
            return inputs
        shape = (ops.shape(inputs)[0] * _sharing(), *inputs.shape[1:])
        mask = ops.ones(shape, keras.backend.standardize_dtype(inputs.dtype))
        mask = keras.random.dropout(mask, layer.rate, layer.noise_shape, seed=layer.seed_generator)
        return inputs * self._own(mask)


def _sharing() -> int:
    """How many devices run this code together; 1 outside the step."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return 1 if context is None else int(context.num_replicas_in_sync)
