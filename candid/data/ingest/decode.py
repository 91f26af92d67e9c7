"""One picture: its file's bytes, or a row of pixels, in; uint8 pixels of the wanted size and colour out."""

from __future__ import annotations

import io
import re
import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

Color = Literal["grey", "rgb"]

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""Pillow knows more, some of which start other programs (EPS) or refer to other files."""

MAX_PIXELS = 89_478_485
"""Pictures with more are bombs: this many take 256 MiB as RGB. Pillow warns from here on."""

TABLE_SIDE = 48
"""Pixels a side of the faces in fer2013.csv."""

ORIENTATION = 0x0112  # EXIF
PIXEL = {str(value): value for value in range(256)}


class UnreadableError(ValueError):
    """Why a file gives no face, in a few words that are the same on every machine."""


def decode(data: bytes, size: int, color: Color) -> NDArray[np.uint8]:
    """Decode a picture.

    First frame; turned upright by its EXIF orientation; transparency over black; 16 bits scaled to 8
    (v / 257, rounded); grey is ITU-R 601 luma, (19595 R + 38470 G + 7471 B + 32768) >> 16; then resized to a
    square by Pillow's bicubic filter, which averages when it shrinks. A picture of the wanted size keeps its
    pixels exactly. Pictures that aren't square are stretched, so that all of the face stays.

    Args:
        data: the file's bytes; the format is told by them, not by a name.
        size: height and width in pixels.
        color: "grey" or "rgb".

    Returns:
        uint8, size x size, or size x size x 3.

    Raises:
        UnreadableError: no picture, a damaged one, or one of more than MAX_PIXELS.
    """
    return _finish(open_picture(data), size, color)


def open_picture(data: bytes) -> Image.Image:
    """Decode a picture at its own size, by decode's rules up to the resizing; mode L or RGB.

    Raises:
        UnreadableError: as decode.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableError(
                    f"{image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read"
                )
            image.load()
            return _eight_bits(image)
    except (UnreadableError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise UnreadableError("no picture in a known format") from None
    except Image.DecompressionBombError:
        raise UnreadableError(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # decoders raise whatever they stumble over
        reason = re.sub(r"<[^>]*>", "", str(error)).strip() or type(error).__name__
        raise UnreadableError(f"damaged picture: {reason[:120]}") from None


def decode_row(text: str, size: int, color: Color) -> NDArray[np.uint8]:
    """Decode one row of fer2013.csv: 48 x 48 values 0 to 255 between spaces, row by row.

    Raises:
        UnreadableError: another number of values, or a value that is no integer from 0 to 255.
    """
    words = text.split()
    if len(words) != TABLE_SIDE**2:
        raise UnreadableError(f"{len(words):,} pixels; expected {TABLE_SIDE**2:,}")
    try:
        pixels = bytes(map(PIXEL.__getitem__, words))
    except KeyError as error:
        raise UnreadableError(f"pixel value {error.args[0][:20]!r}; expected 0 to 255") from None
    return _finish(Image.frombytes("L", (TABLE_SIDE, TABLE_SIDE), pixels), size, color)


def decode_chunk(data: list[bytes | str], size: int, color: Color) -> tuple[NDArray[np.uint8], list[str]]:
    """Decode files (bytes) and rows of pixels (text).

    Returns:
        faces: those that could be read; uint8, n x size x size (x 3).
        reasons: for each of `data`, why it couldn't be read, or "".
    """
    faces: list[NDArray[np.uint8]] = []
    reasons: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about odd metadata
        for each in data:
            try:
                face = decode(each, size, color) if isinstance(each, bytes) else decode_row(each, size, color)
                faces.append(face)
                reasons.append("")
            except UnreadableError as error:
                reasons.append(str(error))
    shape = (0, size, size) if color == "grey" else (0, size, size, 3)
    return np.stack(faces) if faces else np.empty(shape, np.uint8), reasons


def _finish(image: Image.Image, size: int, color: Color) -> NDArray[np.uint8]:
    mode = "L" if color == "grey" else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Upright, opaque, mode L or RGB."""
    orientation = _orientation(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _from_deep(image)
    elif image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, (0, 0, 0, 255))
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque.convert("RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return image.transpose(orientation) if orientation is not None else image


def _from_deep(image: Image.Image) -> Image.Image:
    """Grey of 16 bits to 8. Pillow gives 16-bit PGM as mode I; anything else there has 32 bits."""
    if not (image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")):
        raise UnreadableError(f"pixels of 32 bits (mode {image.mode}); expected 8 or 16")
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))


def _orientation(image: Image.Image) -> Image.Transpose | None:
    """What turns the picture upright by its EXIF tag; None where there is nothing to do or no telling."""
    if "exif" not in image.info:  # Pillow turns TIFF, whose tag isn't EXIF, itself
        return None
    try:
        tag = image.getexif().get(ORIENTATION)
    except Exception:  # a damaged tag doesn't make the pixels worthless
        return None
    return TURNS.get(tag) if isinstance(tag, int) else None


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what undoes it (Exif 2.32, tag 274)."""
