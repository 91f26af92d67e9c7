"""Export a model through Keras, run the export, compare it with Keras: candid export --to onnx litert --int8

A float export whose probabilities on test faces differ from Keras's is not kept.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from candid import text
from candid.backend import hushed, use_backend
from candid.cli import Parser
from candid.errors import CandidError
from candid.evaluation.bootstrap import percentiles
from candid.evaluation.model_file import read_card
from candid.evaluation.predict import Images, predict
from candid.evaluation.predictions import Predictions
from candid.evaluation.scores import Floats, Integers
from candid.export import litert, onnx
from candid.files import md5, write_json, writing
from candid.gate.statistics import Pairs, bootstrap, group_kinds
from candid.labelled import Parts, as_taken, other_faces, read_parts
from candid.predict.classifier import Classifier, default_model, load_classifier

RESAMPLES, SEED = 10_000, 0
WARM_UP, ROUNDS = 10, 100
HEAD = (
    *("model", "kB", "size ratio", "accuracy", "change in points (95 %)", "largest difference"),
    *("ms a face", "time ratio"),
)
Runner = Callable[[Images], Floats]  # faces N x S x S (x 1, x 3), uint8, to probabilities N x K
FLOAT_TOLERANCE = 1e-4
EXTRA = "requirements-export.txt"
FORMATS: dict[str, Any] = {"onnx": onnx, "litert": litert}
"""Each module has the SUFFIX of its files, the PACKAGES it needs beyond requirements.txt, and functions:
write(model, path), write_int8(model, its float file, path, faces to calibrate on), annotate(path, names and
values for the file's own metadata) and load(path), which gives a Runner on one thread."""


def main(arguments: list[str] | None = None) -> None:
    """Read, export, compare, print."""
    parser = Parser(prog="candid export", description=__doc__)
    add = parser.add_argument
    add("--model", type=Path, default=default_model(), help="default: the one that ships")
    add("--to", nargs="+", required=True, metavar="FORMAT", help=", ".join(FORMATS))
    add("--int8", action="store_true", help="also with integers of 8 bits inside")
    add("--out", type=Path, default=Path("exported"), help="folder; default: exported")
    add("--data", type=Path, default=Path("data"), help="folder data of a run; without one, the sample")
    add("--calibrate", type=int, default=512, help="training faces for int8; default: 512")
    options = parser.parse_args(arguments)
    if options.calibrate < 1:
        raise CandidError(f"--calibrate {options.calibrate}: expected at least 1 face")
    options.to = list(dict.fromkeys(options.to))
    for name in options.to:
        need(name)
    classifier = load(options.model)
    shape = classifier.model.input_shape
    parts = read_parts(options.data)
    faces, actual, groups = known_faces(parts, classifier.card.classes, shape)
    count = min(options.calibrate, len(parts.train))
    few = np.sort(np.random.default_rng(0).choice(parts.train["id"].to_numpy(), count, replace=False))
    calibrate = as_taken(np.asarray(parts.images[few]), shape) if options.int8 else None

    run, size = keras_runner(classifier.model), options.model.stat().st_size
    keras = Predictions(classifier.card.classes, actual, run(faces), groups)
    measured = [measure("Keras", options.model, size, run, faces, keras)]
    for name in options.to:
        measured += export(classifier, name, options.out, faces, keras, calibrate)
    rows = table_rows(measured, faces[:1])
    notes = [
        f"{len(faces):,} test faces of {parts.source}",
        "milliseconds: median for one face on one thread of the CPU, the models taking turns",
        "ratios to Keras; largest difference: of a probability; the interval of the change is paired",
    ]
    if calibrate is not None:
        notes.append(f"int8: ranges from {len(calibrate):,} training faces")
    notes += [*other_faces(options.model, parts), *(str(each.path) for each in measured[1:])]
    print(f"Exports of {classifier.describe()}", *text.table(HEAD, rows), *notes, sep="\n")


def load(path: Path) -> Classifier:
    """Load a model; CandidError where it is none, or KERAS_BACKEND names something else."""
    if (backend := os.environ.get("KERAS_BACKEND")) not in (None, "", "tensorflow"):
        raise CandidError(f"KERAS_BACKEND={backend}: the exporters go through TensorFlow; expected it unset")
    read_card(path)  # before TensorFlow takes its seconds
    use_backend("tensorflow")
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # TensorFlow is at work already, in a test say
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    return load_classifier(path)


def keras_runner(model: Any) -> Runner:
    """Run the model in Keras, in batches; one face without the checks, which would be timed too."""

    def run(faces: Images) -> Floats:
        if len(faces) == 1:
            return np.asarray(model.predict_on_batch(faces), np.float64)
        return predict(model, faces, np.arange(len(faces)), "none")

    return run


def export(
    classifier: Classifier, name: str, out: Path, faces: Images, keras: Predictions, calibrate: Images | None
) -> Iterator[Measured]:
    """Write a format's float model and, where there are faces to calibrate on, its int8 model.

    Nothing stands under the final name of a model that can't be run or, in float, is not equal to Keras's,
    whose predictions for the faces are `keras`.
    """
    form, plain = FORMATS[name], out / f"{classifier.path.stem}{FORMATS[name].SUFFIX}"
    works = [("float32", plain, partial(form.write, classifier.model))]
    if calibrate is not None:
        int8 = partial(form.write_int8, classifier.model, plain, faces=calibrate)
        works.append(("int8", plain.with_suffix(f".int8{form.SUFFIX}"), int8))
    for precision, path, work in works:
        about = describe(classifier, precision)
        with writing(path) as aside:
            attempt(f"{path}: can't be exported", work, aside)
            attempt(f"{path}: can't be annotated", form.annotate, aside, {"candid.json": json.dumps(about)})
            run = attempt(f"{path}: can't be run", form.load, aside)
            size, row = aside.stat().st_size, f"{name} {precision}"
            result = attempt(f"{path}: can't be run", measure, row, path, size, run, faces, keras)
            if precision == "float32" and result.difference > FLOAT_TOLERANCE:
                differs = f"a probability differs from Keras's by {result.difference:.2g}"
                raise CandidError(f"{path}: {differs}; expected at most {FLOAT_TOLERANCE:g}: not kept")
        about |= {"bytes": size, "accuracy": result.accuracy, "difference": result.difference}
        write_json(path.with_name(f"{path.name}.json"), about | {"accuracy_change": result.change._asdict()})
        yield result


def describe(classifier: Classifier, precision: str) -> dict[str, Any]:
    """What stands in an export's metadata: all that somebody needs to feed it and to read its answer."""
    card, shape = classifier.card, classifier.model.input_shape
    cropped = f", cut to {shape[1]} at the centre" if shape[1] != card.image_size else ""
    return {
        "classes": card.classes,
        "input": {"dtype": "uint8", "shape": [None, *shape[1:]], "color": card.color},
        "output": "probabilities in the order of classes",
        "faces": f"{card.image_size} x {card.image_size} pixels{cropped}",
        "precision": precision,
        "model": {"file": classifier.path.name, "md5": md5(classifier.path)},
    }


def need(name: str) -> None:
    """Stop where there is no such format, or a package that it needs is not installed."""
    if name not in FORMATS:
        raise CandidError(f"--to {name}: unknown format; expected {' or '.join(FORMATS)}")
    for package in FORMATS[name].PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise CandidError(f"--to {name}: the package {package} is not here: pip install -r {EXTRA}")


def attempt(what: str, work: Callable[..., Any], *arguments: Any) -> Any:
    """Do a converter's work in silence; CandidError with what it says where it fails."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with hushed(1, 2), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work(*arguments)
    except (CandidError, MemoryError):
        raise
    except Exception as error:  # converters raise whatever they stumble over
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CandidError(f"{what}: {reason}") from None
    finally:
        logging.disable(before)


class Change(NamedTuple):
    """Accuracy of an export less that of Keras on the same faces, and its 95 % interval."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """One model file, run on the test faces."""

    name: str
    path: Path
    bytes: int
    accuracy: float
    run: Runner
    difference: float  # largest difference of a probability from Keras's
    change: Change


def known_faces(
    parts: Parts, classes: list[str], shape: tuple[int | None, ...]
) -> tuple[Images, Integers, Integers]:
    """The test faces whose class the model knows, as it takes them, their classes and groups.

    CandidError where there is none.
    """
    known = parts.test[parts.test["label"].isin(classes)]
    if known.empty:
        raise CandidError(f"{parts.source}: no test face of the classes {', '.join(classes)}; expected some")
    faces = as_taken(np.asarray(parts.images[known["id"].to_numpy()]), shape)
    return faces, known["label"].map(classes.index).to_numpy(np.int64), known["group"].to_numpy(np.int64)


def measure(name: str, path: Path, size: int, run: Runner, faces: Images, keras: Predictions) -> Measured:
    """Run a model of `size` bytes on the test faces; `keras`: predictions of Keras itself.

    CandidError: it gives something other than N x K finite numbers.
    """
    output, shape = run(faces), (len(faces), len(keras.classes))
    if output.shape != shape or not np.isfinite(output).all():
        raise CandidError(f"{path}: gives {output.shape}, or numbers that are not finite; expected {shape}")
    result = replace(keras, probabilities=output)
    accuracy = float((result.predicted == result.actual).mean())
    difference = float(np.abs(output - keras.probabilities).max())
    return Measured(name, path, size, accuracy, run, difference, paired(keras, result))


def paired(before: Predictions, after: Predictions) -> Change:
    """Change of accuracy between predictions for the same faces, with an interval from resampled groups.

    The resampling is the gate's: groups stay together, and one face lost and one gained are added (Bonett and
    Price 2012), so that two models that agree everywhere still have an interval.
    """
    actual, was, now = before.actual, before.predicted, after.predicted
    distinct, groups = np.unique(before.groups, return_inverse=True)
    kinds = group_kinds(Pairs(tuple(before.classes), actual, was, now, groups))
    changes = bootstrap(kinds, RESAMPLES, np.random.default_rng(SEED))[:, 0]
    value = float((now == actual).mean() - (was == actual).mean())
    return Change(value, *percentiles(changes, len(distinct)))


def latencies(runners: Sequence[Runner], face: Images) -> Floats:
    """Time each of M models on one face (1 x S x S, x 1 or x 3), ROUNDS times in turn.

    Returns medians over the rounds of the milliseconds and of the ratio to the first model's: M x 2.
    """
    seconds = np.empty((WARM_UP + ROUNDS, len(runners)))
    for turn in seconds:
        for number, run in enumerate(runners):
            start = time.perf_counter()
            run(face)
            turn[number] = time.perf_counter() - start
    kept = seconds[WARM_UP:]
    return np.median([1000 * kept, kept / kept[:, :1]], axis=1).T


def table_rows(measured: Sequence[Measured], face: Images) -> Sequence[tuple[str, ...]]:
    """Rows under HEAD, one a model; the first is Keras's. Times are those for `face`."""
    rows = []
    for each, times in zip(measured, latencies([each.run for each in measured], face), strict=True):
        size = (f"{each.bytes / 1000:,.0f}", f"{each.bytes / measured[0].bytes:.2f}")
        change = "{} ({} to {})".format(*map(text.points, each.change))
        timed = (f"{value:.2f}" for value in times)
        rows.append((each.name, *size, text.percent(each.accuracy), change, f"{each.difference:.1g}", *timed))
    return rows
