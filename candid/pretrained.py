"""Pack a run's model as the one that ships: python -m candid.pretrained RUN/models/model.keras

Writes the model with float16 kernels (at most 8 MB) and with logits calibrated on the validation set, its
scores on the test set of the run, measured from the packed file, as JSON, and its card.
"""

from __future__ import annotations

import argparse
import io
import re
import shlex
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from candid.backend import use_backend
from candid.data.faces import class_order, load_images, read_faces, read_kept, read_splits
from candid.errors import CandidError, run
from candid.evaluation import predictions
from candid.evaluation.model_file import check_classes, load_model_file, read_card
from candid.evaluation.predict import check_input, predict
from candid.evaluation.report import evaluate
from candid.files import md5, stamped_entry, write_json, write_text, writing
from candid.gate.results import Revision, resolve
from candid.html import render
from candid.recipes.load import flat
from candid.report.command import described
from candid.report.run import SECTIONS, Run, read_run, share
from candid.reproduce.command import set_param
from candid.text import markdown_table
from candid.training.lineage import ancestor_digests

MODEL = "models/model.keras"
WEIGHTS = "model.weights.h5"
MAX_BYTES = 8_000_000
HEADLINES = (
    ("accuracy", "", "accuracy"),
    ("macro F1", "macro", "f1"),
    ("balanced accuracy", "", "balanced_accuracy"),
    ("log loss", "", "log_loss"),
    ("calibration error (ECE)", "", "ece"),
)
"""Name, section of metrics/report.json, and key."""
VIEWS = {"none": "one view", "flip": "with its mirror image", "ten_crop": "ten crops"}
"""Kinds of test-time augmentation; ten_crop for a net that was trained on crops."""


