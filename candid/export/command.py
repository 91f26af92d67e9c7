"""Take a model elsewhere: candid export --to onnx litert --int8

Each export is run on test faces and compared with Keras; a float one that differs is not kept.
"""

from __future__ import annotations

import numpy as np

from candid.export import table
from candid.export.compare import known_faces, measure
from candid.export.exports import export, keras_runner
from candid.export.formats import need
from candid.export.keras_model import load
from candid.export.latency import latencies
from candid.export.options import read_options
from candid.files import write_text
from candid.labelled import as_taken, other_faces, read_parts


def main(arguments: list[str] | None = None) -> None:
    """Read, export, compare, tell."""
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
    cells = table.rows(measured, latencies([found.run for found in measured], faces.images[:1]))
    lines = table.notes(faces, parts.source, 0 if calibrate is None else len(calibrate))
    lines += other_faces(options.model, parts)
    title = f"Exports of {classifier.describe()}"
    print(title, *table.plain(cells), *lines, *(found.path for found in measured[1:]), sep="\n")
    if options.report:
        write_text(options.report, table.markdown(title, lines, cells))
