"""Trains a net: models/model.keras and plots/history.csv. Run: python -m stages.train.

plots/augmented.png shows some training faces before and after the changes of train.augment.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from candid.backend import use_backend, versions
from candid.data.faces import LABELS, load_images, read_splits
from candid.errors import run
from candid.files import read_csv, read_json, write_csv, writing
from candid.settings import read_section
from candid.training.checkpoints import Checkpoints, History, fingerprint, run_folder, source_files
from candid.training.data import training_set
from candid.training.distribution import strategy_of
from candid.training.lineage import lineage
from candid.training.settings import NETS, HogSettings, ModelSettings, TrainSettings

INPUTS = ("data/faces.npy", "data/splits.csv", "data/class_weights.json", "data/votes.csv")
SHOWN, CHANGES = 6, 6  # faces in plots/augmented.png, and changes of each


def main() -> None:
    """Read the settings and the faces, train, write the history after each epoch and the model at the end."""
    settings, model = read_section("train", TrainSettings), read_section("model", ModelSettings)
    own = read_section(f"archs.{model.arch}", NETS[model.arch].settings)
    strategy = strategy_of(settings)
    use_backend(settings.backend, strategy.start)
    from candid.training.augment import sheet  # Keras from here on
    from candid.training.fit import COLUMNS, Progress, best_epoch, train, train_svm
    from candid.training.nets import build_model
    from candid.training.save import initial_weights, write_model

    votes = None
    if settings.targets == "votes":
        votes = read_csv(INPUTS[3], ("id", *LABELS), dict.fromkeys(("id", *LABELS), np.int64))
    data = training_set(load_images(INPUTS[0]), read_splits(INPUTS[1]), read_json(INPUTS[2]), votes)
    side, channels = data.faces.shape[2:]
    one_step = isinstance(own, HogSettings)  # it sees each face once, as it is
    crop = None if one_step else settings.augment.crop
    size = crop.size if crop else side
    start = initial_weights(model.weights)
    shape = {"classes": len(data.classes), "image_size": size, "channels": channels}
    build = partial(build_model, model.arch, **shape, weights=start.preset, **own.model_dump())

    def record(history: History) -> None:
        write_csv("plots/history.csv", pd.DataFrame(history, columns=list(COLUMNS)))

    settings_read = {section: values.model_dump() for section, values in
                     {"train": settings, "model": model, "arch": own}.items()}  # fmt: skip
    name = fingerprint(settings_read, [*map(Path, INPUTS), *start.files, *source_files()], versions())
    with run_folder(name) as folder:
        progress = Progress(partial(print, flush=True), record, sys.stdout.isatty())
        if isinstance(own, HogSettings):
            net, history = train_svm(build, data, own.C, progress)
        else:
            state = Checkpoints(folder)
            net, history = train(build, data, settings, state, start.model, progress, strategy)
        about = {
            "classes": data.classes,
            "image_size": side,
            "color": "grey" if channels == 1 else "rgb",
            "crop": crop and crop.size,
            "best_epoch": best_epoch(history, settings.monitor),
        }
        shown = data.faces[np.linspace(0, data.train - 1, SHOWN).astype(int)]
        with writing("plots/augmented.png") as aside:
            drawn = sheet(shown, settings.augment, settings.seed, 0 if one_step else CHANGES)
            Image.fromarray(drawn).save(aside, optimize=True)
        write_model("models/model.keras", net, *lineage(about, data.faces, start.model))


if __name__ == "__main__":
    run("train", main)
