"""Trains a net: models/model.keras and plots/history.csv. Run: python -m stages.train."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path

import pandas as pd

from candid.backend import use_backend, versions
from candid.data.faces import load_images, read_splits
from candid.errors import run
from candid.files import read_json, write_csv
from candid.settings import read_section
from candid.training.checkpoints import Checkpoints, NoCheckpoints
from candid.training.distribute import OWN, distribution_of
from candid.training.inputs import training_set
from candid.training.lineage import lineage
from candid.training.params import ModelSettings, TrainSettings
from candid.training.state import fingerprint, run_folder, source_files

INPUTS = ("data/faces.npy", "data/splits.csv", "data/class_weights.json")


def main() -> None:
    """Read the settings and the faces, train, write the model and the history."""
    settings, model = read_section("train", TrainSettings), read_section("model", ModelSettings)
    split = distribution_of(settings)
    use_backend(settings.backend, split.start)
    from candid.training.build import net_builder  # Keras from here on
    from candid.training.nets import body_layers
    from candid.training.save import write_model
    from candid.training.train import COLUMNS, train

    data = training_set(load_images(INPUTS[0]), read_splits(INPUTS[1]), read_json(INPUTS[2]))
    net = net_builder(model, settings, data)
    read = [*map(Path, INPUTS), *net.files, *source_files()]
    name = fingerprint({"train": settings.model_dump(), "net": net.settings}, read, versions())
    split.check_same(name)
    with nullcontext() if split.addresses else run_folder(name) as folder:
        checkpoints = Checkpoints(folder) if folder else NoCheckpoints()
        tell = say if split.chief else _keep_quiet
        trained, history = train(
            net.build, data, settings, checkpoints, body_layers, net.weights, sys.stdout.isatty(), tell, split
        )
        if split.chief:
            write_csv("plots/history.csv", pd.DataFrame(history, columns=list(COLUMNS)))
            write_model("models/model.keras", trained, *lineage(net.about, data.faces, net.weights))
        checkpoints.clear()


def say(line: str) -> None:
    """Print one line now: a log is read while the run goes on."""
    print(line, flush=True)


def _keep_quiet(line: str) -> None:
    del line


if __name__ == "__main__":
    # Of the processes of one training only the first writes: the others may run in the same folder.
    run("train", main, alone=os.environ.get(OWN, "0") == "0")
