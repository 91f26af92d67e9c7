"""One picture in, its faces out: detected, cropped as training saw faces, and labelled."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from candid.data.images import Color, decode, open_picture
from candid.evaluation.model_file import Card
from candid.predict.classifier import Classifier, default_model, load_classifier
from candid.predict.detectors import DEFAULT, LONGEST, Box, Detector, make_detector


def reduced(image: Image.Image, longest: int, shortest: int = 0) -> Image.Image:
    """An RGB copy whose longer side is between `shortest` and `longest` pixels, in proportion.

    The original is not copied at full size on the way.
    """
    factor = min(max(max(image.size), shortest), longest) / max(image.size)
    if factor == 1:
        return image.convert("RGB")
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0).convert("RGB")


def square(box: Box, margin: float) -> Box:
    """The square in whole pixels that is cut around a detector's box, about the same centre.

    `margin` is added on each side, as a share of the box's longer side; below 0 it cuts into the box.
    """
    longer = max(box.width, box.height)
    side = max(1, round(longer * (1 + 2 * margin)))
    x, y = box.left + box.width / 2, box.top + box.height / 2
    return Box(round(x - side / 2), round(y - side / 2), side, side)


def cut(image: Image.Image, box: Box) -> Image.Image:
    """Cut a box out; beyond the border the outermost pixels are repeated, as training fills them."""
    rows = np.clip(np.arange(box.top, box.top + box.height, dtype=int), 0, image.height - 1)
    columns = np.clip(np.arange(box.left, box.left + box.width, dtype=int), 0, image.width - 1)
    part = np.asarray(image.crop((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)))
    return Image.fromarray(part[rows - rows[0]][:, columns - columns[0]])


def as_trained(crop: Image.Image, size: int, color: Color) -> NDArray[np.uint8]:
    """A crop (mode L or RGB) as ingest would store it: size x size (x 3), through ingest's own decoder."""
    buffer = io.BytesIO()
    crop.save(buffer, "PPM")
    return decode(buffer.getvalue(), size, color)


class Face(NamedTuple):
    """A face in a picture."""

    box: Box  # in whole pixels of the upright picture, within it
    score: float | None  # the detector's; None where the whole picture is the face
    pixels: NDArray[np.uint8]  # as the model takes it: size x size (x 3)


class Labelled(NamedTuple):
    """A face with what the model says."""

    box: Box
    score: float | None  # both as of its Face
    probabilities: dict[str, float]  # of each class, in the order of the model's outputs

    @property
    def predicted(self) -> str:
        """The likeliest class."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def described(self) -> str:
        """`happy 87 %`."""
        return f"{self.predicted} {100 * self.probabilities[self.predicted]:.0f} %"

    def as_dict(self) -> dict[str, Any]:
        """Return box (x, y, width, height), score, predicted and probabilities, as JSON takes them."""
        return {**self._asdict(), "box": [int(value) for value in self.box], "predicted": self.predicted}


def find_faces(image: Image.Image, detector: Detector | None, card: Card) -> list[Face]:
    """Search a copy of LONGEST pixels a side at most, cut each face from the original; left to right.

    No detector: the picture is the face, stretched to a square where it is none, as ingest does.
    """
    if detector is None:
        whole = Box(0, 0, image.width, image.height)
        return [Face(whole, None, as_trained(image, card.image_size, card.color))]
    factor = max(1.0, max(image.size) / LONGEST)
    faces = []
    for box, score in detector(np.asarray(reduced(image, LONGEST))):
        box = box.scaled(factor)
        pixels = as_trained(cut(image, square(box, detector.margin)), card.image_size, card.color)
        faces.append(Face(box.clipped(*image.size), score, pixels))
    return sorted(faces, key=lambda face: face.box)


def label(faces: Sequence[Face], classifier: Classifier) -> list[Labelled]:
    """Predict all faces at once."""
    if not faces:
        return []
    rows = classifier.probabilities(np.stack([face.pixels for face in faces])).tolist()
    shares = (dict(zip(classifier.card.classes, row, strict=True)) for row in rows)
    return [Labelled(face.box, face.score, each) for face, each in zip(faces, shares, strict=True)]


def predict_faces(
    picture: Image.Image | bytes, model: str | Path | None = None, detector: str | None = DEFAULT
) -> list[Labelled]:
    """Find the faces of a picture and predict the expression of each, left to right.

    Args:
        picture: a PIL image, or the bytes of a picture file.
        model: a .keras file that train wrote; None: the one that ships.
        detector: a key of DETECTORS; None: the whole picture is one face.

    Returns:
        For each face its box in pixels, the detector's score and the probability of each class.

    Raises:
        CandidError: no such model or detector.
        UnreadableError: the bytes are no picture.

    Example:
        >>> import numpy as np
        >>> from PIL import Image
        >>> face = Image.fromarray(np.full((48, 48), 128, np.uint8))
        >>> (only,) = predict_faces(face, detector=None)
        >>> only.predicted in only.probabilities, round(sum(only.probabilities.values()), 3)
        (True, 1.0)
    """
    image = open_picture(picture) if isinstance(picture, bytes) else picture
    classifier = load_classifier(Path(model) if model else default_model())
    faces = find_faces(image, make_detector(detector) if detector else None, classifier.card)
    return label(faces, classifier)
