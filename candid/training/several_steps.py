"""Several training steps as one compiled call on JAX, where Keras's own trainer calls each by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import keras

State = Any


def several_steps(model: Any) -> Callable[[State, Iterator[Any]], tuple[dict[str, Any], State]]:
    """Make what Keras's `fit` calls: up to `steps_per_execution` steps of `model`, each on its own batch.

    Args:
        model: compiled and built, on JAX; it stands in the scope of its distribution, if any.

    Returns:
        Takes the state (the model's variables, in Keras's order; its memory is reused) and an iterator of
        batches, of which it uses what is left where that is fewer. Gives the logs of the last step and the
        new state.
    """
    import jax

    def scan(state: State, batches: tuple[Any, ...]) -> tuple[dict[str, Any], State]:
        def step(state: State, batch: Any) -> tuple[State, dict[str, Any]]:
            logs, state = model.train_step(state, batch)
            return state, logs

        # Stacked in here: outside, on an accelerator, it would cost a call a batch.
        stacked = jax.tree.map(lambda *each: jax.numpy.stack(each), *batches)
        state, logs = jax.lax.scan(step, state, stacked)
        return jax.tree.map(lambda values: values[-1], logs), state

    shardings = None
    if keras.distribution.distribution() is not None:
        # Variables stay where they are laid out: left to itself the compiler may share weights out among
        # devices. (On one device this would tie the state to it, and each way to be tied is compiled anew.)
        groups = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
        shardings = tuple([variable.value.sharding for variable in group] for group in groups)
    # Compiled for each number of batches, of which an epoch has at most two.
    compiled = jax.jit(scan, donate_argnums=0, out_shardings=(None, shardings))

    def call(state: State, batches: Iterator[Any]) -> tuple[dict[str, Any], State]:
        found: tuple[dict[str, Any], State] = compiled(
            state, tuple(islice(batches, model.steps_per_execution))
        )
        return found

    return call
