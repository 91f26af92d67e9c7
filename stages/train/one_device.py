"""Training on one device; what distributes it changes these points and no others."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.errors import CandidError

Tensor = Any


class OneDevice:
    """No distribution; the others change what differs."""

    devices = 1
    """That share a batch."""
    addresses: list[str] = []
    """Of the processes that share it; empty within one process."""
    own = 0
    """This process's place among them."""
    kind = "uint8"
    """Of the faces on the device."""
    fused = True
    """Whether XLA may compile the step, one call take several steps, and batch norm run as one kernel."""

    @property
    def chief(self) -> bool:
        """Whether this process writes the files."""
        return self.own == 0

    def start(self) -> None:
        """Find the devices and the other processes; before anything is computed."""

    def scope(self) -> AbstractContextManager[Any]:
        """Variables are made and models fitted within this."""
        return nullcontext()

    def whole_batch(self, net: Any) -> AbstractContextManager[Any]:
        """Within this, layers of `net` that look at more than one face look at the whole batch."""
        del net
        return nullcontext()

    def fed(self, rows: NDArray[np.int32], size: int) -> tuple[NDArray[np.int32], int]:
        """Of batches of `size` rows, one after the other, give what this process hands to Keras."""
        return rows, size

    def uniform(self, shape: tuple[Any, ...], seed: Any) -> Tensor:
        """Draw numbers from 0 to 1 for the faces of this device's part of the batch."""
        import keras

        return keras.random.uniform(shape, seed=seed)

    def neighbours(self, values: Tensor) -> Tensor:
        """Give for each face of this device's part the value of the one before it in the batch."""
        from keras import ops

        return ops.roll(values, 1, axis=0)

    def share_of_loss(self, mean: Tensor) -> Tensor:
        """Turn the mean over this device's part into what it adds to the mean over the batch."""
        return mean

    def logs(self, found: dict[str, Any]) -> dict[str, Any]:
        """Bring a step's metrics into the form in which Keras can join them."""
        return found

    def everywhere(self, values: Tensor) -> Tensor:
        """Make the rows of all devices known to every process."""
        return values

    def add_up(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum over the processes."""
        return values

    def check_batch(self, size: int) -> None:
        """Stop unless a batch can be shared out evenly."""
        if size % self.devices:
            raise CandidError(
                f"params.yaml: train.batch_size: {size} faces a step for {self.devices} devices: "
                "expected a multiple"
            )

    def check_same(self, name: str) -> None:
        """Stop unless all processes are at the same run (state.fingerprint: hexadecimal)."""
        digits = np.array([int(digit, 16) for digit in name], np.float32)
        count = max(1, len(self.addresses))
        total, squares = self.add_up(np.stack([digits, digits**2]))
        if not np.array_equal(count * squares, total**2):  # so where, and only where, all digits are equal
            raise CandidError(
                "the processes differ in settings, inputs, code, versions, devices or cores; "
                "train.distribution expects the same for all"
            )