def main(arguments: list[str] | None = None) -> None:
    """Pack, measure, describe."""
    parser = argparse.ArgumentParser(prog="python -m candid.pretrained", description=__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL", help="models/model.keras of a finished run")
    parser.add_argument("--out", type=Path, default=Path("models/pretrained/fer2013.keras"))
    options = parser.parse_args(arguments)
    if options.out.suffix != ".keras":
        raise CandidError(f"--out {options.out}: expected a name that ends with .keras")
    about = make(options.model, options.model.resolve().parent.parent, options.out)
    print(f"{options.out}: {about['bytes']:,} bytes, md5 {about['md5']}")
    for views, scores in about["metrics"].items():
        print(f"{views}: accuracy {share(scores, 'accuracy')} on {scores['faces']:,} test faces")


def make(model: Path, folder: Path, out: Path) -> dict[str, Any]:
    """Pack the model of a finished run in `folder`; return the content of the JSON file beside `out`.

    CandidError: no model, metrics of another one, or a packed file that is too large.
    """
    read_card(model)
    finished = read_run(Revision(folder, str(folder)))
    made = finished.counts.get("provenance") or {}
    if (made.get("md5") or {}).get(MODEL) != md5(model):
        raise CandidError(f"{model}: {folder}/metrics are of another model; expected a finished run")
    use_backend("tensorflow")
    data = folder / "data"
    images, splits = load_images(data / "faces.npy"), read_splits(data / "splits.csv")
    faces, kept = read_faces(data / "faces.csv"), read_kept(data / "kept.csv")
    test = predictions.tabulate_test_set(splits, faces, kept, images, ancestor_digests(model))
    classes = class_order(splits["label"])
    net, description = load_model_file(model)
    check_classes(description, classes, model)
    check_input(net, description, images, "none", model)
    temperature = round(calibrate(net, images, splits[splits["part"] == "validation"], classes), 3)
    size = pack(model, out, temperature)
    packed, ids = load_model_file(out)[0], test["id"].to_numpy()
    cropped = packed.input_shape[1] < images.shape[1]
    kinds = [name for name in VIEWS if cropped or name != "ten_crop"]
    shares = {name: predict(packed, images, ids, name) for name in kinds}
    flipped = predict(net, images, ids, "none").argmax(axis=1) != shares["none"].argmax(axis=1)
    tables = {name: predictions.with_predictions(test, classes, values) for name, values in shares.items()}
    about = {
        "file": out.name,
        "bytes": size,
        "md5": md5(out),
        "classes": list(finished.results.classes),
        "metrics": {name: evaluate(table) for name, table in tables.items()},
        "side": packed.input_shape[1],
        "temperature": temperature,
        "faces_whose_class_changed": int(flipped.sum()),
        "packed_from": md5(model),
        "commit": made["revision"],
        "command": command(folder, finished, made["revision"]),
        "versions": made["versions"],
        "settings": {name: finished.params[name] for name in SECTIONS if name in finished.params},
    }
    write_json(out.with_suffix(".json"), about)
    write_text(out.with_suffix(".md"), card(finished, about))
    return about


def calibrate(net: Any, images: Any, validation: pd.DataFrame, classes: list[str]) -> float:
    """Return the temperature of a net on the validation rows of data/splits.csv, one view a face."""
    from candid.training.fit import best_temperature

    labels = validation["label"].map(classes.index).to_numpy(np.int32)
    shares = predict(net, images, validation["id"].to_numpy(), "none")
    return best_temperature(np.log(np.maximum(shares, np.finfo(np.float32).tiny)), labels)


def command(folder: Path, finished: Run, revision: str) -> str:
    """Return the `dvc exp run` that changes params.yaml of the run's commit to the run's settings."""
    own = f"archs.{finished.setting('model.arch')}."
    settings = {
        key: value
        for key, value in flat(finished.params).items()
        if key.startswith(own) or key.partition(".")[0] in {*SECTIONS} - {"archs"}
    }
    changes = set_param(resolve(folder, revision).yaml("params.yaml"), settings)[1::2]
    return " \\\n  ".join(["dvc exp run", *(f"-S {shlex.quote(change)}" for change in changes)])


def card(finished: Run, about: dict[str, Any]) -> str:
    """Return the Markdown beside the model file, with the scores of the packed file."""
    shipped = replace(finished, results=replace(finished.results, report=about["metrics"]["none"]))
    rows = []
    for name, section, key in HEADLINES:
        scores = [values[section] if section else values for values in about["metrics"].values()]
        plain = key in ("log_loss", "ece")
        rows.append((name, *(f"{of[key]:.3f}" if plain else share(of, key) for of in scores)))
    header = ("score (95 % interval)", *(VIEWS[name] for name in about["metrics"]))
    headline = markdown_table(header, rows)
    return render("pretrained.md", run=shipped, about=about, **described(shipped), headline=headline)


def pack(source: str | Path, target: str | Path, temperature: float = 1.0) -> int:
    """Write a .keras file again with float16 kernels, logits over `temperature`; return the new file's bytes.

    Keras reads stored numbers into variables of the layers' own type, so the net still computes in float32.
    Vectors (biases, batch norm) stay as they are: they are few, and variances would lose the most. Equal
    weights give equal bytes. CandidError: a weight is beyond float16 (65,504), the weights are no HDF5
    file, or the result is larger than MAX_BYTES.
    """
    with zipfile.ZipFile(source) as plain, writing(target) as aside:
        with zipfile.ZipFile(aside, "w") as packed:
            for name in sorted(plain.namelist()):
                content = plain.read(name)
                content = half(content, source, temperature) if name == WEIGHTS else content
                packed.writestr(stamped_entry(name), content)
        if (size := aside.stat().st_size) > MAX_BYTES:
            expected = f"expected at most {MAX_BYTES:,}: ship a smaller net"
            raise CandidError(f"{target}: {size:,} bytes with float16 kernels; {expected}")
    return size


def half(content: bytes, where: str | Path, temperature: float = 1.0) -> bytes:
    """Return an HDF5 file with its float32 arrays of two and more axes as float16; the rest is copied.

    The weights of the last fully connected layer, which gives the logits, are divided by `temperature`.
    """
    packed = io.BytesIO()
    try:
        with h5py.File(io.BytesIO(content), "r") as old, h5py.File(packed, "w") as new:
            dense = [name for name in old.get("layers", ()) if re.fullmatch(r"dense(_\d+)?", name)]
            last = max(dense, key=lambda name: int(name.partition("_")[2] or 0), default="")

            def copy(name: str, item: Any) -> None:
                if isinstance(item, h5py.Group):
                    new.create_group(name).attrs.update(item.attrs)
                    return
                values = np.asarray(item)
                if item.parent.name == f"/layers/{last}/vars" and values.dtype == np.float32:
                    values = values / np.float32(temperature)
                if values.ndim > 1 and values.dtype == np.float32:
                    if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
                        raise CandidError(f"{where}: /{name} has {np.abs(values).max():g}: beyond float16")
                    values = values.astype(np.float16)
                new.create_dataset(name, data=values).attrs.update(item.attrs)

            new.attrs.update(old.attrs)
            old.visititems(copy)
    except OSError as error:
        raise CandidError(f"{where}: {WEIGHTS} is no HDF5 file: {error}; expected a model of train") from None
    return packed.getvalue()


if __name__ == "__main__":
    run("pretrained", main, hint="")
