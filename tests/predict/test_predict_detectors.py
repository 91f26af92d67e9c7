"""Both detectors on the astronaut and what is made of it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from candid.errors import CandidError
from candid.evaluation.model_file import Card
from candid.predict import detectors
from candid.predict.detectors import DETECTORS, Box, Detection, distinct, make_detector
from candid.predict.faces import find_faces
from tests.conftest import python
from tests.predict.predict_pictures import FACE, astronaut, encoded, exif, noise, on_face, pair

CARD = Card(classes=["a", "b"], image_size=48, color="grey")


@pytest.fixture(scope="module", params=sorted(DETECTORS))
def detector(request):
    return make_detector(request.param)


def boxes(image, detector):
    return [face.box for face in find_faces(image, detector, CARD)]


def test_the_face_is_framed_once(detector):
    (face,) = find_faces(astronaut(), detector, CARD)
    assert on_face(face.box)
    assert face.score is not None
    assert face.pixels.shape == (48, 48)


@pytest.mark.parametrize("side", [300, 1000, 2560])
def test_boxes_are_in_pixels_of_the_original_whatever_its_size(detector, side):
    (box,) = boxes(astronaut(side), detector)
    assert on_face(box, side / 512)


def test_grey_and_dark_pictures_work_and_no_face_is_no_face(detector):
    for picture in (astronaut().convert("L"), ImageEnhance.Brightness(astronaut()).enhance(0.3)):
        (box,) = boxes(picture, detector)
        assert on_face(box)
    for picture in (noise(640, 480), Image.new("L", (1, 1)), Image.new("RGB", (2000, 3))):
        assert boxes(picture, detector) == []


def test_several_faces_come_from_left_to_right_and_stay_within_the_picture(detector):
    row = Image.new("RGB", (4 * 260, 260))
    for number in (0, 2):
        row.paste(pair(), (260 * number, 0))
    four = boxes(row, detector)
    assert len(four) == 4
    for number, box in enumerate(four):
        assert on_face((box.left - 260 * number + 100, *box[1:]))
    cut = astronaut().crop((round(FACE.left + FACE.width * 0.2), 0, 512, 512))
    for box in boxes(cut, detector):
        assert box.left >= 0
        assert box.left + box.width <= cut.width


def test_the_cascade_scores_the_boxes_that_opencv_gives():
    import cv2
    import cv2.data

    cascade = detectors.Cascade()
    grey = cv2.equalizeHist(cv2.cvtColor(np.asarray(astronaut()), cv2.COLOR_RGB2GRAY))
    path = cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml"
    plain = cv2.CascadeClassifier(path).detectMultiScale(grey, 1.1, 4, minSize=(24, 24))
    assert [list(map(int, each.box)) for each in cascade(np.asarray(astronaut()))] == np.asarray(
        plain
    ).tolist()


def test_of_overlapping_boxes_the_surest_is_kept():
    sure, less, part = Box(0, 0, 100, 100), Box(10, 10, 100, 100), Box(60, 60, 30, 30)
    beside = Box(200, 0, 100, 100)
    boxes = {less: 0.8, sure: 0.9, part: 0.6, beside: 0.7}
    assert [each.box for each in distinct([Detection(*each) for each in boxes.items()])] == [sure, beside]


def test_an_unknown_detector_and_what_is_not_installed_are_one_line(monkeypatch, tmp_path):
    import cv2.data

    with pytest.raises(CandidError, match="expected one of cascade, mtcnn"):
        make_detector("retina")
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(CandidError, match="does not carry it; expected opencv-python-headless 4"):
        make_detector("cascade")
    for module, name in (("mtcnn", "mtcnn"), ("cv2", "cascade")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(CandidError, match=f"{module} is not installed"):
            make_detector(name)


LARGE = """
import resource, sys
from pathlib import Path
from candid.evaluation.model_file import Card
from candid.predict.detectors import make_detector
from candid.predict.faces import find_faces
from candid.data.images import open_picture

detector, card = make_detector("cascade"), Card(classes=["a"], image_size=48, color="grey")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
image = open_picture(Path(sys.argv[1]).read_bytes())
faces = find_faces(image, detector, card)
print(*image.size, len(faces), *map(int, faces[0].box), end=" ")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_fifty_megapixels_take_bounded_memory(tmp_path):
    """Turned by EXIF, which copies it once: 4 bytes a pixel, twice, and little more."""
    large = Image.new("RGB", (8660, 5774), (120, 110, 100))
    large.paste(astronaut(4000), (300, 200))
    path = tmp_path / "large.jpg"
    path.write_bytes(encoded(large.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif(6)))
    done = python(LARGE, tmp_path, str(path))
    assert done.returncode == 0, done.stderr
    width, height, count, x, y, *size, kilobytes = map(int, done.stdout.split())
    assert (width, height, count) == (8660, 5774, 1)
    assert on_face((x - 300, y - 200, *size), 4000 / 512)
    assert kilobytes < 500_000
