"""One training over several devices or processes: Keras's distribution on JAX, tf.distribute on TensorFlow.

Each device holds the whole set and all weights and computes its part of every batch. What is drawn at random
is drawn for the whole batch and batch norm measures the whole batch, so that the loss is that of one device
within rounding. JAX sees to that itself; what TensorFlow needs is in mirrored.py.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candid.errors import CandidError
from candid.training.mirrored import Mirrored
from candid.training.one_device import OneDevice, Tensor
from candid.training.params import TrainSettings

ADDRESSES, OWN = "KERAS_DISTRIBUTION_JOB_ADDRESSES", "KERAS_DISTRIBUTION_PROCESS_ID"


class Sharded(OneDevice):
    """JAX: keras.distribution.DataParallel; the step is written for the batch, and the compiler splits it."""

    distribution: Any

    def __init__(self, addresses: list[str], own: int) -> None:
        self.addresses, self.own = addresses, own

    def start(self) -> None:
        """Connect the processes, which JAX wants before it looks at its devices."""
        import keras

        if self.addresses:
            keras.distribution.initialize(self.addresses[0], len(self.addresses), self.own)
        self.distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
        self.devices = self.distribution.device_mesh.devices.size

    def scope(self) -> AbstractContextManager[Any]:
        """Give the distribution's own."""
        scope: AbstractContextManager[Any] = self.distribution.scope()
        return scope

    def fed(self, rows: NDArray[np.int32], size: int) -> tuple[NDArray[np.int32], int]:
        """Cut this process's part out of each batch."""
        count = max(1, len(self.addresses))
        return rows.reshape(-1, count, size // count)[:, self.own].ravel(), size // count

    def everywhere(self, values: Tensor) -> Tensor:
        """Lay the rows out on every device."""
        import keras

        if not self.addresses:
            return values
        layout = keras.distribution.TensorLayout([None] * len(values.shape), self.distribution.device_mesh)
        return keras.distribution.distribute_tensor(values, layout)

    def add_up(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum over the processes."""
        if not self.addresses:
            return values
        from jax.experimental import multihost_utils

        total: NDArray[np.float32] = np.asarray(multihost_utils.process_allgather(values)).sum(axis=0)
        return total


def distribution_of(settings: TrainSettings, environment: Mapping[str, str] = os.environ) -> OneDevice:
    """Choose how to distribute; nothing is started, and Keras not imported.

    Raises:
        CandidError: the backend can't do it, or the environment does not say where the processes are.
    """
    wanted = f"params.yaml: train.distribution = {settings.distribution!r}"
    if settings.distribution == "none":
        return OneDevice()
    if settings.backend == "torch":
        raise CandidError(
            f"{wanted}: on PyTorch Keras trains on one device; expected none, or backend tensorflow or jax"
        )
    if settings.backend == "tensorflow" and settings.clip_norm is not None:
        raise CandidError(
            f"{wanted} with train.clip_norm = {settings.clip_norm:g}: on TensorFlow Keras clips what each "
            "device found before it adds that up; expected clip_norm null, or backend jax"
        )
    addresses, own = _processes(wanted, environment) if settings.distribution == "processes" else ([], 0)
    if settings.backend == "jax":
        return Sharded(addresses, own)
    return Mirrored(addresses, own)


def _processes(wanted: str, environment: Mapping[str, str]) -> tuple[list[str], int]:
    """Addresses of all processes and this one's place among them, from the variables that Keras reads."""
    addresses = [one.strip() for one in environment.get(ADDRESSES, "").split(",") if one.strip()]
    own = environment.get(OWN, "")
    if len(addresses) < 2 or any(":" not in one for one in addresses):
        raise CandidError(
            f"{wanted}: the environment says {ADDRESSES}={','.join(addresses)!r}; "
            "expected host:port,host:port,..., the same for each process"
        )
    if not own.isdecimal() or int(own) >= len(addresses):
        raise CandidError(
            f"{wanted}: the environment says {OWN}={own!r}; "
            f"expected 0 to {len(addresses) - 1}, another for each process"
        )
    return addresses, int(own)
