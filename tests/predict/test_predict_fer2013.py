"""FER2013's own faces through candid.predict: cut out already, and found in a larger picture."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from candid.data.catalogue import read_catalogue
from candid.data.ingest import assemble
from candid.data.readers import Record, Wanted, read_folders
from candid.evaluation.predict import predict
from candid.predict.classifier import load_classifier
from candid.predict.detectors import DETECTORS, make_detector
from candid.predict.faces import find_faces, label

pytestmark = pytest.mark.data
SHIPPED = Path(__file__).resolve().parents[2] / "models/pretrained/fer2013.keras"
EVERY = 60  # of the 3,589 faces of PublicTest


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(SHIPPED)


def some_records(mirror):
    read = read_folders(
        "fer2013",
        read_catalogue()["fer2013"],
        [mirror / "fer2013.zip"],
        Wanted(None, frozenset({"validation"})),
    )
    return [item for item in read if isinstance(item, Record)][::EVERY]


def as_faces(records):
    return assemble((("fer2013", record) for record in records), 48, "grey").images


def canvas(face):
    """The face, enlarged four times, in the middle of a picture of its border's mean grey."""
    border = np.concatenate([face[0], face[-1], face[:, 0], face[:, -1]])
    picture = Image.new("RGB", (480, 480), (round(float(border.mean())),) * 3)
    picture.paste(Image.fromarray(face).resize((192, 192), Image.Resampling.BICUBIC), (144, 144))
    return picture


def test_a_cropped_face_gets_the_probabilities_that_evaluate_gives(mirror, classifier, tmp_path, candid):
    """The archive's files as files, and as download, ingest and evaluate take them."""
    records = some_records(mirror)
    for number, record in enumerate(records):
        (tmp_path / f"{number:04}.jpg").write_bytes(record.data)
    options = ["--already-cropped", "--model", SHIPPED, "--out", tmp_path / "out"]
    assert f"model: {SHIPPED}" in candid("predict", tmp_path, *options).out
    with (tmp_path / "out/predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = classifier.card.classes
    given = np.array([[float(row[f"p_{name}"]) for name in classes] for row in rows])
    faces = as_faces(records)
    expected = predict(classifier.model, faces, np.arange(len(faces)), "none")
    np.testing.assert_allclose(given, expected, rtol=2e-5, atol=1e-7)
    assert [row["predicted"] for row in rows] == [classes[best] for best in expected.argmax(axis=1)]


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_a_face_that_is_found_is_cut_much_as_fer2013_cut_it(mirror, classifier, name):
    """docs/predict.md has the figures, over a thousand faces; here a guard against a wrong margin."""
    faces = as_faces(some_records(mirror))
    detector = make_detector(name)
    found = [find_faces(canvas(face), detector, classifier.card) for face in faces]
    kept = [number for number, each in enumerate(found) if each]
    assert len(kept) > len(faces) / 2
    surest = [max(found[number], key=lambda face: face.score or 0) for number in kept]
    after = np.array([list(each.probabilities.values()) for each in label(surest, classifier)])
    before = classifier.probabilities(faces[kept])
    assert np.abs(after - before).sum(axis=1).mean() / 2 < 0.2
    assert (after.argmax(axis=1) == before.argmax(axis=1)).mean() > 0.7
