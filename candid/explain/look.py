"""Which faces stand on the sheet, and where the model looks on each."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from candid.evaluation.scores import Floats
from candid.explain.given import Given
from candid.explain.occlusion import Predict, drops, heat

AVERAGED = 12
"""Faces with a right answer that a class's mean is made of, at most."""


@dataclass(frozen=True)
class Look:
    """One face, and where the model looked for the class that it gave."""

    face: NDArray[np.uint8]
    label: str
    """Empty where it is not known."""
    said: str
    confidence: float
    of_label: float
    """Probability of the label; NaN where it is not known."""
    map: Floats
    """H x H, in probability."""
    most: float
    """What the class lost by the patch that it lost most by."""


@dataclass(frozen=True)
class Row:
    """The faces of one class, or some faces without a label."""

    title: str
    right: list[Look] = field(default_factory=list)
    wrong: list[Look] = field(default_factory=list)
    mean: tuple[NDArray[np.uint8], Floats, int] | None = None
    """Of faces with a right answer: their mean, the mean of their maps, and how many they are."""


def look(predict: Predict, given: Given, classes: list[str], shown: int) -> list[Row]:
    """Explain up to `shown` right and `shown` wrong answers of each class, in the order of the faces.

    Faces without a label stand in rows of 2 * `shown`, under no class.
    """
    probabilities = predict(given.images)
    numbers = {name: place for place, name in enumerate(classes)}
    said = probabilities.argmax(axis=1)
    actual = np.array([numbers.get(label, -1) for label in given.labels])

    def explained(places: NDArray[np.int64]) -> list[Look]:
        return [
            _look(predict, given, classes, probabilities, int(place), actual[place]) for place in bar(places)
        ]

    rows = []
    with tqdm(desc="explain", unit="face", disable=None) as progress:

        def bar(places: NDArray[np.int64]) -> NDArray[np.int64]:
            progress.update(len(places))
            return places

        for name, number in numbers.items():
            right = explained(np.flatnonzero((actual == number) & (said == number))[: max(shown, AVERAGED)])
            wrong = explained(np.flatnonzero((actual == number) & (said != number))[:shown])
            if right or wrong:
                rows.append(Row(name, right[:shown], wrong, _mean(right)))
        unknown = np.flatnonzero(actual < 0)
        for start in range(0, len(unknown), 2 * shown):
            some = explained(unknown[start : start + 2 * shown])
            rows.append(Row("", some[:shown], some[shown:]))
    return rows


def _look(
    predict: Predict, given: Given, classes: list[str], probabilities: Floats, place: int, actual: int
) -> Look:
    face = given.images[place]
    said = int(probabilities[place].argmax())
    lost = drops(predict, face)[:, said]
    return Look(
        face,
        given.labels[place],
        classes[said],
        float(probabilities[place, said]),
        float(probabilities[place, actual]) if actual >= 0 else float("nan"),
        heat(lost, face.shape[0]),
        float(lost.max()),
    )


def _mean(looks: list[Look]) -> tuple[NDArray[np.uint8], Floats, int] | None:
    if not looks:
        return None
    face = np.mean([each.face for each in looks], axis=0)
    return np.rint(face).astype(np.uint8), np.mean([each.map for each in looks], axis=0), len(looks)
