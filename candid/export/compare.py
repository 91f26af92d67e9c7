"""What an export is worth beside Keras: equal probabilities, size, accuracy with a paired interval, time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from candid import text
from candid.errors import CandidError
from candid.evaluation.bootstrap import percentiles
from candid.evaluation.predict import Images
from candid.evaluation.scores import Floats, Integers
from candid.export.formats import Runner
from candid.gate.statistics import Pairs, bootstrap, group_kinds
from candid.labelled import Labelled, as_taken

FLOAT_TOLERANCE = 1e-4
RESAMPLES, SEED = 10_000, 0


@dataclass(frozen=True)
class Faces:
    """Test faces as the model takes them: N."""

    images: Images
    """N x S x S, x 1 or x 3."""
    actual: Integers
    """Class number: N."""
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
    difference: float | None = None
    """Largest difference of a probability from Keras's; None for Keras itself."""
    change: Change | None = None


def known_faces(part: Labelled, classes: list[str], shape: tuple[int | None, ...], source: str) -> Faces:
    """The faces of a part whose class the model knows; CandidError where there is none."""
    number = {name: place for place, name in enumerate(classes)}
    chosen = np.array([label in number for label in part.labels])
    if not chosen.any():
        raise CandidError(f"{source}: no test face of the classes {', '.join(classes)}; expected some")
    actual = np.array([number[label] for label in part.labels if label in number], np.int64)
    images = as_taken(np.asarray(part.images[part.ids[chosen]]), shape)
    return Faces(images, actual, part.groups[chosen], tuple(classes))


def measure(
    name: str, path: Path, size: int, run: Runner, faces: Faces, keras: Floats | None = None
) -> Measured:
    """Run a model on the test faces.

    Args:
        name: of the row.
        path: the model's file, or what it will be.
        size: its bytes.
        run: runs it.
        faces: N of them.
        keras: Keras's probabilities, N x K; None for Keras itself.

    Raises:
        CandidError: it gives something other than N x K finite numbers.
    """
    given = run(faces.images)
    wanted = (len(faces.actual), len(faces.classes))
    if given.shape != wanted or not np.isfinite(given).all():
        raise CandidError(f"{path}: gives {given.shape}, or numbers that are not finite; expected {wanted}")
    accuracy = float((given.argmax(axis=1) == faces.actual).mean())
    if keras is None:
        return Measured(name, path, size, accuracy, run)
    difference = float(np.abs(given - keras).max())
    return Measured(name, path, size, accuracy, run, difference, paired(faces, keras, given))


def refuse_unequal(found: Measured) -> None:
    """Stop at a float export that is not Keras's model."""
    if found.difference is None or found.difference <= FLOAT_TOLERANCE:
        return
    raise CandidError(
        f"{found.path}: a probability differs from Keras's by {found.difference:.2g}; "
        f"expected at most {FLOAT_TOLERANCE:g}: not kept"
    )


def paired(faces: Faces, before: Floats, after: Floats) -> Change:
    """Change of accuracy from probabilities N x K to others, with an interval from resampled groups.

    The resampling is the gate's: groups stay together, and one face lost and one gained are added (Bonett and
    Price 2012), so that two models that agree everywhere still have an interval.
    """
    was, now = before.argmax(axis=1), after.argmax(axis=1)
    groups = np.unique(faces.groups, return_inverse=True)[1]
    pairs = Pairs(faces.classes, faces.actual, was.astype(np.int64), now.astype(np.int64), groups, 1.0)
    changes = bootstrap(group_kinds(pairs), RESAMPLES, np.random.default_rng(SEED))[:, 0]
    bounds = percentiles(changes, len(np.unique(groups)))
    value = float((now == faces.actual).mean() - (was == faces.actual).mean())
    return Change(value, bounds.low, bounds.high)


WARM_UP, ROUNDS = 10, 100


class Latency(NamedTuple):
    """Of one model, for one face."""

    milliseconds: float
    """Median over the rounds."""
    ratio: float
    """To the first model: median over the rounds of the ratio within a round."""


def latencies(runners: Sequence[Runner], face: Images, rounds: int = ROUNDS) -> list[Latency]:
    """Time each model on one face (1 x S x S, x 1 or x 3), `rounds` times in turn."""
    seconds = np.empty((WARM_UP + rounds, len(runners)))
    for turn in seconds:
        for place, run in enumerate(runners):
            start = time.perf_counter()
            run(face)
            turn[place] = time.perf_counter() - start
    kept = seconds[WARM_UP:]
    ratios = np.median(kept / kept[:, :1], axis=0)
    return [
        Latency(1000 * float(middle), float(ratio))
        for middle, ratio in zip(np.median(kept, axis=0), ratios, strict=True)
    ]


HEAD = (
    *(
        "model",
        "kB",
        "size ratio",
        "accuracy",
        "change in points (95 %)",
        "largest difference",
    ),
    *("ms a face", "time ratio"),
)


def table_rows(measured: Sequence[Measured], timed: Sequence[Latency]) -> Sequence[tuple[str, ...]]:
    """Rows under HEAD, one a model; the first is Keras's."""
    first = measured[0]
    return [
        (
            found.name,
            f"{found.bytes / 1000:,.0f}",
            f"{found.bytes / first.bytes:.2f}",
            text.percent(found.accuracy),
            _change(found),
            "" if found.difference is None else f"{found.difference:.1g}",
            f"{latency.milliseconds:.2f}",
            f"{latency.ratio:.2f}",
        )
        for found, latency in zip(measured, timed, strict=True)
    ]


def table_notes(faces: Faces, source: str, calibrated: int) -> list[str]:
    """What the numbers are of."""
    lines = [
        f"{len(faces.actual):,} test faces of {source}",
        "milliseconds: median for one face on one thread of the CPU, the models taking turns",
        "ratios to Keras; largest difference: of a probability; the interval of the change is paired",
    ]
    if calibrated:
        lines.append(f"int8: ranges from {calibrated:,} training faces")
    return lines


def export_facts(found: Measured, about: dict[str, Any]) -> dict[str, Any]:
    """The JSON file that stands beside an export."""
    change = found.change
    scores = {} if change is None else {"accuracy_change": change._asdict()}
    return {
        **about,
        "bytes": found.bytes,
        "accuracy": found.accuracy,
        "difference": found.difference,
        **scores,
    }


def _change(found: Measured) -> str:
    if found.change is None:
        return ""
    value, low, high = (text.points(part) for part in found.change)
    return f"{value} ({low} to {high})"
