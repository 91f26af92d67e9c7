"""From a loaded model to checked exports in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from candid.evaluation.predict import Images, predict
from candid.evaluation.scores import Floats
from candid.export.compare import Faces, Measured, measure, refuse_unequal
from candid.export.formats import FORMATS, Runner, attempt
from candid.export.table import beside
from candid.files import md5, write_json, writing
from candid.predict.classifier import Classifier


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
        write_json(path.with_name(f"{path.name}.json"), beside(found, about))
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
