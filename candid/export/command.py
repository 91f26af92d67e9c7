"""Export a model: candid export --to onnx litert --int8

Each export is run on test faces and compared with Keras; a float one that differs is not kept.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from candid import text
from candid.backend import use_backend
from candid.errors import CandidError
from candid.evaluation.model_file import read_card
from candid.evaluation.predict import Images, predict
from candid.evaluation.scores import Floats
from candid.export.compare import (
    HEAD,
    Faces,
    Measured,
    export_facts,
    known_faces,
    latencies,
    measure,
    refuse_unequal,
    table_notes,
    table_rows,
)
from candid.export.formats import FORMATS, Runner, attempt, need
from candid.files import md5, write_json, writing
from candid.labelled import as_taken, other_faces, read_parts
from candid.predict.classifier import Classifier, default_model, load_classifier


class Options(NamedTuple):
    """The options of the command line."""

    model: Path
    to: list[str]
    int8: bool
    out: Path
    data: Path
    calibrate: int


def read_options(arguments: list[str] | None = None) -> Options:
    """Parse the command line; an impossible value is a CandidError."""
    parser = argparse.ArgumentParser(
        prog="candid export",
        description="Export a model through Keras, run the export, and compare it with Keras on test faces.",
    )
    parser.add_argument("--model", type=Path, default=default_model(), help="default: the one that ships")
    parser.add_argument("--to", nargs="+", required=True, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("--int8", action="store_true", help="also with integers of 8 bits inside")
    parser.add_argument("--out", type=Path, default=Path("exported"), help="folder; default: exported")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("data"),
        help="folder data of a run; where there is none, the sample",
    )
    parser.add_argument("--calibrate", type=int, default=512, help="training faces for int8; default: 512")
    options = Options(**vars(parser.parse_args(arguments)))
    for name in options.to:
        if name not in FORMATS:
            raise CandidError(f"--to {name}: unknown format; expected {' or '.join(FORMATS)}")
    if options.calibrate < 1:
        raise CandidError(f"--calibrate {options.calibrate}: expected at least 1 face")
    return options._replace(to=list(dict.fromkeys(options.to)))


def load(path: Path) -> Classifier:
    """Load a model; CandidError where it is none, or KERAS_BACKEND asks for something else."""
    asked = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if asked != "tensorflow":
        raise CandidError(f"KERAS_BACKEND={asked}: the exporters go through TensorFlow; expected it unset")
    read_card(path)  # before TensorFlow takes its seconds
    use_backend("tensorflow")
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # TensorFlow is at work already, in a test say
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    return load_classifier(path)


def keras_runner(model: Any) -> Runner:
    """Run the model in Keras, in batches."""

    def run(faces: Images) -> Floats:
        if len(faces) == 1:
            return np.asarray(model.predict_on_batch(faces), np.float64)
        found: Floats = predict(model, faces, np.arange(len(faces)), "none")
        return found

    return run


def export(
    classifier: Classifier, name: str, out: Path, faces: Faces, keras: Floats, calibrate: Images | None
) -> Iterator[Measured]:
    """Write a format's float model and, where there are faces to calibrate on, its int8 model.

    Nothing is left under the final name of a model that can't be run or, in float, is not equal to Keras's.

    Args:
        classifier: what is exported.
        name: of the format.
        out: folder.
        faces: to run it on.
        keras: Keras's probabilities for them.
        calibrate: training faces as the model takes them, for int8; None: float alone.
    """
    form = FORMATS[name]
    kinds: list[tuple[str, str, tuple[Any, ...]]] = [("float32", "", ())]
    if calibrate is not None:
        kinds.append(("int8", ".int8", (calibrate,)))
    for precision, mark, more in kinds:
        path = out / f"{classifier.path.stem}{mark}{form.suffix}"
        work = form.write_int8 if more else form.write
        about = describe(classifier, precision)
        with writing(path) as aside:
            attempt(f"{path}: can't be exported", work, classifier.model, aside, *more)
            attempt(f"{path}: can't be annotated", form.annotate, aside, {"candid.json": json.dumps(about)})
            run = attempt(f"{path}: can't be run", form.load, aside)
            size, row = aside.stat().st_size, f"{name} {precision}"
            found = attempt(f"{path}: can't be run", measure, row, path, size, run, faces, keras)
            if precision == "float32":
                refuse_unequal(found)
        write_json(path.with_name(f"{path.name}.json"), export_facts(found, about))
        yield found


def describe(classifier: Classifier, precision: str) -> dict[str, Any]:
    """What stands in an export's metadata: all that somebody needs to feed it and to read its answer."""
    card, shape = classifier.card, classifier.model.input_shape
    return {
        "classes": card.classes,
        "input": {"dtype": "uint8", "shape": [None, *shape[1:]], "color": card.color},
        "output": "probabilities in the order of classes",
        "faces": f"{card.image_size} x {card.image_size} pixels"
        + (f", cut to {shape[1]} at the centre" if shape[1] != card.image_size else ""),
        "precision": precision,
        "model": {"file": classifier.path.name, "md5": md5(classifier.path)},
    }


def main(arguments: list[str] | None = None) -> None:
    """Read, export, compare, print."""
    options = read_options(arguments)
    for name in options.to:
        need(name)
    classifier = load(options.model)
    shape = classifier.model.input_shape
    parts = read_parts(options.data)
    faces = known_faces(parts.test, classifier.card.classes, shape, parts.source)
    few = parts.train.some(options.calibrate, seed=0)
    calibrate = as_taken(np.asarray(few.images[few.ids]), shape) if options.int8 else None

    keras = keras_runner(classifier.model)
    given = keras(faces.images)
    measured = [measure("Keras", options.model, options.model.stat().st_size, keras, faces)]
    for name in options.to:
        measured += export(classifier, name, options.out, faces, given, calibrate)
    rows = table_rows(measured, latencies([each.run for each in measured], faces.images[:1]))
    lines = table_notes(faces, parts.source, 0 if calibrate is None else len(calibrate))
    lines += other_faces(options.model, parts)
    title = f"Exports of {classifier.describe()}"
    print(title, *text.table(HEAD, rows), *lines, *(each.path for each in measured[1:]), sep="\n")
