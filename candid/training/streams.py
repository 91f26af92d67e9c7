"""Every random choice follows from the seed, what it is for, and the epoch: nothing is carried over.

So a run that goes on from an epoch draws what an undisturbed one draws.
"""

from __future__ import annotations

import hashlib
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


def derive(seed: int, *purpose: str | int) -> int:
    """Return a seed of 31 bits for one purpose; different purposes give unrelated seeds."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") >> 1


def epoch_order(count: int, batch_size: int, seed: int, epoch: int) -> NDArray[np.int32]:
    """Return the order in which an epoch visits `count` faces: a permutation, filled up to whole batches.

    The last batch is filled from the permutation's start: a batch of one or two faces would spoil batch
    norm, and a second batch size would be compiled a second time.
    """
    order = np.random.default_rng(derive(seed, "order", epoch)).permutation(count)
    whole = -(-count // batch_size) * batch_size
    return np.resize(order, whole).astype(np.int32)


def seed_epoch(model: Any, seed: int, epoch: int) -> None:
    """Set the state of every seed generator in a Keras model (dropout, augmentation) for one epoch.

    On PyTorch its own generator too, from which Keras draws dropout there. (Not on TensorFlow: a new seed
    makes it throw away the compiled step, a second an epoch.)
    """
    if keras.backend.backend() == "torch":
        keras.utils.set_random_seed(derive(seed, "backend", epoch))
    for number, variable in enumerate(generators(model)):
        variable.assign(np.array([derive(seed, "generator", number, epoch), 0], dtype=variable.dtype))


def generators(model: Any) -> list[Any]:
    """The state variables of a model's seed generators, in the order Keras tracks them."""
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]
