"""One run on the bare machine, in a process of its own: python -m benchmarks.gpu.one SET FACES

In a folder with params.yaml and run.json; writes result.json, predictions.npz and model.keras there. Training
and prediction are those of the stages. A killed run goes on from a checkpoint, which lies where those of the
stages lie ($CANDID_STATE).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.backend import devices, use_backend, versions
from stages.errors import run
from stages.evaluate.predict import predict
from stages.evaluate.provenance import provenance
from stages.faces import load_images
from stages.files import md5, write_json, writing
from stages.lineage import lineage
from stages.settings import read_section
from stages.train.checkpoints import Checkpoints, Saved
from stages.train.inputs import TrainingSet
from stages.train.params import ModelSettings, TrainSettings
from stages.train.scores import validation_scores
from stages.train.state import fingerprint, run_folder, source_files

PAUSE = 60.0  # seconds between two checkpoints: on a GPU, writing one can take longer than an epoch


class SeldomCheckpoints(Checkpoints):
    """A checkpoint a minute, and with it the seconds that the run had taken."""

    def __init__(self, folder: Path) -> None:
        """Wait a minute for the first one."""
        super().__init__(folder)
        self.started = time.monotonic()
        self.rest_until = self.started + PAUSE
        self.earlier = 0.0

    @property
    def seconds(self) -> float:
        """That the run has taken, before it was killed too."""
        return self.earlier + time.monotonic() - self.started

    def write(self, *args: Any) -> None:
        """Write if it is time."""
        if time.monotonic() >= self.rest_until:
            super().write(*args)
            write_json(self.folder / "seconds.json", self.seconds)
            self.rest_until = max(self.rest_until, time.monotonic() + PAUSE)

    def read(self) -> Saved | None:
        """Return the last checkpoint, and count the time that led to it."""
        saved = super().read()
        told = self.folder / "seconds.json"
        if saved and told.is_file():
            self.earlier = float(told.read_text(encoding="utf-8"))
        return saved


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
    read = [*map(Path, sys.argv[1:3]), *net.files, *source_files()]
    name = fingerprint({"train": settings.model_dump(), "net": net.settings}, read, versions())
    with run_folder(name) as folder:
        checkpoints = SeldomCheckpoints(folder)
        trained, history = train(
            net.build,
            data,
            settings,
            checkpoints,
            body_layers,
            net.weights,
            say=lambda line: print(line, flush=True),
        )
        seconds = checkpoints.seconds
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
        # Of the checkout that packed the run: here there may be no git.
        made |= {key: given[key] for key in ("revision", "dirty") if key in given}
        if net.weights:
            made["started_from"] = {"file": net.weights.name, "md5": md5(net.weights)}
        written = {"name": given["name"], "seconds": round(seconds, 1), "faces": data.train, "scores": scores}
        write_json("result.json", {**written, "made": made, "history": history})
        checkpoints.clear()


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
