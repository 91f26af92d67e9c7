"""Pictures at full size, and the crops that are cut from them: the pixels and the tone that ingest gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from candid.data.images import decode, open_picture
from candid.evaluation.model_file import Card
from candid.predict.classifier import Classifier
from candid.predict.command import drawn
from candid.predict.detectors import Box, Detection
from candid.predict.faces import Labelled, as_trained, cut, find_faces, label, reduced, square
from tests.predict.predict_pictures import FACE, astronaut, encoded, exif, noise


def files() -> dict[str, bytes]:
    small = astronaut(96).crop((0, 0, 96, 64))
    deep = Image.fromarray(np.asarray(small.convert("L")).astype(np.uint16) * 257)
    clear = small.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(small.size))
    made = {
        "rgb": encoded(small),
        "grey": encoded(small.convert("L")),
        "cmyk": encoded(small.convert("CMYK"), "TIFF"),
        "cmyk jpeg": encoded(small.convert("CMYK"), "JPEG"),
        "16 bits": encoded(deep),
        "alpha": encoded(clear),
        "palette": encoded(small.convert("P")),
        "palette with a hole": encoded(small.convert("P"), transparency=3),
        "two colours": encoded(small.convert("1")),
        "animated": encoded(small, "GIF", save_all=True, append_images=[small.rotate(90)]),
        "webp": encoded(small, "WEBP", lossless=True),
    }
    return made | {f"EXIF {turn}": encoded(small, "JPEG", exif=exif(turn)) for turn in range(1, 9)}


@pytest.mark.parametrize("color", ["grey", "rgb"])
@pytest.mark.parametrize("name", files())
def test_a_whole_picture_becomes_the_face_that_ingest_makes(name, color):
    data = files()[name]
    image = open_picture(data)
    assert image.mode in ("L", "RGB")
    np.testing.assert_array_equal(as_trained(image, 48, color), decode(data, 48, color))
    place = Box(0, 0, 48, 48)
    corner = np.asarray(image.crop((0, 0, 48, 48)))
    np.testing.assert_array_equal(np.asarray(cut(image, place)), corner)


@settings(deadline=None)
@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    left=st.integers(-60, 60),
    top=st.integers(-60, 60),
    side=st.integers(1, 70),
    grey=st.booleans(),
)
def test_a_crop_is_the_picture_where_there_is_one_and_its_border_beyond(width, height, left, top, side, grey):
    pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    if grey:
        pixels = pixels[..., 0].copy()
    crop = np.asarray(cut(Image.fromarray(pixels), Box(left, top, side, side)))
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    np.testing.assert_array_equal(crop, pixels[rows][:, columns])


def test_a_square_has_its_margin_on_each_side_of_the_longer_side():
    assert square(Box(100, 100, 80, 100), 0) == Box(90, 100, 100, 100)
    assert square(Box(100, 100, 80, 100), 0.1) == Box(80, 90, 120, 120)
    assert square(Box(100, 100, 80, 100), -0.1) == Box(100, 110, 80, 80)
    assert square(Box(0, 0, 0, 0), 0).width == 1


@settings(deadline=None)
@given(left=st.floats(-200, 200), top=st.floats(-200, 200), width=st.floats(0, 300), height=st.floats(0, 300))
def test_a_clipped_box_lies_within_the_picture(left, top, width, height):
    box = Box(left, top, width, height).clipped(60, 40)
    assert 0 <= box.left < box.left + box.width <= 60
    assert 0 <= box.top < box.top + box.height <= 40


@pytest.mark.parametrize(
    ("size", "wanted"), [((3000, 1000), (1280, 427)), ((100, 50), (480, 240)), ((600, 7), (600, 7))]
)
def test_a_copy_keeps_its_proportions_within_bounds(size, wanted):
    assert reduced(Image.new("L", size), 1280, 480).size == wanted
    assert reduced(Image.new("L", size), 1280, 480).mode == "RGB"


@pytest.mark.parametrize("size", [(5000, 1), (1, 3000), (20000, 6), (2, 2)])
def test_a_box_thinner_than_a_pixel_of_the_copy_is_drawn(size):
    copy = drawn(Image.new("L", size), [Labelled(Box(0, 0, *size), None, {"happy": 1.0})])
    assert 480 <= max(copy.size) <= 2048
    assert np.asarray(copy).any()


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
    left, top, side, _ = square(FACE, 0.0)
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
    found = find_faces(image, None if cropped else KnownBox(), CARD)
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
