"""Which map says best where a model looks: occlusion, Grad-CAM, or none.

    python benchmarks/explain.py --faces 70

Deletion and insertion (Petsiuk et al. 2018, RISE, arXiv 1806.07421): pixels are taken from the face, or given
back to an empty one, the most important first; the score is the mean probability of the class that the model
said. By a good map it falls at once (deletion: lower is better) and comes back at once (insertion: higher is
better). The empty face is one grey, and then the blurred face, which favours occlusion: it blurs.

Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) needs gradients: TensorFlow only. `centre` and `random`
look at no face: what they reach, any map must beat.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stages.evaluate.scores import Floats
from stages.evaluate.views import Images
from tools.explain.given import of_part
from tools.explain.occlusion import Predict, blurred, drops, heat
from tools.labelled import read_parts
from tools.predict.classifier import DEFAULT, load_classifier

STEPS = 24
Maps = Callable[[Images, int], Floats]
"""A face and a class to a map of its size."""


def scores(
    predict: Predict, face: Images, importance: Floats, said: int, empty: Images
) -> tuple[float, float]:
    """Deletion and insertion of one map: areas under the curves of the probability, 0 to 1."""
    order = np.argsort(-importance.ravel(), kind="stable")
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    ranks = rank.reshape(importance.shape)
    shares = np.linspace(0, order.size, STEPS + 1)
    taken = np.stack([np.where(ranks < share, empty, face) for share in shares])
    given = np.stack([np.where(ranks < share, face, empty) for share in shares])
    found = predict(np.concatenate([taken, given]))[:, said]
    areas = [float((half[1:] + half[:-1]).mean() / 2) for half in np.split(found, 2)]
    return areas[0], areas[1]


def grad_cam(model: Any, name: str) -> Maps:
    """Grad-CAM at a layer: the channels of its map, weighted by the mean gradient of the class's logit."""
    import keras
    import tensorflow as tf

    logits = model.get_layer("head_logits").output
    part = keras.Model(model.inputs, [model.get_layer(name).output, logits])

    def maps(face: Images, said: int) -> Floats:
        with tf.GradientTape() as tape:
            found, scored = part([face[None, ..., None]])
            score = scored[:, said]
        slope = tape.gradient(score, found)
        weighted = np.maximum(
            (found * tf.reduce_mean(slope, axis=(1, 2), keepdims=True)).numpy().sum(-1)[0], 0
        )
        picture = Image.fromarray(weighted.astype(np.float32))
        return np.asarray(picture.resize(face.shape[1::-1], Image.Resampling.BICUBIC), np.float64)

    return maps


def methods(classifier: Any, layers: list[str]) -> dict[str, Maps]:
    """Each way to make a map."""
    generator = np.random.default_rng(0)

    def centre(face: Images, _: int) -> Floats:
        y, x = np.indices(face.shape) - (face.shape[0] - 1) / 2
        return np.asarray(-np.hypot(y, x))

    return {
        "occlusion": lambda face, said: heat(drops(classifier.probabilities, face)[:, said], face.shape[0]),
        **{f"Grad-CAM at {name}": grad_cam(classifier.model, name) for name in layers},
        "centre": centre,
        "random": lambda face, _: generator.random(face.shape),
    }


def main() -> None:
    """Compare on faces of the test part that the model gets right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, default=DEFAULT)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--faces", type=int, default=70)
    parser.add_argument("--layers", nargs="*", default=["stage3_block1_add", "stage2_block2_add"])
    options = parser.parse_args()
    classifier = load_classifier(options.model)
    predict, classes = classifier.probabilities, classifier.card.classes
    given = of_part(read_parts(options.data).test, classifier.card, -(-options.faces // len(classes)) * 3, 0)
    said = predict(given.images).argmax(axis=1)
    right = [place for place, label in enumerate(given.labels) if classes[said[place]] == label]
    chosen = np.random.default_rng(0).permutation(right)[: options.faces]
    print(f"{len(chosen)} faces that {classifier.describe()} gets right")
    print("| map | deletion, grey | insertion, grey | deletion, blurred | insertion, blurred |")
    print("|---|---:|---:|---:|---:|")
    for name, maps in methods(classifier, options.layers).items():
        rows = []
        for place in chosen:
            face, number = given.images[place], int(said[place])
            found = maps(face, number)
            empties = (np.full_like(face, round(float(face.mean()))), blurred(face))
            rows.append([area for empty in empties for area in scores(predict, face, found, number, empty)])
        print(
            f"| {name} | " + " | ".join(f"{value:.3f}" for value in np.mean(rows, axis=0)) + " |", flush=True
        )


if __name__ == "__main__":
    main()
