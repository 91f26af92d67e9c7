"""FER2013's own faces through candid.predict: cut out already, and found in a larger picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.framing import canvas, distance, read_faces
from candid.predict.classifier import load_classifier
from candid.predict.detectors import DETECTORS, make_detector
from candid.predict.faces import find_faces, label

pytestmark = pytest.mark.data
SHIPPED = Path(__file__).resolve().parents[2] / "models/pretrained/fer2013.keras"
EVERY = 60  # of the 3,589 faces of PublicTest


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(SHIPPED)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_a_face_that_is_found_is_cut_much_as_fer2013_cut_it(mirror, classifier, name):
    """docs/predict.md has the figures, over a thousand faces; here a guard against a wrong margin."""
    faces, _ = read_faces(mirror / "fer2013.zip", 60)
    detector = make_detector(name)
    detected = [find_faces(Image.fromarray(canvas(face)), detector, classifier.card) for face in faces]
    kept = [number for number, each in enumerate(detected) if each]
    assert len(kept) > len(faces) / 2
    surest = [max(detected[number], key=lambda face: face.score or 0) for number in kept]
    after = np.array([list(each.probabilities.values()) for each in label(surest, classifier)])
    before = classifier.probabilities(faces[kept])
    assert distance(after, before) < 0.2
    assert (after.argmax(axis=1) == before.argmax(axis=1)).mean() > 0.7
