"""Any picture becomes the same uint8 face everywhere, and what is no picture says why."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from candid.data.ingest.decode import MAX_PIXELS, UnreadableError, decode, decode_chunk, decode_row
from tests.data.made import encoded, pixels


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "GIF"])
def test_a_face_of_the_wanted_size_keeps_its_pixels(kind):
    image = pixels(1)
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(decode(encoded(image, kind, **options), 48, "grey"), image)


def test_jpeg_gives_what_pillow_gives():
    data = encoded(pixels(2), "JPEG", quality=80)
    assert np.array_equal(decode(data, 48, "grey"), np.asarray(Image.open(io.BytesIO(data))))


def test_grey_is_itu_r_601_luma_in_integers():
    image = pixels(3, 48, 48, 3)
    red, green, blue = np.moveaxis(image.astype(np.int64), 2, 0)
    luma = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    assert np.array_equal(decode(encoded(image), 48, "grey"), luma)


def test_rgb_keeps_colours_and_repeats_grey():
    image = pixels(4, 48, 48, 3)
    assert np.array_equal(decode(encoded(image), 48, "rgb"), image)
    grey = decode(encoded(pixels(5)), 48, "rgb")
    assert grey.shape == (48, 48, 3)
    assert (grey == pixels(5)[:, :, None]).all()


def test_shrinking_averages_and_a_flat_picture_stays_flat():
    fine = np.indices((480, 480)).sum(0) % 2 * 255
    assert abs(decode(encoded(fine.astype(np.uint8)), 48, "grey").astype(int) - 127).max() <= 1
    assert (decode(encoded(np.full((350, 351), 77, np.uint8)), 48, "grey") == 77).all()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 60_000), (60_000, 1), (47, 200)])
def test_any_shape_becomes_the_square(width, height):
    assert decode(encoded(np.full((height, width), 9, np.uint8)), 32, "grey").tolist() == [[9] * 32] * 32


def test_transparency_lies_over_black():
    image = np.dstack([np.full((48, 48, 3), 200, np.uint8), np.full((48, 48), 255, np.uint8)])
    image[:24, :, 3] = 0
    for data in (encoded(image), encoded(Image.fromarray(image).convert("LA"))):
        face = decode(data, 48, "grey")
        assert (face[:24] == 0).all()
        assert (face[24:] == 200).all()


def test_a_palette_is_looked_up_and_its_transparent_colour_is_black():
    picture = Image.fromarray((np.indices((48, 48))[0] // 24).astype(np.uint8))
    palette = picture.convert("P")
    palette.putpalette([10, 10, 10, 240, 240, 240])
    assert np.unique(decode(encoded(palette), 48, "grey")).tolist() == [10, 240]
    assert np.unique(decode(encoded(palette, transparency=1), 48, "grey")).tolist() == [0, 10]
    assert np.unique(decode(encoded(palette, "GIF"), 48, "grey")).tolist() == [10, 240]


def test_grey_with_a_transparent_value_and_one_bit_pictures():
    image = np.full((48, 48), 50, np.uint8)
    image[0] = 60
    assert np.unique(decode(encoded(Image.fromarray(image), transparency=60), 48, "grey")).tolist() == [0, 50]
    bits = Image.fromarray(image > 55)
    assert np.array_equal(decode(encoded(bits), 48, "grey"), np.where(image > 55, 255, 0))


def test_cmyk_is_turned_to_grey():
    white = Image.new("CMYK", (48, 48), (0, 0, 0, 0))
    black = Image.new("CMYK", (48, 48), (0, 0, 0, 255))
    assert decode(encoded(white, "JPEG"), 48, "grey").min() >= 254
    assert decode(encoded(black, "TIFF"), 48, "grey").max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PGM"])
def test_sixteen_bits_are_scaled_to_eight(kind):
    deep = np.linspace(0, 65535, 48 * 48).astype(np.uint16).reshape(48, 48)
    data = (
        b"P5\n48 48\n65535\n" + deep.astype(">u2").tobytes()
        if kind == "PGM"
        else encoded(Image.fromarray(deep), kind)
    )
    assert np.array_equal(decode(data, 48, "grey"), np.rint(deep / 257).astype(np.uint8))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_thirty_two_bits_are_refused_because_their_range_is_not_known(mode):
    with pytest.raises(UnreadableError, match="32 bits"):
        decode(encoded(Image.new(mode, (48, 48), 7), "TIFF"), 48, "grey")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_undone(orientation, kind):
    upright = Image.fromarray(pixels(6))
    exif = Image.Exif()
    exif[0x0112] = orientation
    # how a camera held so would have stored it: the inverse of what the tag asks for
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    turned = upright if stored is None else upright.transpose(stored)
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(turned, kind, exif=exif, **options)
    assert np.array_equal(decode(data, 48, "grey"), np.asarray(upright))


def test_a_damaged_exif_block_does_not_cost_the_picture():
    plain = encoded(pixels(7), "JPEG")
    data = encoded(pixels(7), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    (face,), reasons = decode_chunk([data], 48, "grey")
    assert reasons == [""]
    assert np.array_equal(face, decode(plain, 48, "grey"))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation_counts(kind):
    frames = [Image.new("L", (48, 48), value) for value in (40, 90, 200)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert np.unique(decode(data, 48, "grey")).tolist() == [40]


def _png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises that size; there is next to nothing in it."""

    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + block(b"IHDR", header)
        + block(b"IDAT", zlib.compress(b"\0" * 99))
        + block(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [9_460, 14_000, 100_000])
