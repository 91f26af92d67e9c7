"""Trains a net: models/model.keras and plots/history.csv. Run: python -m stages.train."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from candid.backend import use_backend, versions
from candid.data.faces import LABELS, load_images, read_splits
from candid.errors import CandidError, run
from candid.files import read_csv, read_json, write_csv
from candid.settings import read_section
from candid.training.checkpoints import Checkpoints, History, fingerprint, run_folder, source_files
from candid.training.data import training_set
from candid.training.distribution import strategy_of
from candid.training.lineage import lineage
from candid.training.settings import NETS, ModelSettings, TrainSettings

INPUTS = ("data/faces.npy", "data/splits.csv", "data/class_weights.json", "data/votes.csv")


def main() -> None:
    """Read the settings and the faces, train, write the history after each epoch and the model at the end."""
    settings, model = read_section("train", TrainSettings), read_section("model", ModelSettings)
    own = read_section(f"archs.{model.arch}", NETS[model.arch].settings)
    strategy = strategy_of(settings)
    use_backend(settings.backend, strategy.start)
    from candid.training.fit import COLUMNS, Progress, best_epoch, train  # Keras from here on
    from candid.training.nets import build_model
    from candid.training.save import initial_weights, write_model

    votes = None
    if settings.targets == "votes":
        votes = read_csv(INPUTS[3], ("id", *LABELS), dict.fromkeys(("id", *LABELS), np.int64))
    data = training_set(load_images(INPUTS[0]), read_splits(INPUTS[1]), read_json(INPUTS[2]), votes)
    side, channels = data.faces.shape[2:]
    crop = settings.augment.crop
    size = crop.size if crop else side
    if size > side:
        raise CandidError(
            f"params.yaml: train.augment.crop.size = {size}: {INPUTS[0]} has faces of {side} pixels"
        )
    start = initial_weights(model.weights)
    shape = {"classes": len(data.classes), "image_size": size, "channels": channels}
    build = partial(build_model, model.arch, **shape, weights=start.preset, **own.model_dump())

    def record(history: History) -> None:
        write_csv("plots/history.csv", pd.DataFrame(history, columns=list(COLUMNS)))

    settings_read = {section: values.model_dump() for section, values in
                     {"train": settings, "model": model, "arch": own}.items()}  # fmt: skip
    name = fingerprint(settings_read, [*map(Path, INPUTS), *start.files, *source_files()], versions())
    with run_folder(name) as folder:
        checkpoints, progress = Checkpoints(folder), Progress(say, record, sys.stdout.isatty())
        net, history = train(build, data, settings, checkpoints, start.model, progress, strategy)
        about = {
            "classes": data.classes,
            "image_size": side,
            "color": "grey" if channels == 1 else "rgb",
            "crop": crop and crop.size,
            "best_epoch": best_epoch(history, settings.monitor),
        }
        write_model("models/model.keras", net, *lineage(about, data.faces, start.model))
        checkpoints.clear()


def say(line: str) -> None:
    """Print one line now: a log is read while the run goes on."""
    print(line, flush=True)


if __name__ == "__main__":
    run("train", main)
