"""What an export is worth beside Keras: equal probabilities, size, accuracy with a paired interval, time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from candid import text
from candid.errors import CandidError
from candid.evaluation.bootstrap import percentiles
from candid.evaluation.predict import Images
from candid.evaluation.scores import Floats, Integers
from candid.gate.statistics import Pairs, bootstrap, group_kinds
from candid.labelled import Labelled, as_taken

RESAMPLES, SEED = 10_000, 0
WARM_UP, ROUNDS = 10, 100
HEAD = (
    *("model", "kB", "size ratio", "accuracy", "change in points (95 %)", "largest difference"),
    *("ms a face", "time ratio"),
)
Runner = Callable[[Images], Floats]  # faces N x S x S (x 1, x 3), uint8, to probabilities N x K


@dataclass(frozen=True)
class Faces:
    """Test faces as the model takes them: N."""

    images: Images  # N x S x S, x 1 or x 3
    actual: Integers  # class number: N
    groups: Integers
    classes: tuple[str, ...]


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


def known_faces(part: Labelled, classes: list[str], shape: tuple[int | None, ...], source: str) -> Faces:
    """The faces of a part whose class the model knows; CandidError where there is none."""
    chosen = np.array([label in classes for label in part.labels])
    if not chosen.any():
        raise CandidError(f"{source}: no test face of the classes {', '.join(classes)}; expected some")
    actual = np.array([classes.index(label) for label in part.labels if label in classes], np.int64)
    images = as_taken(np.asarray(part.images[part.ids[chosen]]), shape)
    return Faces(images, actual, part.groups[chosen], tuple(classes))


def measure(name: str, path: Path, size: int, run: Runner, faces: Faces, keras: Floats) -> Measured:
    """Run a model of `size` bytes on the test faces; `keras`: probabilities of Keras itself, N x K.

    CandidError: it gives something other than N x K finite numbers.
    """
    output, shape = run(faces.images), (len(faces.actual), len(faces.classes))
    if output.shape != shape or not np.isfinite(output).all():
        raise CandidError(f"{path}: gives {output.shape}, or numbers that are not finite; expected {shape}")
    accuracy = float((output.argmax(axis=1) == faces.actual).mean())
    difference = float(np.abs(output - keras).max())
    return Measured(name, path, size, accuracy, run, difference, paired(faces, keras, output))


def paired(faces: Faces, before: Floats, after: Floats) -> Change:
    """Change of accuracy from probabilities N x K to others, with an interval from resampled groups.

    The resampling is the gate's: groups stay together, and one face lost and one gained are added (Bonett and
    Price 2012), so that two models that agree everywhere still have an interval.
    """
    was, now = before.argmax(axis=1).astype(np.int64), after.argmax(axis=1).astype(np.int64)
    groups = np.unique(faces.groups, return_inverse=True)[1]
    kinds = group_kinds(Pairs(faces.classes, faces.actual, was, now, groups))
    changes = bootstrap(kinds, RESAMPLES, np.random.default_rng(SEED))[:, 0]
    value = float((now == faces.actual).mean() - (was == faces.actual).mean())
    return Change(value, *percentiles(changes, len(np.unique(groups))))


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
