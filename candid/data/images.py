"""A picture's file, or a row of pixels, in; uint8 pixels of one size and colour out."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence, UnidentifiedImageError

from candid.data.archives import UnreadableError

Color = Literal["grey", "rgb"]

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "AVIF", "PPM")  # other ones may start programs
MAX_PIXELS = 89_478_485  # more are bombs: this many take 256 MiB as RGB, and Pillow warns from here on
MAX_COMPOSITE_PIXELS = MAX_PIXELS // 3  # what takes three times the memory: transparency, 16 bits
MAX_PIXELS_A_BYTE, FREE_PIXELS = 1000, 1 << 24
"""Photographs have one to ten pixels a byte of their file, line art some hundreds; more is a bomb, unless the
picture is small anyway."""

FREE_SET_PIXELS = 1 << 30  # the same for all pictures of a set together: some ten seconds
MAX_SCANS = 100  # of a JPEG: encoders write up to ten; each takes a pass over all pixels
MAX_DIGEST_PIXELS = 4 * MAX_PIXELS  # over all frames of a file; what comes behind counts by the file's bytes
TABLE_SIDE = 48  # pixels a side of the faces in fer2013.csv
BACKGROUNDS, CONTRAST = (0, 255, 128), 48  # grey levels, the best first; least visible difference
MIN_DEEP_RANGE = 32  # values from darkest to brightest pixel of 16 bits; below is noise, not stretched
STARTS: dict[str, tuple[tuple[int, bytes], ...]] = {
    "HEIC": tuple((4, b"ftyp" + brand) for brand in (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1")),
    "raw photograph": (
        *((4, b"ftypcrx "), (0, b"FUJIFILMCCD-RAW"), (0, b"IIRO"), (0, b"IIRS"), (0, b"IIU\0"), (0, b"MMOR")),
        *((8, b"CR\x02\0"), (0, b"FOVb"), (0, b"\0MRM")),
    ),
    "JPEG XL": ((0, b"\xff\x0a"), (4, b"JXL ")),
    "JPEG 2000": ((4, b"jP  "), (0, b"\xff\x4f\xff\x51")),
    "Photoshop": ((0, b"8BPS"),),
}
"""How files in other formats begin: offset and bytes. HEIC's readers come with an LGPL library of codecs."""

TIFF_REDUCED, TIFF_DNG, ORIENTATION = 254, 50706, 0x0112
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
PIXEL = {str(value): value for value in range(256)}


class PixelBudget:
    """Pixels that may be decoded of a set of so many bytes: a small archive can hold a day's work."""

    def __init__(self, file_bytes: int) -> None:
        self.remaining = FREE_SET_PIXELS + MAX_PIXELS_A_BYTE * file_bytes

    def take(self, image: Image.Image) -> None:
        """Count a picture; UnreadableError where the set has had its share."""
        self.remaining -= image.width * image.height
        if self.remaining < 0:
            fault = "have more pixels than an archive of this size can hold"
            raise UnreadableError(f"the pictures before it {fault}")


def decode(data: bytes, size: int, color: Color, budget: PixelBudget | None = None) -> NDArray[np.uint8]:
    """Decode a picture: uint8, size x size, or size x size x 3.

    First frame; turned upright by its EXIF orientation; transparent pixels over black, white or grey, where
    most of the picture is visible; 16 bits scaled to 8 by the range in use (_scaled); grey is ITU-R 601 luma;
    then resized to a square by Pillow's bicubic filter, which averages when it shrinks. A picture of that
    size keeps its pixels exactly; one that isn't square is stretched, so that all of the face stays.

    The file's bytes decide the format, not a name. `budget` is that of the set that the picture belongs to.
    UnreadableError: no picture, a damaged one, a preview, or one beyond the bounds of this module.
    """
    return resized(open_picture(data, budget), size, color)


