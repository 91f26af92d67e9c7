"""Where a model looks: how much of a class's probability goes when a part of the face is blurred.

Occlusion (Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", arXiv
1311.2901), with soft blurred patches in place of grey squares (Fong and Vedaldi 2017, arXiv 1704.03296: a
square has edges that the net reacts to). It needs predictions alone, so it is the same for any net on any
backend, and finer than Grad-CAM, which is bound to the last map: 3 x 3 for baseline_cnn at 48 pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from tqdm import tqdm

from candid.evaluation.predict import Images
from candid.evaluation.scores import Floats

PATCHES = 12  # patches along each side, their centres a twelfth of it apart
WIDTH = 1 / 10  # standard deviation of a patch, as a share of the side
BLUR = 1 / 8  # standard deviation of the blur, as a share of the side: brows, eyes and mouth are gone
AVERAGED = 12  # faces predicted right over which a class's mean map is taken, at most
Predict = Callable[[Images], Floats]  # faces N x H x H (x 3), uint8, to probabilities N x K


def patches(side: int) -> Floats:
    """How much each patch blurs each pixel, 0 to 1: P x side x side, P = PATCHES squared."""
    centres = (np.arange(PATCHES) + 0.5) * side / PATCHES
    pixels = np.arange(side) + 0.5
    along = np.exp(-(((pixels - centres[:, None]) / (WIDTH * side)) ** 2) / 2)
    return np.asarray(np.einsum("iy,jx->ijyx", along, along).reshape(-1, side, side), np.float64)


def occluded(face: NDArray[np.uint8]) -> Images:
    """The face with one patch blurred, for each patch: P x H x H (x 3); its border is repeated outwards."""
    masks, sharp = patches(face.shape[0]), face.astype(np.float64)
    masks = masks.reshape(*masks.shape, *[1] * (face.ndim - 2))
    soft = gaussian_filter(sharp, BLUR * face.shape[0], mode="nearest", axes=(0, 1))
    return np.asarray(np.rint(sharp + masks * (soft - sharp)), np.uint8)


def drops(predict: Predict, face: NDArray[np.uint8]) -> Floats:
    """What each class loses by each patch, in probability: P x K; below 0 where the class gains."""
    probabilities = predict(np.concatenate([face[None], occluded(face)]))
    return np.asarray(probabilities[0] - probabilities[1:], np.float64)


def heat(lost: Floats, side: int) -> Floats:
    """A map of what one class lost (P): side x side, each pixel the mean over the patches that blur it."""
    masks = patches(side)
    return np.asarray(np.tensordot(lost, masks, axes=1) / masks.sum(axis=0))


@dataclass(frozen=True)
class Explanation:
    """One face, and what each area adds to the probability of its predicted class."""

    face: NDArray[np.uint8]
    label: str  # empty where it is unknown
    predicted: str
    confidence: float
    label_probability: float  # NaN where the label is unknown
    map: Floats  # H x H, in probability
    largest_drop: float  # what the class loses by the patch that costs it most


@dataclass(frozen=True)
class Row:
    """The faces of one class, or some faces without a label."""

    title: str
    right: list[Explanation] = field(default_factory=list)
    wrong: list[Explanation] = field(default_factory=list)
    mean: tuple[NDArray[np.uint8], Floats, int] | None = None  # of what is right: mean face, map, count


def explain(
    predict: Predict, images: Images, labels: Sequence[str], classes: Sequence[str], shown: int
) -> list[Row]:
    """Explain up to `shown` right and `shown` wrong predictions of each class, in the order of the N faces.

    Faces whose label is none of `classes`, the model's outputs, come in rows of 2 * `shown` under no class.
    """
    probabilities = predict(images)
    predicted = probabilities.argmax(axis=1)
    actual = np.array([classes.index(label) if label in classes else -1 for label in labels])

    def explained(row: int) -> Explanation:
        progress.update()
        lost = drops(predict, images[row])[:, predicted[row]]
        return Explanation(
            images[row],
            labels[row],
            classes[predicted[row]],
            float(probabilities[row, predicted[row]]),
            float(probabilities[row, actual[row]]) if actual[row] >= 0 else float("nan"),
            heat(lost, images.shape[1]),
            float(lost.max()),
        )

    rows = []
    with tqdm(desc="explain", unit="face", disable=None) as progress:
        for index, name in enumerate(classes):
            hits = np.flatnonzero((actual == index) & (predicted == index))
            misses = np.flatnonzero((actual == index) & (predicted != index))
            right = [explained(row) for row in hits[: max(shown, AVERAGED)]]
            wrong = [explained(row) for row in misses[:shown]]
            if right or wrong:
                rows.append(Row(name, right[:shown], wrong, _mean(right)))
        unknown = np.flatnonzero(actual < 0)
        for start in range(0, len(unknown), 2 * shown):
            some = [explained(row) for row in unknown[start : start + 2 * shown]]
            rows.append(Row("", some[:shown], some[shown:]))
    return rows


def _mean(right: list[Explanation]) -> tuple[NDArray[np.uint8], Floats, int] | None:
    if not right:
        return None
    face = np.mean([each.face for each in right], axis=0)
    return np.rint(face).astype(np.uint8), np.mean([each.map for each in right], axis=0), len(right)
