"""Training, augmentation and all, against the bare compiled step.

    python -m benchmarks.train [--nets residual_cnn resnet18 vgg19] [--rounds 5] [--steps 8] [--batch 32]

For each net two ways to train on TensorFlow take turns in one process, so that what else the machine does
falls on both: `bare` is the net's own compiled step, called again and again on one batch that is already in
memory: the limit. `shipped` is an epoch of stages/train as params.yaml has it, without its validation.
Printed: faces per second of each (median over the rounds) and the ratio of `shipped` to `bare` (median of the
rounds' ratios). The faces are random; the speed does not depend on what they show.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from candid.backend import backend, feed, use_backend, worth_compiling
from candid.cli import Parser
from candid.settings import read_section
from candid.training.data import TrainingSet, epoch_order
from candid.training.settings import NETS, TrainSettings

CLASSES, SIZE = 7, 48
Round = Callable[[], object]


def build(name: str) -> Any:
    """A net with the settings of params.yaml."""
    from candid.training.nets import build_model

    own = read_section(f"archs.{name}", NETS[name].settings)
    return build_model(name, classes=CLASSES, image_size=SIZE, **own.model_dump())


def random_set(count: int) -> TrainingSet:
    """Faces and labels of no meaning."""
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (count, SIZE, SIZE, 1), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, count).astype(np.int32)
    return TrainingSet(faces, labels, [*map(str, range(CLASSES))], np.ones(CLASSES, np.float32), count)


def bare(name: str, settings: TrainSettings, steps: int, optimizer: Any) -> Round:
    """The net's own step on one batch in memory."""
    import keras

    net, data = build(name), random_set(settings.batch_size)
    net.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=worth_compiling())
    batch = keras.ops.convert_to_tensor(data.faces), keras.ops.convert_to_tensor(data.labels)
    net.train_on_batch(*batch)

    def run() -> float:
        for _ in range(steps):
            logs = net.train_function(itertools.repeat(batch))
        return float(logs["loss"])  # waits for an accelerator

    return run


def shipped(name: str, settings: TrainSettings, steps: int, optimizer: Any) -> Round:
    """Epochs of stages/train, without their validation."""
    from candid.training.batch_norm import fused_batch_norm
    from candid.training.learner import Learner, seed_epoch

    net, data = build(name), random_set(steps * settings.batch_size)
    learner = Learner(net, data, settings)
    at_once = min(settings.steps_per_execution, steps) if backend() == "tensorflow" else 1
    learner.compile(optimizer, jit_compile=worth_compiling(), steps_per_execution=at_once)
    epochs = itertools.count()

    def run() -> None:
        epoch = next(epochs)
        seed_epoch(learner, settings.seed, epoch)
        order = epoch_order(data.train, settings.batch_size, settings.seed, epoch)
        with fused_batch_norm(net):
            learner.fit(**feed(order, settings.batch_size), shuffle=False, verbose=0)

    return run


def measure(name: str, settings: TrainSettings, rounds: int, steps: int) -> dict[str, float]:
    """Let both ways take turns; faces per second, and their ratio."""
    from candid.training.fit import build_optimizer, phase_of

    speeds: dict[str, list[float]] = {}
    runs = {
        way.__name__: way(name, settings, steps, build_optimizer(settings, phase_of(0, settings), steps))
        for way in (bare, shipped)
    }
    for run in runs.values():
        run()  # compiles
    for _ in range(rounds):
        for way, run in runs.items():
            started = time.perf_counter()
            run()
            speeds.setdefault(way, []).append(steps * settings.batch_size / (time.perf_counter() - started))
    speeds["ratio"] = [ours / limit for ours, limit in zip(speeds["shipped"], speeds["bare"], strict=True)]
    return {way: statistics.median(values) for way, values in speeds.items()}


def main() -> None:
    """Measure each net."""
    parser = Parser(prog="python -m benchmarks.train", description=__doc__)
    parser.add_argument("--nets", nargs="+", default=["residual_cnn", "resnet18", "vgg19"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="steps of one way before the next has its turn")
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    settings = read_section("train", TrainSettings).model_copy(update={"batch_size": options.batch})
    use_backend("tensorflow")
    for name in options.nets:
        row = measure(name, settings, options.rounds, options.steps)
        print(name, "  ".join(f"{key} {value:.3g}" for key, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
