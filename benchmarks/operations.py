"""How many operations a net takes: docs/nets.md has them, and a test holds the page to this."""

from __future__ import annotations

from typing import Any

import numpy as np


def multiply_adds(net: Any) -> int:
    """Count those of the convolutions and fully connected layers for one face, forward.

    A training step takes about three times as many: the backward pass as much again for the inputs and for
    the weights of each layer.
    """
    from keras import layers

    total = 0
    for layer in net.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
            positions = np.prod(layer.output.shape[1:-1]) if layer.kernel.ndim == 4 else 1
            total += int(positions * np.prod(layer.kernel.shape))
    return total
