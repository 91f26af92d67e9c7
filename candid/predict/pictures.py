"""A picture's file in, the picture at full size out: upright, opaque, 8 bits; as the pipeline reads faces."""

from __future__ import annotations

import warnings

from PIL import Image

from candid.data import images
from candid.data.archives import UnreadableError


def open_picture(data: bytes) -> Image.Image:
    """Decode a picture at its own size: first frame, upright by EXIF, over black, mode L or RGB.

    Ingest's own rules make it so: a face cut from it has the pixels that ingest would have given it. At most
    MAX_PIXELS are read, so that memory stays below 4 bytes a pixel, twice that where EXIF turns the picture.

    Raises:
        UnreadableError: no picture, a damaged one, or one of more than MAX_PIXELS.
    """
    if not data:
        raise UnreadableError("0 bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about odd metadata
        return images.open_picture(data)


def reduced(image: Image.Image, longest: int, shortest: int = 0) -> Image.Image:
    """An RGB copy whose longer side is between `shortest` and `longest` pixels, in proportion.

    The original is not copied at full size on the way.
    """
    side = max(image.size)
    wanted = min(max(side, shortest), longest)
    if wanted == side:
        return image.convert("RGB") if image.mode != "RGB" else image.copy()
    size = (max(1, round(image.width * wanted / side)), max(1, round(image.height * wanted / side)))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0).convert("RGB")
