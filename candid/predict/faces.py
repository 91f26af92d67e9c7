"""One picture in, its faces out: where they are, how they look to the model, what it makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from candid.evaluation.model_file import Card
from candid.predict.classifier import Classifier
from candid.predict.crops import Box, as_trained, cut, square
from candid.predict.detectors import LONGEST, Detector
from candid.predict.pictures import reduced


class Face(NamedTuple):
    """A face in a picture."""

    box: Box
    """In whole pixels of the upright picture, within it."""
    score: float | None
    """The detector's; None where the whole picture is the face."""
    pixels: NDArray[np.uint8]
    """As the model takes it: size x size (x 3)."""


class Labelled(NamedTuple):
    """A face with what the model says."""

    face: Face
    probabilities: dict[str, float]
    """Of each class, in the order of the model's outputs."""

    @property
    def predicted(self) -> str:
        """The likeliest class."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])


def find_faces(image: Image.Image, detector: Detector, card: Card, margin: float | None = None) -> list[Face]:
    """Search a copy of LONGEST pixels a side at most, cut each face from the original; left to right.

    Args:
        image: mode L or RGB, any size.
        margin: share of the box's longer side that is added on each side; None for the detector's own.
    """
    factor = max(1.0, max(image.size) / LONGEST)
    share = detector.margin if margin is None else margin
    faces = []
    for found in detector(np.asarray(reduced(image, LONGEST))):
        box = found.box.scaled(factor)
        crop = cut(image, square(box, share))
        pixels = as_trained(crop, card.image_size, card.color)
        faces.append(Face(box.clipped(*image.size), found.score, pixels))
    return sorted(faces, key=lambda face: face.box)


def whole_picture(image: Image.Image, card: Card) -> Face:
    """The picture as it is taken for the face, stretched to a square where it is none, as ingest does."""
    box = Box(0, 0, image.width, image.height)
    return Face(box, None, as_trained(image, card.image_size, card.color))


def label(faces: Sequence[Face], classifier: Classifier) -> list[Labelled]:
    """Let the model look at all faces at once."""
    if not faces:
        return []
    given = classifier.probabilities(np.stack([face.pixels for face in faces]))
    names = classifier.card.classes
    return [
        Labelled(face, dict(zip(names, row.tolist(), strict=True)))
        for face, row in zip(faces, given, strict=True)
    ]