def open_picture(data: bytes, budget: PixelBudget | None = None) -> Image.Image:
    """Decode a picture at its own size, by decode's rules up to the resizing, errors too; mode L or RGB."""
    with opened(data) as image:
        if budget is not None:
            budget.take(image)
        return _eight_bits(image, data)


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """Open a picture whose header keeps to the bounds; what decoding raises becomes an UnreadableError."""
    if not data:
        raise UnreadableError("0 bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about odd metadata
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_header(image, data)
                yield image
    except (UnreadableError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise UnreadableError(_other_format(data)) from None
    except Image.DecompressionBombError:
        raise UnreadableError(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # decoders raise whatever they stumble over
        reason = re.sub(r"<[^>]*>", "", str(error)).strip() or type(error).__name__
        raise UnreadableError(f"damaged picture: {reason[:120]}") from None


def decode_row(text: str, size: int, color: Color) -> NDArray[np.uint8]:
    """Decode one row of fer2013.csv: 48 x 48 values 0 to 255 between spaces, row by row.

    UnreadableError: another number of values, or a value that is no integer from 0 to 255.
    """
    words = text.split()
    if len(words) != TABLE_SIDE**2:
        raise UnreadableError(f"{len(words):,} pixels; expected {TABLE_SIDE**2:,}")
    try:
        pixels = bytes(map(PIXEL.__getitem__, words))
    except KeyError as error:
        raise UnreadableError(f"pixel value {error.args[0][:20]!r}; expected 0 to 255") from None
    return resized(Image.frombytes("L", (TABLE_SIDE, TABLE_SIDE), pixels), size, color)


def content_digest(data: bytes) -> bytes:
    """Digest of all that a picture's file shows: 16 bytes, equal where all pixels of all frames are.

    Upright, at full size, with every channel, bit and frame; a JPEG and the PNG saved from it are equal.
    Where Pillow doesn't give all (colours of 16 bits, a damaged frame, frames without end) the file's bytes
    count. UnreadableError as decode.
    """
    digest = hashlib.blake2b(digest_size=16)
    with opened(data) as image:
        turn, deep, room = _turn(image), _has_deep_colors(image), MAX_DIGEST_PIXELS
        image.load()
        try:
            for frame in ImageSequence.Iterator(image):
                room -= frame.width * frame.height
                if room < 0 or deep or _has_deep_colors(frame):
                    raise ValueError("not all of its pixels")
                upright = frame.transpose(turn) if turn is not None else frame
                digest.update(f"{upright.size}".encode())
                for piece in _exact(upright):
                    digest.update(piece)
        except Exception:
            digest.update(data)
    return digest.digest()


def _exact(image: Image.Image) -> Iterator[bytes]:
    """Give all pixels, some rows at a time: as RGBA where that holds all of the mode."""
    keep = image.mode in ("CMYK", "LAB", "HSV", "YCbCr", "I", "F") or image.mode.startswith("I;")
    mode = image.mode if keep else "RGBA"
    yield mode.encode()
    rows = max(1, (1 << 20) // image.width)
    for top in range(0, image.height, rows):
        some = image.crop((0, top, image.width, min(top + rows, image.height)))
        yield (some if keep else some.convert("RGBA")).tobytes()


def _check_header(image: Image.Image, data: bytes) -> None:
    pixels = image.width * image.height
    transparent = "A" in image.mode or "a" in image.mode or "transparency" in image.info
    limit = MAX_COMPOSITE_PIXELS if transparent or _has_deep_colors(image) else MAX_PIXELS
    size = f"{image.width} x {image.height} pixels"
    if pixels > limit:
        raise UnreadableError(f"{size}; at most {limit:,} are read")
    if pixels > max(FREE_PIXELS, MAX_PIXELS_A_BYTE * len(data)):
        raise UnreadableError(f"{size} in {len(data):,} bytes; at most {FREE_PIXELS:,} are read")
    if image.format in ("JPEG", "MPO") and (scans := data.count(b"\xff\xda")) > MAX_SCANS:
        raise UnreadableError(f"a JPEG of {scans:,} scans; at most {MAX_SCANS} are read")
    tags: Any = getattr(image, "tag_v2", {})
    if image.format == "TIFF" and (TIFF_DNG in tags or int(tags.get(TIFF_REDUCED, 0)) & 1):
        expected = "expected a picture: convert it to JPEG or PNG"
        raise UnreadableError(f"the preview of a raw photograph; {expected}")


def _other_format(data: bytes) -> str:
    for kind, starts in STARTS.items():
        if any(data[at : at + len(start)] == start for at, start in starts):
            return f"{kind}, a format that is not read: convert it to JPEG or PNG"
    return "no picture in a known format"


def resized(image: Image.Image, size: int, color: Color) -> NDArray[np.uint8]:
    """Convert to grey or RGB and to size x size pixels."""
    mode = "L" if color == "grey" else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _eight_bits(image: Image.Image, data: bytes) -> Image.Image:
    """Upright, opaque, mode L or RGB."""
    turn = _turn(image)
    deep = _has_deep_colors(image)
    image.load()
    if deep:
        image = _from_deep_colors(data)
    elif image.mode.startswith("I") or image.mode == "F":
        image = _from_deep(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = _opaque(image.convert("RGBA"))
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return image.transpose(turn) if turn is not None else image


def _opaque(image: Image.Image) -> Image.Image:
    """Lay a picture (RGBA) over the grey from which most of what is visible stands out."""
    alpha = image.getchannel("A")
    visible = np.array(image.convert("L").histogram(alpha.point(lambda value: 255 if value >= 64 else 0)))
    levels = np.arange(256)
    seen = [int(visible[np.abs(levels - grey) >= CONTRAST].sum()) for grey in BACKGROUNDS]
    canvas = Image.new("RGB", image.size, (BACKGROUNDS[int(np.argmax(seen))],) * 3)
    canvas.paste(image.convert("RGB"), mask=alpha)
    return canvas


def _from_deep(image: Image.Image) -> Image.Image:
    """Grey of 16 bits to 8. Pillow gives 16-bit PGM as mode I; anything else there has 32 bits."""
    if not (image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")):
        raise UnreadableError(f"pixels of 32 bits (mode {image.mode}); expected 8 or 16")
    return Image.fromarray(_scaled(np.asarray(image).astype(np.uint16, copy=False)))


def _has_deep_colors(image: Any) -> bool:
    """Does the file hold colours of 16 bits? Pillow reads the upper eight of them."""
    return image.mode in ("RGB", "RGBA", "LA") and any(";16" in str(tile[3]) for tile in image.tile)


def _from_deep_colors(data: bytes) -> Image.Image:
    """Colours of 16 bits to 8, all channels by one scale."""
    import cv2  # a tenth of a second, and seldom needed

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise UnreadableError("colours of 16 bits in a form that is not read; expected 8")
    image = _scaled(pixels[:, :, :3])[:, :, ::-1]
    if pixels.shape[2] == 4:
        image = np.dstack([image, (pixels[:, :, 3] >> 8).astype(np.uint8)])
    return Image.fromarray(np.ascontiguousarray(image))


def _scaled(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Scale 16 bits to 8 by the range in use.

    v / 257 where the largest value has more than 14 bits; else by the largest value of its number of bits (a
    12-bit camera's 4,095); where less than a sixteenth of that range is used, from darkest to brightest.
    """
    low, high = int(values.min()), int(values.max())
    full = 65535 if high >= 1 << 14 else max((1 << high.bit_length()) - 1, MIN_DEEP_RANGE - 1)
    start = 0
    if MIN_DEEP_RANGE <= high - low < full // 16:
        start, full = low, high - low
    table = np.arange(65536, dtype=np.int64) - start
    scaled: NDArray[np.uint8] = np.clip((table * 255 + full // 2) // full, 0, 255).astype(np.uint8)
    return scaled[values]


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What turns the picture upright by its EXIF tag; None where there is nothing to do or to know."""
    if "exif" not in image.info:  # Pillow turns TIFF, whose tag isn't EXIF, itself
        return None
    try:
        tag = image.getexif().get(ORIENTATION)
    except Exception:  # a damaged tag doesn't make the pixels worthless
        return None
    return TURNS.get(tag) if isinstance(tag, int) else None
