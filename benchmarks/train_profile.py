"""Where the time of a training step goes.

    python -m benchmarks.train_profile [--nets residual_cnn resnet18 vgg19] [--rounds 5] [--backend jax]

The parts of a step are compiled each by itself and take turns in one process: `augment` (faces by row from
the set, then what params.yaml has of changes), `forward` (the net and its loss), `gradients` (forward and
backward), `step` (the bare compiled step: gradients and the optimizer) and `shipped` (an epoch of
stages/train). Printed in milliseconds a step, median over the rounds: augment, forward, backward =
gradients - forward, optimizer = step - gradients, rest = shipped - step - augment, which is what feeding
and Keras's loop add; then operations a second of `forward` and `gradients` as a share of the chip's rate
for matrix products, measured beside them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.operations import BACK, compiled, multiply_adds, wait
from benchmarks.train import CLASSES, SIZE, bare, build, each_net, shipped
from stages.train.params import TrainSettings

Call = Callable[[], Any]


def parts(name: str, settings: TrainSettings, steps: int) -> dict[str, Call]:
    """Each part as a function that does `steps` steps."""
    from keras import ops

    from stages.train.augment import augment

    net = build(name)
    rng = np.random.default_rng(0)
    size = settings.batch_size
    everything = ops.convert_to_tensor(rng.integers(0, 256, (steps * size, SIZE, SIZE, 1), dtype=np.uint8))
    rows = ops.convert_to_tensor(rng.permutation(steps * size)[:size].astype(np.int32))
    labels = ops.convert_to_tensor(rng.integers(0, CLASSES, size, dtype=np.int32))
    faces = ops.take(everything, rows, axis=0)

    def changed(all_faces: Any, chosen: Any) -> Any:
        return augment(ops.take(all_faces, chosen, axis=0), settings.augment, 0)

    change = compiled(changed)
    forward, gradients = _passes(net)
    calls: dict[str, Call] = {
        "augment": lambda: change(everything, rows),
        "forward": lambda: forward(faces, labels),
        "gradients": lambda: gradients(faces, labels),
    }
    found: dict[str, Call] = {key: _repeated(call, steps) for key, call in calls.items()}
    found["step"] = bare(name, settings, steps)
    found["shipped"] = shipped(name, settings, steps)
    return found


def _repeated(call: Call, steps: int) -> Call:
    def run() -> None:
        for _ in range(steps):
            last = call()
        wait(last)

    return run


def _passes(net: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Forward, and forward with backward: functions of faces and labels, compiled; each gives the loss."""
    import keras
    from keras import ops

    def loss_of(probabilities: Any, labels: Any) -> Any:
        return ops.mean(keras.losses.sparse_categorical_crossentropy(labels, probabilities))

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        weights, others = (
            [v.value for v in group] for group in (net.trainable_variables, net.non_trainable_variables)
        )

        def stateless(given: Any, kept: Any, faces: Any, labels: Any) -> Any:
            found, kept = net.stateless_call(given, kept, faces, training=True)
            return loss_of(found, labels), kept

        forward = jax.jit(stateless)
        backward = jax.jit(jax.value_and_grad(stateless, has_aux=True))
        return (
            lambda faces, labels: forward(weights, others, faces, labels)[0],
            lambda faces, labels: backward(weights, others, faces, labels)[0][0],
        )
    if backend == "torch":

        def torch_gradients(faces: Any, labels: Any) -> Any:
            net.zero_grad()
            loss = loss_of(net(faces, training=True), labels)
            loss.backward()
            return loss.detach()

        return lambda faces, labels: loss_of(net(faces, training=True), labels).detach(), torch_gradients
    import tensorflow as tf

    def taped(faces: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(net(faces, training=True), labels)
        # Given back, since TensorFlow leaves out what nothing takes.
        return loss, tape.gradient(loss, [variable.value for variable in net.trainable_variables])

    backward = compiled(taped)
    forward = compiled(lambda faces, labels: loss_of(net(faces, training=True), labels))
    return forward, lambda faces, labels: backward(faces, labels)[0]


def measure(name: str, settings: TrainSettings, rounds: int, steps: int, rate: float) -> dict[str, float]:
    """Let the parts take turns; milliseconds a step, and shares of the chip's rate."""
    calls = parts(name, settings, steps)
    for call in calls.values():
        call()  # compiles
    took: dict[str, list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for key, call in calls.items():
            started = time.perf_counter()
            call()
            took[key].append(1000 * (time.perf_counter() - started) / steps)
    median = {key: statistics.median(values) for key, values in took.items()}
    operations = 2 * multiply_adds(build(name)) * settings.batch_size
    found = {
        "augment": median["augment"],
        "forward": median["forward"],
        "backward": median["gradients"] - median["forward"],
        "optimizer": median["step"] - median["gradients"],
        "rest": median["shipped"] - median["step"] - median["augment"],
        "shipped": median["shipped"],
        "forward's share of the rate": operations / (median["forward"] / 1000) / rate,
        "gradients' share of the rate": (1 + BACK) * operations / (median["gradients"] / 1000) / rate,
    }
    return {key: round(value, 3) for key, value in found.items()}


if __name__ == "__main__":
    each_net(__doc__, measure)