def test_a_bomb_is_refused_by_its_header(side):
    assert side**2 > MAX_PIXELS
    with pytest.raises(UnreadableError, match="pixels"):
        decode(_png_of(side, side), 48, "grey")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no picture"),
        (b"just some text, named like a picture", "no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture"),
        (b"PK\x03\x04" + b"\0" * 100, "no picture"),
        (b"\xff\xd8\xff\xe0 not really a JPEG", "no picture|damaged"),
        (_png_of(48, 48), "damaged"),
    ],
)
def test_what_is_no_picture_says_so(data, reason):
    with pytest.raises(UnreadableError, match=reason):
        decode(data, 48, "grey")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_picture_cut_anywhere_is_refused_with_a_reason_without_addresses(kind, share):
    data = encoded(pixels(8), kind)
    with pytest.raises(UnreadableError) as caught:
        decode(data[: int(len(data) * share)], 48, "grey")
    assert "0x" not in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), st.data())
def test_garbled_bytes_give_a_face_or_a_reason_and_never_anything_else(kind, data):
    garbled = bytearray(encoded(pixels(9, 16, 16), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        garbled[data.draw(st.integers(0, len(garbled) - 1))] = data.draw(st.integers(0, 255))
    faces, (reason,) = decode_chunk([bytes(garbled)], 24, "grey")
    assert faces.shape == ((0 if reason else 1), 24, 24)


def test_a_row_of_pixels_is_read_exactly():
    image = pixels(10)
    text = " ".join(map(str, image.ravel().tolist()))
    assert np.array_equal(decode_row(text, 48, "grey"), image)
    assert np.array_equal(decode_row(text, 48, "rgb"), np.dstack([image] * 3))
    assert decode_row(text, 24, "grey").shape == (24, 24)


@pytest.mark.parametrize(
    "value", ["256", "-1", "300", "NaN", "1.5", "1e2", "0x1", "٣", "1_0", "+7", "007", ""]
)
def test_a_pixel_that_is_no_byte_rejects_the_row(value):
    words = ["12"] * 2304
    words[1000] = value
    with pytest.raises(UnreadableError, match="pixel"):
        decode_row(" ".join(words), 48, "grey")


@pytest.mark.parametrize("count", [0, 1, 2303, 2305, 100_000])
def test_a_row_of_another_length_is_rejected(count):
    with pytest.raises(UnreadableError, match=r"expected 2,304"):
        decode_row("1 " * count, 48, "grey")


@pytest.mark.parametrize("color", ["grey", "rgb"])
def test_a_chunk_keeps_the_order_and_names_the_faulty(color):
    row = " ".join(["5"] * 2304)
    faces, reasons = decode_chunk([encoded(pixels(1)), b"no", row, "1 2"], 48, color)
    assert [bool(reason) for reason in reasons] == [False, True, False, True]
    assert np.array_equal(faces[0], decode(encoded(pixels(1)), 48, color))
    assert (faces[1] == 5).all()
    assert len(decode_chunk([b"no"], 48, color)[0]) == 0
