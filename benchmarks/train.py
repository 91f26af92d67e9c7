"""Training, augmentation and all, against the bare compiled step, and against what the papers' authors did.

    python -m benchmarks.train [--nets residual_cnn resnet18 vgg19] [--rounds 5] [--backend tensorflow]

For each net three ways to train take turns in one process, so that what else the machine does falls on all:
`bare` is the net's own compiled step, called again and again on one batch that already lies in memory, with
no augmentation and nothing else around it: the limit. `shipped` is an epoch of stages/train as params.yaml
has it: shuffled batches by index from the uint8 set, augmentation in the step. `generator` is Keras's
ImageDataGenerator with the same changes feeding `fit`, as most papers have it. Printed: faces per second of
each (median over the rounds) and the ratios of `shipped` to both (median of the rounds' ratios); then the
same by CPU seconds, which other work on the machine hardly changes (on an accelerator they say little); then
the operations a second of `shipped` (multiplications and additions of the convolutions and fully connected
layers, forward and backward) and their share of the rate that the chip reaches in products of large matrices,
measured in the same process. The faces are random; the speed does not depend on what they show.
`python -m benchmarks.train_profile` says where the time goes.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.operations import matrix_rate, training_operations
from candid.backend import devices, use_backend, worth_compiling
from candid.evaluation.provenance import provenance
from candid.files import write_json
from candid.settings import read_section
from candid.training.params import TrainSettings

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"CPU": {"shipped/bare": 0.9}, "accelerator": {"shipped/bare": 0.8, "shipped/generator": 10.0}}
CLASSES, SIZE = 7, 48
Round = Callable[[], int]


def settings_of(arguments: argparse.Namespace) -> TrainSettings:
    """Section `train` of params.yaml with what the command line changes."""
    shipped = read_section("train", TrainSettings, ROOT / "params.yaml")
    wanted = {"batch_size": arguments.batch, "precision": arguments.precision, "backend": arguments.backend}
    return shipped.model_copy(update={key: value for key, value in wanted.items() if value is not None})


def build(name: str) -> Any:
    """A net with the settings of params.yaml."""
    from candid.training import nets

    own = read_section(f"archs.{name}", nets.SETTINGS[name], ROOT / "params.yaml")
    return nets.build_model(name, classes=CLASSES, image_size=SIZE, channels=1, **own.model_dump())


def bare(name: str, settings: TrainSettings, steps: int) -> Round:
    """The net's own step on one batch in memory."""
    import keras

    from candid.training.optimizers import build_optimizer

    net = build(name)
    optimizer = build_optimizer(settings, settings.learning_rate, steps, 0)
    net.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=worth_compiling())
    rng = np.random.default_rng(0)
    shape = (settings.batch_size, SIZE, SIZE, 1)
    faces = keras.ops.convert_to_tensor(rng.integers(0, 256, shape, dtype=np.uint8))
    labels = keras.ops.convert_to_tensor(rng.integers(0, CLASSES, settings.batch_size, dtype=np.int32))
    net.train_on_batch(faces, labels)
    batches = itertools.repeat((faces, labels))

    def run_jax() -> int:
        state = net._get_jax_state(
            trainable_variables=True,
            non_trainable_variables=True,
            optimizer_variables=True,
            metrics_variables=True,
            purge_model_variables=True,
        )
        for _ in range(steps):
            logs, state = net.train_function(state, batches)
        keys = ("trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables")
        net._jax_state = dict(zip(keys, state, strict=True))
        net._jax_state_synced = False
        net.jax_state_sync()
        float(logs["loss"])
        return steps * settings.batch_size

    def run() -> int:
        for _ in range(steps):
            logs = net.train_function(batches)
        float(logs["loss"])  # waits for an accelerator
        return steps * settings.batch_size

    return run_jax if settings.backend == "jax" else run


def shipped(name: str, settings: TrainSettings, steps: int) -> Round:
    """Epochs of stages/train, without their validation."""
    import keras

    from candid.backend import feed, steps_per_call
    from candid.training.inputs import TrainingSet
    from candid.training.learner import Learner
    from candid.training.optimizers import build_optimizer
    from candid.training.streams import epoch_order, seed_epoch

    count = steps * settings.batch_size
    rng = np.random.default_rng(0)
    data = TrainingSet(
        faces=rng.integers(0, 256, (count, SIZE, SIZE, 1), dtype=np.uint8),
        labels=rng.integers(0, CLASSES, count).astype(np.int32),
        classes=[str(number) for number in range(CLASSES)],
        class_weights=np.ones(CLASSES, np.float32),
        train=count,
    )
    learner = Learner(build(name), data, settings)
    learner.compile(
        build_optimizer(settings, settings.learning_rate, steps, 0),
        jit_compile=worth_compiling(),
        steps_per_execution=steps_per_call(min(settings.steps_per_execution, steps)),
    )
    epochs = itertools.count()

    def run() -> int:
        epoch = next(epochs)
        seed_epoch(learner, settings.seed, epoch)
        order = epoch_order(count, settings.batch_size, settings.seed, epoch)
        learner.fit(**feed(order, settings.batch_size), shuffle=False, verbose=0)
        return count

    keras.utils.set_random_seed(0)
    return run


