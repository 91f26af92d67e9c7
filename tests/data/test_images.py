"""Any picture becomes the same uint8 face everywhere, and what is no picture says why."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from candid.data.archives import UnreadableError
from candid.data.images import (
    MAX_PIXELS,
    MAX_SCANS,
    PixelBudget,
    content_digest,
    decode,
    decode_row,
    open_picture,
)
from tests.data.made import encoded, exif, pixels
from tests.reliability.corpus_images import jpeg_of_scans, png_of

LOSSLESS: dict[str, dict[str, Any]] = {
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
}


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "GIF"])
def test_a_face_of_the_wanted_size_keeps_its_pixels(kind):
    image = pixels(1)
    assert np.array_equal(decode(encoded(image, kind, **LOSSLESS.get(kind, {})), 48, "grey"), image)


def test_jpeg_and_avif_give_what_pillow_gives():
    data = encoded(pixels(2), "JPEG", quality=80)
    assert np.array_equal(decode(data, 48, "grey"), np.asarray(Image.open(io.BytesIO(data))))
    smooth = Image.fromarray(pixels(2, 4, 4)).resize((48, 48), Image.Resampling.BICUBIC)
    read = decode(encoded(smooth.convert("RGB"), "AVIF", **LOSSLESS["AVIF"]), 48, "grey")
    assert abs(read.astype(int) - np.asarray(smooth)).max() <= 3


def test_grey_is_itu_r_601_luma_and_rgb_keeps_colours_and_repeats_grey():
    image = pixels(3, 48, 48, 3)
    red, green, blue = np.moveaxis(image.astype(np.int64), 2, 0)
    luma = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    assert np.array_equal(decode(encoded(image), 48, "grey"), luma)
    assert np.array_equal(decode(encoded(image), 48, "rgb"), image)
    assert (decode(encoded(pixels(5)), 48, "rgb") == pixels(5)[:, :, None]).all()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 60_000), (60_000, 1), (47, 200), (351, 350)])
def test_any_shape_becomes_the_square_and_shrinking_averages(width, height):
    assert decode(encoded(np.full((height, width), 9, np.uint8)), 32, "grey").tolist() == [[9] * 32] * 32
    fine = (np.indices((480, 480)).sum(0) % 2 * 255).astype(np.uint8)
    assert abs(decode(encoded(fine), 48, "grey").astype(int) - 127).max() <= 1


def drawing(line, alpha=255):
    """Lines of that grey on a transparent ground of any colour."""
    image = np.zeros((48, 48, 4), np.uint8)
    image[10:20, :, :3], image[10:20, :, 3] = line, alpha
    return Image.fromarray(image)


@pytest.mark.parametrize(
    ("line", "ground"), [(0, 255), (40, 255), (200, 0), (255, 0), (100, 0), (128, 0), (210, 0)]
)
def test_transparency_lies_over_what_keeps_the_picture_visible(line, ground):
    for data in (
        encoded(drawing(line)),
        encoded(drawing(line).convert("LA")),
        encoded(drawing(line), "WEBP", lossless=True),
    ):
        face = decode(data, 48, "grey")
        assert set(face[:10].ravel()) == {ground}
        assert set(face[10:20].ravel()) == {line}


def test_black_and_white_on_transparency_are_both_visible():
    image = np.asarray(drawing(0)).copy()
    image[30:40, :, :3], image[30:40, :, 3] = 255, 255
    face = decode(encoded(image), 48, "grey")
    assert [int(face[row, 0]) for row in (0, 15, 35)] == [128, 0, 255]
    assert not np.array_equal(face, decode(encoded(drawing(0)), 48, "grey"))


def test_palettes_bits_and_transparent_values_are_looked_up():
    picture = Image.fromarray((np.indices((48, 48))[0] // 24).astype(np.uint8))
    palette = picture.convert("P")
    palette.putpalette([10, 10, 10, 240, 240, 240])
    assert np.unique(decode(encoded(palette), 48, "grey")).tolist() == [10, 240]
    assert np.unique(decode(encoded(palette, "GIF"), 48, "grey")).tolist() == [10, 240]
    assert np.unique(decode(encoded(palette, transparency=1), 48, "grey")).tolist() == [10, 255]
    bits = Image.fromarray(pixels(1) > 55)
    assert np.array_equal(decode(encoded(bits), 48, "grey"), np.where(pixels(1) > 55, 255, 0))
    for kind, ink, value in (("JPEG", 0, 255), ("TIFF", 255, 0)):
        cmyk = Image.new("CMYK", (48, 48), (0, 0, 0, ink))
        assert abs(decode(encoded(cmyk, kind), 48, "grey").astype(int) - value).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PGM"])
def test_sixteen_bits_are_scaled_to_eight(kind):
    deep = np.linspace(0, 65535, 48 * 48).astype(np.uint16).reshape(48, 48)
    plain = b"P5\n48 48\n65535\n" + deep.astype(">u2").tobytes()
    data = plain if kind == "PGM" else encoded(Image.fromarray(deep), kind)
    assert np.array_equal(decode(data, 48, "grey"), np.rint(deep / 257).astype(np.uint8))


@pytest.mark.parametrize(
    ("low", "high", "darkest", "brightest"),
    [
        (0, 127, 0, 255),  # seven bits
        (0, 4095, 0, 255),  # a 12-bit camera
        (100, 4080, 6, 254),
        (0, 16383, 0, 255),
        (0, 20_000, 0, 78),  # a dark picture of 16 bits stays dark
        (23_130, 23_130, 90, 90),
        (30_000, 30_300, 0, 255),  # a thermal camera
        (30_000, 30_003, 117, 117),  # noise
        (0, 3, 0, 25),
    ],
)
def test_of_sixteen_bits_the_range_in_use_counts(low, high, darkest, brightest):
    values = np.full((48, 48), low, np.uint16)
    values[24:] = high
    face = decode(encoded(Image.fromarray(values)), 48, "grey")
    assert np.unique(face).tolist() == sorted({darkest, brightest})


def test_colours_of_sixteen_bits_keep_their_range_too():
    cv2 = pytest.importorskip("cv2")
    deep = np.arange(48 * 48 * 3, dtype=np.uint16).reshape(48, 48, 3) % 4096
    for suffix in (".png", ".tiff"):
        data = cv2.imencode(suffix, deep[:, :, ::-1])[1].tobytes()
        assert abs(decode(data, 48, "rgb").astype(int) - np.rint(deep / 4095 * 255)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_undone(orientation, kind):
    data = encoded(pixels(6), kind, exif=exif(orientation), **LOSSLESS.get(kind, {}))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("L"))
    assert np.array_equal(upright, pixels(6)) == (orientation == 1)
    assert np.array_equal(decode(data, 48, "grey"), upright)
    assert content_digest(data) == content_digest(encoded(upright))


def test_a_damaged_exif_block_does_not_cost_the_picture():
    data = encoded(pixels(7), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert np.array_equal(decode(data, 48, "grey"), decode(encoded(pixels(7), "JPEG"), 48, "grey"))


def animation(kind, *values):
    frames = [Image.new("L", (48, 48), value) for value in values]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **LOSSLESS.get(kind, {}))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_is_the_face_and_all_frames_are_the_digest(kind):
    data = animation(kind, 40, 90, 200)
    assert np.unique(decode(data, 48, "grey")).tolist() == [40]
    digests = {
        content_digest(animation(kind, *values)) for values in ((40, 90, 200), (40, 90), (40, 90, 201), (40,))
    }
    assert len(digests) == 4
    assert content_digest(animation(kind, 40, 90, 200)) in digests


def with_hidden_colours():
    image = np.asarray(drawing(0)).copy()
    image[:5, :, 0] = 9
    return encoded(image)


def deep(values):
    return Image.fromarray(values.astype(np.uint16))


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (encoded(pixels(1)), encoded(pixels(1), "BMP"), True),
        (encoded(pixels(1)), encoded(pixels(1), compress_level=1), True),
        (encoded(pixels(1)), encoded(np.dstack([pixels(1)] * 3)), True),
        (encoded(pixels(1)), encoded(pixels(2)), False),
        (encoded(pixels(1)[:24]), encoded(pixels(1)[:, :24]), False),
        (encoded(drawing(0)), encoded(drawing(0, 254)), False),
        (encoded(drawing(0)), with_hidden_colours(), False),
        (encoded(deep(pixels(1))), encoded(deep(pixels(1) + np.uint16(1))), False),
    ],
)
def test_the_digest_is_over_all_channels_bits_and_pixels(one, other, equal):
    assert (content_digest(one) == content_digest(other)) == equal


def test_colours_of_sixteen_bits_that_differ_in_the_lower_eight_have_two_digests():
    cv2 = pytest.importorskip("cv2")
    images = [cv2.imencode(".png", np.full((9, 9, 3), 2560 + i, np.uint16))[1].tobytes() for i in (0, 1)]
    assert content_digest(images[0]) != content_digest(images[1])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        *((png_of(side, side), "pixels") for side in (9_460, 14_000)),
        (jpeg_of_scans(MAX_SCANS), "scans; at most"),
        (b"\xff\xd8\xff\xe0 not really a JPEG", "no picture|damaged"),
        (png_of(48, 48), "damaged"),
    ],
)
def test_what_is_no_picture_or_beyond_the_bounds_says_so(data, reason):
    for read in (lambda: decode(data, 48, "grey"), lambda: content_digest(data), lambda: open_picture(data)):
        with pytest.raises(UnreadableError, match=reason):
            read()


def test_large_pictures_are_read_within_memory_that_is_a_few_bytes_a_pixel():
    data = png_of(4_000, 4_000, 16, rows=bytes(4_000 * 8_001))
    tracemalloc.start()
    assert decode(data, 48, "grey").max() == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6 * 8
    assert decode(jpeg_of_scans(3), 48, "grey").shape == (48, 48)


def test_a_set_has_a_budget_of_pixels_by_its_size():
    budget = PixelBudget(1000)
    budget.remaining = 3 * 48 * 48
    for _ in range(3):
        decode(encoded(pixels(1)), 48, "grey", budget)
    with pytest.raises(UnreadableError, match="more pixels than an archive of this size can hold"):
        decode(encoded(pixels(1)), 48, "grey", budget)
    assert PixelBudget(26_000).remaining < 13 * MAX_PIXELS < PixelBudget(10 << 20).remaining


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_picture_cut_anywhere_is_refused_with_a_reason_without_addresses(kind, share):
    data = encoded(pixels(8), kind)
    with pytest.raises(UnreadableError) as caught:
        decode(data[: int(len(data) * share)], 48, "grey")
    assert "0x" not in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), st.data())
@pytest.mark.filterwarnings("ignore")
def test_garbled_bytes_give_a_face_or_a_reason_and_never_anything_else(kind, data):
    garbled = bytearray(encoded(pixels(9, 16, 16), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        garbled[data.draw(st.integers(0, len(garbled) - 1))] = data.draw(st.integers(0, 255))
    for read in (lambda: decode(bytes(garbled), 24, "grey").shape, lambda: content_digest(bytes(garbled))):
        try:
            assert read() in ((24, 24), read())
        except UnreadableError:
            continue


def test_a_row_of_pixels_is_read_exactly():
    image = pixels(10)
    text = " ".join(map(str, image.ravel().tolist()))
    assert np.array_equal(decode_row(text, 48, "grey"), image)
    assert np.array_equal(decode_row(text, 48, "rgb"), np.dstack([image] * 3))
    assert decode_row(text, 24, "grey").shape == (24, 24)


@pytest.mark.parametrize(
    "text",
    [
        *(
            " ".join(["12"] * 1000 + [value] + ["12"] * 1303)
            for value in ("256", "-1", "NaN", "1.5", "0x1", "٣", "1_0", "+7", "007")
        ),
        *("1 " * count for count in (0, 1, 2303, 2305, 100_000)),
    ],
)
def test_a_row_of_another_length_or_with_a_pixel_that_is_no_byte_is_rejected(text):
    with pytest.raises(UnreadableError, match=r"pixel value .* expected 0 to 255|pixels; expected 2,304"):
        decode_row(text, 48, "grey")
