"""What an altered copy of FER2013 costs: one training on the published faces, one on the same faces altered.

    dvc repro class_weights -S ...                 # data/ of FER2013, official parts, copies removed
    python -m benchmarks.alteration [--epochs 4] [--seed 0]

Altered is what a public copy had done to every picture, in place: multiplied by 1.2 with clipping, then the
histogram equalised. Both runs have the same net, settings, seed and order of faces; the last epoch counts, so
nothing is chosen. Both are measured on the published PublicTest faces; no PrivateTest face is read. Printed:
accuracy and macro F1 of both, their paired change with its 95 % bootstrap interval over faces, McNemar's
p-value, and what the altered run seems to reach when it is measured on altered faces too.
Figures: docs/results.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from stages.backend import use_backend
from stages.errors import run
from stages.evaluate.predict import predict
from stages.evaluate.scores import Integers, accuracy, confusion_matrix, macro_f1
from stages.faces import load_images, read_splits
from stages.settings import read_section
from stages.train.checkpoints import NoCheckpoints, Progress
from stages.train.inputs import TrainingSet, training_set
from stages.train.params import ModelSettings, TrainSettings
from tools.gate.decide import mcnemar
from tools.gate.pairs import Pairs
from tools.gate.resampling import bootstrap, kinds

GAIN = 1.2
RESAMPLES = 10_000


class LastEpoch(NoCheckpoints):
    """Has the training return its last epoch, not its best."""

    def write(self, progress: Progress, *_: Any) -> None:
        """Forget the best score, so that the next epoch counts as better."""
        progress.best = None


def altered(faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Multiply by GAIN with clipping, then equalise each histogram; N x H x W, uint8.

    >>> int(altered(np.full((1, 2, 2), 250, np.uint8)).max())
    255
    """
    brighter = np.minimum(np.rint(GAIN * faces), 255).astype(np.uint8)
    return np.stack([np.asarray(ImageOps.equalize(Image.fromarray(face))) for face in brighter])


def fit(data: TrainingSet, model: ModelSettings, settings: TrainSettings) -> Any:
    """Train and return the net of the last epoch."""
    from stages.train.build import net_builder
    from stages.train.nets import body_layers
    from stages.train.train import train

    build = net_builder(model, settings, data).build
    return train(build, data, settings, LastEpoch(), body_layers, say=lambda line: print(line, flush=True))[0]


def compare(classes: list[str], actual: Integers, before: Integers, after: Integers) -> str:
    """The paired change of accuracy and macro F1 in words."""
    faces = np.arange(len(actual))  # without copies each face is a group of its own
    pairs = Pairs(tuple(classes), actual, before, after, faces, 1.0)
    drawn = bootstrap(kinds(pairs), RESAMPLES, np.random.default_rng(0))
    low, high = np.quantile(drawn[:, :2], [0.025, 0.975], axis=0)
    scores = [_scores(actual, predicted, len(classes)) for predicted in (before, after)]
    lost, gained = ((before == actual) & (after != actual)), ((before != actual) & (after == actual))
    test = mcnemar(int(lost.sum()), int(gained.sum()))
    changes = [
        f"{name} {100 * (scores[1][i] - scores[0][i]):+.1f} ({100 * low[i]:+.1f} to {100 * high[i]:+.1f})"
        for i, name in enumerate(("accuracy", "macro F1"))
    ]
    return (
        f"{'; '.join(changes)} points, {test.lost} faces lost, {test.gained} gained, p = {test.p_value:.1e}"
    )


def _scores(actual: Integers, predicted: Integers, classes: int) -> tuple[float, float]:
    counts = confusion_matrix(actual, predicted, classes)
    return float(accuracy(counts)), float(macro_f1(counts))


def main() -> None:
    """Train twice, predict, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="keep the predictions there, as .npz")
    options = parser.parse_args()
    wanted = {"epochs": options.epochs, "seed": options.seed, "schedule": "cosine", "batch_size": 64}
    settings = read_section("train", TrainSettings).model_copy(
        update=wanted | {"precision": "mixed_bfloat16"}
    )
    use_backend(settings.backend)
    splits = read_splits("data/splits.csv")
    classes = sorted(set(splits["label"]))
    published = training_set(load_images("data/faces.npy"), splits, dict.fromkeys(classes, 1.0))
    changed = published.faces.copy()
    changed[..., 0] = altered(published.faces[..., 0])
    mixed = np.concatenate([changed[: published.train], published.faces[published.train :]])
    model = ModelSettings(arch="baseline_cnn", weights=None)
    rows = np.arange(published.train, len(published.faces))
    actual = published.validation_labels.astype(np.int64)
    seen: dict[str, Integers] = {}
    for name, data in {"published": published, "altered": replace(published, faces=mixed)}.items():
        print(f"{name}: {data.train:,} training faces, {len(rows):,} of PublicTest", flush=True)
        net = fit(data, model, settings)
        seen[name] = predict(net, published.faces[..., 0], rows, "none").argmax(axis=1)
    seen["altered, on altered faces"] = predict(net, changed[..., 0], rows, "none").argmax(axis=1)
    for name, predicted in seen.items():
        right, f1 = _scores(actual, predicted, len(published.classes))
        print(f"{name}: accuracy {100 * right:.1f} %, macro F1 {f1:.3f}")
    print("altered less published:", compare(published.classes, actual, seen["published"], seen["altered"]))
    if options.out:
        np.savez_compressed(options.out, actual=actual, **seen)  # type: ignore[arg-type]


if __name__ == "__main__":
    run("alteration", main, hint="")