def generator(name: str, settings: TrainSettings, steps: int) -> Round:
    """ImageDataGenerator with flip, rotation, shift, zoom and brightness feeding `fit`."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    from candid.training.optimizers import build_optimizer

    net = build(name)
    optimizer = build_optimizer(settings, settings.learning_rate, steps, 0)
    net.compile(optimizer, "categorical_crossentropy", jit_compile=worth_compiling())
    change = settings.augment
    source = ImageDataGenerator(
        horizontal_flip=change.flip > 0,
        rotation_range=change.rotation.degrees,
        width_shift_range=change.shift.fraction,
        height_shift_range=change.shift.fraction,
        zoom_range=(change.zoom.low, change.zoom.high),
        brightness_range=(1 - change.brightness.amount, 1 + change.brightness.amount),
    )
    rng = np.random.default_rng(0)
    count = steps * settings.batch_size
    faces = rng.integers(0, 256, (count, SIZE, SIZE, 1)).astype(np.float32)
    labels = np.eye(CLASSES)[rng.integers(0, CLASSES, count)]
    flow = source.flow(faces, labels, batch_size=settings.batch_size, seed=0)

    def run() -> int:
        net.fit(flow, epochs=1, verbose=0)
        return count

    return run


def measure(name: str, settings: TrainSettings, rounds: int, steps: int, rate: float) -> dict[str, float]:
    """Let the three ways take turns; faces per second, ratios, and operations against the chip's rate."""
    ways = {way.__name__: way(name, settings, steps) for way in (bare, shipped, generator)}
    for run in ways.values():
        run()  # compiles
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    by_cpu: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            start, cpu = time.perf_counter(), time.process_time()
            count = run()
            speeds[way].append(count / (time.perf_counter() - start))
            by_cpu[way].append(count / (time.process_time() - cpu))
    found = {way: round(statistics.median(values), 1) for way, values in speeds.items()}
    operations = training_operations(build(name)) * found["shipped"]
    found |= {"G operations/s": round(operations / 1e9, 1), "share of the rate": round(operations / rate, 3)}
    for other in ("bare", "generator"):
        found[f"shipped/{other}"] = ratio(speeds["shipped"], speeds[other])
        found[f"cpu shipped/{other}"] = ratio(by_cpu["shipped"], by_cpu[other])
    return found


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Median over the rounds of one speed by another."""
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What this and the profile can be told."""
    parser.add_argument("--nets", nargs="+", default=["residual_cnn", "resnet18", "vgg19"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="steps of one way before the next has its turn")
    parser.add_argument("--batch", type=int, help="batch size; that of params.yaml if not given")
    parser.add_argument("--precision", choices=["float32", "mixed_bfloat16"])
    parser.add_argument("--backend", choices=["tensorflow", "jax", "torch"])
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")


def start(settings: TrainSettings) -> None:
    """Load Keras as the settings say, and tell."""
    use_backend(settings.backend)
    import keras

    keras.config.set_dtype_policy(settings.precision)
    print(f"{settings.backend} on {', '.join(devices())}, {settings.precision}, batch {settings.batch_size}")


def each_net(
    doc: str | None, measure: Callable[[str, TrainSettings, int, int, float], dict[str, float]]
) -> dict[str, Any]:
    """Read the command line, measure each net, print a line for it; gives all of it.

    --json is written after each net, so that a cut keeps what there is.

    Args:
        doc: the command's help.
        measure: net, settings, rounds, steps, chip's rate -> named numbers.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    options = parser.parse_args()
    settings = settings_of(options)
    start(settings)
    rate = matrix_rate(settings.precision)
    print(f"matrix products: {rate / 1e9:.0f} G operations/s")
    found: dict[str, Any] = {
        "devices": devices(),
        "rate": rate,
        "batch": settings.batch_size,
        "precision": settings.precision,
        "made": provenance(settings.backend, devices(), {}, []),
        "nets": {},
    }
    for name in options.nets:
        found["nets"][name] = row = measure(name, settings, options.rounds, options.steps, rate)
        print(name, "  ".join(f"{key} {value:g}" for key, value in row.items()), flush=True)
        if options.json:
            write_json(options.json, found)
    return found


def main() -> None:
    """Measure each net, and hold the slowest against what is wanted."""
    found = each_net(__doc__, measure)
    chip = "CPU" if "cpu" in found["devices"][0].lower() else "accelerator"
    for ratio_of, wanted in TARGETS[chip].items():
        worst = min(row[ratio_of] for row in found["nets"].values())
        print(f"worst {ratio_of} {worst:g}, wanted on this chip: at least {wanted:g}")


if __name__ == "__main__":
    main()
