"""Pictures at full size, and the crops that are cut from them: the same pixels as ingest makes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from candid.data.archives import UnreadableError
from candid.data.images import MAX_PIXELS, decode
from candid.predict.detectors import Box
from candid.predict.faces import Labelled, Square, as_trained, cut, open_picture, reduced, square
from candid.predict.outputs import drawn
from tests.predict.predict_pictures import astronaut, encoded, exif


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
    place = Square(0, 0, 48)
    corner = np.asarray(image.crop((0, 0, 48, 48)))
    np.testing.assert_array_equal(np.asarray(cut(image, place)), corner)


@pytest.mark.parametrize("turn", [5, 6, 7, 8])
def test_a_picture_that_the_camera_turned_stands_upright(turn):
    assert open_picture(files()[f"EXIF {turn}"]).size == (64, 96)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (b"words, not pixels", "no picture in a known format"),
        (encoded(astronaut(96))[:3000], "damaged picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "no picture in a known format"),
    ],
)
def test_what_is_no_whole_picture_is_named(data, words):
    with pytest.raises(UnreadableError, match=words):
        open_picture(data)


def test_a_bomb_is_refused_before_it_is_unpacked():
    wide = Image.new("1", (MAX_PIXELS // 1000 + 1, 1001))
    with pytest.raises(UnreadableError, match="at most"):
        open_picture(encoded(wide))


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
    crop = np.asarray(cut(Image.fromarray(pixels), Square(left, top, side)))
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    np.testing.assert_array_equal(crop, pixels[rows][:, columns])


def test_a_square_has_its_margin_on_each_side_of_the_longer_side():
    assert square(Box(100, 100, 80, 100), 0) == Square(90, 100, 100)
    assert square(Box(100, 100, 80, 100), 0.1) == Square(80, 90, 120)
    assert square(Box(100, 100, 80, 100), -0.1) == Square(100, 110, 80)
    assert square(Box(0, 0, 0, 0), 0).side == 1


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
