"""Small pictures for the page, as data that stands inside it."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHOWN = 192  # pixels of the longer side at most: twice what the page gives it, for sharp screens
PIXEL_EXACT = 96  # up to this size pictures go in unchanged


def data_uri(image: NDArray[np.uint8]) -> str:
    """Encode an H x W or H x W x 3 image for an `img` element: PNG if small, else a JPEG of SHOWN pixels."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    buffer = io.BytesIO()
    if max(picture.size) <= PIXEL_EXACT:
        picture.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        picture.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
        picture.save(buffer, "JPEG", quality=82)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
