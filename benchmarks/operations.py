"""How many operations a net takes, and how many the chip does in a second at best."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

BACK = 2
"""The backward pass takes as much again for the inputs and for the weights of each layer."""


def multiply_adds(net: Any) -> int:
    """Count those of the convolutions and fully connected layers for one face, forward."""
    from keras import layers

    found = 0
    for layer in net.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
            places = np.prod(layer.output.shape[1:-1]) if layer.kernel.ndim == 4 else 1
            found += int(places * np.prod(layer.kernel.shape))
    return found


def training_operations(net: Any) -> int:
    """Count multiplications and additions of a training step for one face."""
    return 2 * (1 + BACK) * multiply_adds(net)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of tensors as the training step is compiled."""
    import keras

    from candid.backend import worth_compiling

    made = function
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        made = tf.function(function, jit_compile=worth_compiling())
    elif keras.backend.backend() == "jax":
        import jax

        made = jax.jit(function)
    return made


def wait(value: Any) -> None:
    """Wait until a tensor is there: accelerators compute on while Python goes ahead."""
    from keras import ops

    ops.convert_to_numpy(ops.ravel(value)[0])


def matrix_rate(precision: str, size: int | None = None, rounds: int = 7) -> float:
    """Measure products of square matrices of random numbers: operations a second, median of the rounds.

    Args:
        precision: float32 or mixed_bfloat16, as in train.precision.
        size: rows; by default what fills the chip.
    """
    from keras import ops

    from candid.backend import devices

    kind = "bfloat16" if precision == "mixed_bfloat16" else "float32"
    size = size or (2048 if "cpu" in devices()[0].lower() else 8192)
    rng = np.random.default_rng(0)
    first, second = (
        ops.cast(ops.convert_to_tensor(rng.standard_normal((size, size), np.float32)), kind) for _ in range(2)
    )
    product = compiled(ops.matmul)
    wait(product(first, second))
    rates = []
    for _ in range(rounds):
        started = time.perf_counter()
        wait(product(first, second))
        rates.append(2 * size**3 / (time.perf_counter() - started))
    return statistics.median(rates)
