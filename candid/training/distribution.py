"""One training over the devices of this machine: Keras's DataParallel on JAX, MirroredStrategy on TensorFlow.

Each device holds the whole set and all weights and computes its part of every batch. Augmentation and dropout
are drawn, and batch norm measured, for the whole batch, so that the loss is that of one device within
rounding. JAX's compiler sees to that itself; TensorFlow runs the step once a device, which Mirrored makes up
for. (There mixup mixes within a device's part.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

from candid.training.settings import TrainSettings

Tensor = Any


class OneDevice:
    """No distribution; the others change what differs."""

    devices = 1  # that share a batch
    compiles = True  # whether XLA may compile the step
    scope: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Variables are made and models fitted within this."""

    def start(self) -> None:
        """Find the devices; before anything is computed."""

    def whole_batch(self, net: Any) -> AbstractContextManager[Any]:  # noqa: ARG002
        """Within this, layers of `net` that draw for a batch or measure it do so for the whole batch."""
        return nullcontext()

    def uniform(self, shape: tuple[Any, ...], seed: Any) -> Tensor:
        """Draw numbers from 0 to 1 for the faces of this device's part of the batch."""
        import keras

        return keras.random.uniform(shape, seed=seed)

    def scale_loss(self, mean: Tensor) -> Tensor:
        """Turn the mean over this device's part into what it adds to the mean over the batch."""
        return mean


class DataParallel(OneDevice):
    """JAX: the step is written for the batch, and the compiler splits it."""

    def start(self) -> None:
        """Take all devices that JAX has."""
        import keras

        distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
        self.scope, self.devices = distribution.scope, distribution.device_mesh.devices.size


class Mirrored(OneDevice):
    """TensorFlow: each device runs the step for itself, on its part of the batch."""

    compiles = False  # XLA can't compile a step in which devices exchange values through tf.distribute

    def start(self) -> None:
        """Make the strategy, which TensorFlow wants before any computation."""
        import tensorflow as tf

        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
        self.scope, self.devices = strategy.scope, strategy.num_replicas_in_sync

    @contextmanager
    def whole_batch(self, net: Any) -> Iterator[None]:
        """Join batch norm's statistics, draw dropout for the whole batch; the net is saved without this."""
        import keras

        norms = layers_of(net, keras.layers.BatchNormalization)
        dropouts = layers_of(net, keras.layers.Dropout)
        drop = partial(partial, self._drop)  # of a layer: what it is called with from now on
        with patched(norms, "synchronized", lambda _: True), patched(dropouts, "call", drop):
            yield

    def uniform(self, shape: tuple[Any, ...], seed: Any) -> Tensor:
        """Draw for the whole batch and keep this device's part."""
        import tensorflow as tf

        whole = super().uniform((shape[0] * self.devices, *shape[1:]), seed)
        part = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.reshape(whole, (self.devices, -1, *shape[1:]))[part]

    def scale_loss(self, mean: Tensor) -> Tensor:
        """Divide by the devices: Keras adds up what each of them finds."""
        return mean / self.devices

    def _drop(self, layer: Any, inputs: Tensor, training: bool = False) -> Tensor:
        """Do what Keras's dropout does, with this device's part of the mask of the batch."""
        import tensorflow as tf

        if not training or layer.rate == 0:
            return inputs
        kept = self.uniform((tf.shape(inputs)[0], *inputs.shape[1:]), layer.seed_generator) >= layer.rate
        return inputs * tf.cast(kept, inputs.dtype) / (1 - layer.rate)


def strategy_of(settings: TrainSettings) -> OneDevice:
    """Choose how to distribute; nothing is started, and Keras not imported."""
    if settings.distribution == "none":
        return OneDevice()
    return DataParallel() if settings.backend == "jax" else Mirrored()


def layers_of(model: Any, kind: Any = object) -> list[Any]:
    """Return all layers of a kind in a model, those inside layers too."""
    return [layer for layer in model._flatten_layers(include_self=False) if isinstance(layer, kind)]


@contextmanager
def patched(layers: list[Any], name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Within this, an attribute of each layer is what `make` gives for the layer."""
    with ExitStack() as stack:
        for layer in layers:
            own = name in vars(layer)
            stack.callback(*((setattr, layer, name, getattr(layer, name)) if own else (delattr, layer, name)))
            setattr(layer, name, make(layer))
        yield
