"""One run on the bare machine, in a process of its own: python -m benchmarks.gpu.one SET FACES

In a folder with params.yaml and run.json; writes result.json, predictions.npz and model.keras there. Training
and prediction are those of the stages.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.backend import devices, use_backend
from stages.errors import run
from stages.evaluate.predict import predict
from stages.evaluate.provenance import provenance
from stages.faces import load_images
from stages.files import write_json, writing
from stages.lineage import lineage
from stages.settings import read_section
from stages.train.checkpoints import NoCheckpoints
from stages.train.inputs import TrainingSet
from stages.train.params import ModelSettings, TrainSettings
from stages.train.scores import validation_scores


def main() -> None:
    """Train, predict validation and, where it was asked for, test faces under each view, write."""
    given = json.loads(Path("run.json").read_text(encoding="utf-8"))
    with np.load(sys.argv[1], allow_pickle=False) as stored:
        arrays = dict(stored)
    faces = load_images(sys.argv[2])
    settings, model = read_section("train", TrainSettings), read_section("model", ModelSettings)
    use_backend(settings.backend)
    from stages.train.build import net_builder
    from stages.train.nets import body_layers
    from stages.train.save import write_model
    from stages.train.train import train

    data = _training_set(arrays, faces)
    net = net_builder(model, settings, data)
    started = time.monotonic()
    trained, history = train(
        net.build,
        data,
        settings,
        NoCheckpoints(),
        body_layers,
        net.weights,
        say=lambda line: print(line, flush=True),
    )
    seconds = time.monotonic() - started
    parts = {"validation": (arrays["faces"][data.train :], data.validation_labels)}
    if given["test"]:
        parts["test"] = (arrays["test"], arrays["test_labels"])
    found: dict[str, NDArray[np.float32]] = {}
    scores: dict[str, Any] = {}
    for view in given["views"]:
        for part, (places, labels) in parts.items():
            probabilities = predict(trained, faces, places, view).astype(np.float32)
            found[f"{part}_{view}"] = probabilities
            scores[f"{part}_{view}"] = validation_scores(probabilities, labels)
    with writing("predictions.npz") as aside, aside.open("wb") as file:
        np.savez_compressed(file, **found)  # type: ignore[arg-type]
    if given["model"]:
        write_model("model.keras", trained, *lineage(net.about, data.faces, net.weights))
    made = provenance(settings.backend, devices(), {"train": settings.seed}, [])
    written = {"name": given["name"], "seconds": round(seconds, 1), "scores": scores, "made": made}
    write_json("result.json", {**written, "history": history})


def _training_set(arrays: dict[str, NDArray[Any]], faces: NDArray[np.uint8]) -> TrainingSet:
    chosen = np.asarray(faces[arrays["faces"]])
    return TrainingSet(
        faces=chosen if chosen.ndim == 4 else chosen[..., None],
        labels=arrays["labels"],
        classes=arrays["classes"].tolist(),
        class_weights=arrays["class_weights"],
        train=int(arrays["train"]),
    )


if __name__ == "__main__":
    run("gpu_runs", main, hint="")
