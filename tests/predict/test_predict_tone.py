"""Train and serve see the same faces: `predict` shows the net a face in the tone that ingest gives it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from candid.data.images import decode
from candid.evaluation.model_file import Card
from candid.predict.classifier import Classifier
from candid.predict.detectors import Box, Detection
from candid.predict.faces import as_trained, find_faces, label, open_picture, square, whole_picture
from tests.predict.predict_pictures import FACE, astronaut, encoded, noise

Pixels = NDArray[np.uint8]

LEFT, TOP, SIDE = 208, 96, 192  # the face in the photograph, pixels: four times that of the training file
QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
TOLERANCE = 3.0  # grey levels of JPEG and resampling; 1.0 was measured
CARD = Card(classes=["happy", "sad"], image_size=48, color="grey")
EXPOSURES = {"as taken": (1.0, 0.0), "dark": (0.4, 0.0), "pale": (0.4, 120.0)}
"""Factor and offset: a tone that is made "better" on the way shows most where it was poor."""


class KnownBox:
    """In place of a detector: the one face of `photograph`."""

    margin = 0.0

    def __call__(self, picture: Pixels) -> list[Detection]:
        """Its box."""
        return [Detection(Box(LEFT, TOP, SIDE, SIDE), 1.0)]


class RecordingNet:
    """In place of a model: keeps what it is shown."""

    input_shape = (None, 48, 48)

    def __init__(self) -> None:
        self.shown: list[Pixels] = []

    def predict_on_batch(self, batch: Pixels) -> NDArray[np.float64]:
        """Some probabilities."""
        self.shown.append(batch)
        return np.full((len(batch), 2), 0.5)


def training_face(exposure: str) -> Image.Image:
    """A face as a dataset has it: 48 x 48; in colour, so that the way to grey is compared too."""
    left, top, side = square(FACE, 0.0)
    face = astronaut().crop((left, top, left + side, top + side)).resize((48, 48), Image.Resampling.BICUBIC)
    factor, offset = EXPOSURES[exposure]
    return face.point(lambda value: value * factor + offset)


def photograph(face: Image.Image) -> bytes:
    """A JPEG that shows the face, enlarged, amid noise."""
    picture = noise(640, 480)
    picture.paste(face.resize((SIDE, SIDE), Image.Resampling.BICUBIC), (LEFT, TOP))
    return encoded(picture, "JPEG", quality=95)


def at_the_net(data: bytes, cropped: bool) -> Pixels:
    """What a model is shown of a picture's one face: 48 x 48."""
    image, net = open_picture(data), RecordingNet()
    found = [whole_picture(image, CARD)] if cropped else find_faces(image, KnownBox(), CARD)
    label(found, Classifier(Path("model.keras"), CARD, net))
    (batch,) = net.shown
    return batch.reshape(48, 48)


def tone_gap(one: Pixels, other: Pixels) -> float:
    """Largest difference of mean and quantiles, in grey levels."""
    gaps = [np.abs(np.quantile(one, QUANTILES) - np.quantile(other, QUANTILES)).max()]
    return float(max(*gaps, abs(one.mean() - other.mean())))


@pytest.mark.parametrize("exposure", EXPOSURES)
def test_a_face_in_a_photograph_has_the_tone_of_training_and_a_cropped_one_its_pixels(exposure):
    face = training_face(exposure)
    trained, served = decode(encoded(face), 48, "grey"), at_the_net(photograph(face), cropped=False)
    assert tone_gap(trained, served) < TOLERANCE
    assert np.abs(trained.astype(int) - served).mean() < 2
    np.testing.assert_array_equal(at_the_net(encoded(face), cropped=True), trained)


@pytest.mark.parametrize(
    ("change", "exposure"),
    [
        (ImageOps.equalize, "as taken"),
        (ImageOps.equalize, "dark"),
        (ImageOps.autocontrast, "pale"),
        (lambda face: face.point(lambda value: min(round(1.2 * value), 255)), "as taken"),
    ],
    ids=["equalised", "equalised, dark", "stretched", "brightened"],
)
def test_a_change_of_tone_on_the_way_would_be_seen(change, exposure, monkeypatch):
    face = training_face(exposure)
    trained = decode(encoded(face), 48, "grey")

    def changed(*crop):
        return np.asarray(change(Image.fromarray(as_trained(*crop))))

    monkeypatch.setattr("candid.predict.faces.as_trained", changed)
    assert tone_gap(trained, at_the_net(photograph(face), cropped=False)) > 4 * TOLERANCE


def test_another_way_to_grey_would_be_seen():
    face = training_face("as taken")
    mean_of_channels = np.asarray(face).mean(axis=2).round().astype(np.uint8)
    assert tone_gap(decode(encoded(face), 48, "grey"), mean_of_channels) > 2 * TOLERANCE
