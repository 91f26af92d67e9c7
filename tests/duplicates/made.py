"""Made pictures with structure at every scale, and copies of them as they turn up in real sets."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance


def made_pictures(count: int, seed: int = 0, size: int = 48) -> NDArray[np.uint8]:
    """Different pictures, grey, size x size."""
    random = np.random.default_rng(seed)
    out = np.zeros((count, size, size))
    for cells, weight in ((3, 3.0), (6, 2.0), (12, 1.2), (24, 0.6)):
        for n in range(count):
            noise = Image.fromarray(random.normal(0, weight, (cells, cells)).astype(np.float32))
            out[n] += np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC))
    low, high = out.min(axis=(1, 2), keepdims=True), out.max(axis=(1, 2), keepdims=True)
    return np.asarray((255 * (out - low) / (high - low)).astype(np.uint8))


def cut(picture: NDArray[np.uint8], left: float, top: float, width: float) -> NDArray[np.uint8]:
    """Cut a square out and bring it back to full size."""
    return squeezed(picture, (left, top, left + width, top + width))


def jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Encode and decode."""
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "jpeg", quality=quality)
    return np.asarray(Image.open(data).convert("L"))


def turned(picture: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Turn, and cut the black corners off."""
    whole = np.asarray(Image.fromarray(picture).rotate(degrees, Image.Resampling.BICUBIC))
    return cut(whole, 2, 2, len(picture) - 4)


def contrast(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    return np.asarray(ImageEnhance.Contrast(Image.fromarray(picture)).enhance(factor))


def brighter(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(picture.astype(int) + 25, 0, 255), np.uint8)


def squeezed(picture: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """Cut a rectangle out and stretch it to full size."""
    return np.asarray(Image.fromarray(picture).resize(picture.shape, Image.Resampling.BICUBIC, box=box))


def framed(picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Reduce, and put an even border around it."""
    inside = len(picture) - 2 * width
    return np.pad(np.asarray(Image.fromarray(picture).resize((inside, inside))), width, constant_values=250)


def stamped(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put a sign on a corner."""
    out = picture.copy()
    out[37:45, 35:46] = 255
    out[39:43, 37:41] = 0
    return out


COPIES = {
    "cut by 2": lambda p: cut(p, 1, 1, 46),
    "cut by 5": lambda p: cut(p, 1, 4, 43),
    "cut at a corner": lambda p: cut(p, 0, 0, 42),
    "jpeg": lambda p: jpeg(p, 40),
    "brighter": brighter,
    "less contrast": lambda p: contrast(p, 0.6),
    "turned": lambda p: turned(p, 1.5),
    "sides cut": lambda p: squeezed(p, (7, 0, 43, 48)),
    "bottom cut": lambda p: squeezed(p, (0, 0, 48, 40)),
    "framed": lambda p: framed(p, 6),
    "stamped": stamped,
    "all": lambda p: brighter(jpeg(cut(p, 3, 1, 43), 50)),
}
