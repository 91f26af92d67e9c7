"""Perceptual hashes of a whole array of images, bit for bit those of the imagehash library.

Pillow resizes many images in one call: its horizontal pass treats every row alone, so N images stacked
into one tall picture cost one call, and the vertical pass is the same call on the transposed stack. The
two passes are what Pillow itself does in that order (8-bit rounding between them), so the pixels are equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pywt
import scipy.fft
from numpy.typing import NDArray
from PIL import Image

from candid.duplicates.kernels import in_parallel
from candid.duplicates.params import HashName

BLOCK = 1024  # images at a time: the float64 transforms of a block stay below 70 MiB at 64 x 64
HIGHFREQ_FACTOR = 4  # imagehash's default


def to_grey(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """N x H x W (returned as it is) or N x H x W x 3 -> N x H x W by ITU-R 601 luma, as Pillow's mode L."""
    if images.ndim == 3:
        return images
    out = np.empty(images.shape[:3], np.uint8)
    for start in range(0, len(images), BLOCK):
        block = np.ascontiguousarray(images[start : start + BLOCK])
        tall = Image.fromarray(block.reshape(-1, images.shape[2], 3)).convert("L")
        out[start : start + BLOCK] = np.asarray(tall).reshape(block.shape[:3])
    return out


def resize(
    grey: NDArray[np.uint8], width: int, height: int, filter: Image.Resampling = Image.Resampling.LANCZOS
) -> NDArray[np.uint8]:
    """Resize N x H x W as Pillow does image by image, pixel for pixel."""
    if grey.shape[1] > grey.shape[2]:  # Pillow takes some tall pictures' vertical pass first: leave it to it
        out = np.empty((len(grey), height, width), np.uint8)
        for n, image in enumerate(grey):
            out[n] = np.asarray(Image.fromarray(image).resize((width, height), filter))
        return out

    def pass_over_rows(stack: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        count, rows, columns = stack.shape
        if columns == size:
            return stack
        if not count:
            return np.empty((0, rows, size), np.uint8)
        tall = Image.fromarray(np.ascontiguousarray(stack).reshape(count * rows, columns))
        return np.asarray(tall.resize((size, count * rows), filter)).reshape(count, rows, size)

    wide = pass_over_rows(grey, width)
    return pass_over_rows(wide.transpose(0, 2, 1), height).transpose(0, 2, 1)


def hash_images(
    images: NDArray[np.uint8], name: HashName = "phash", hash_size: int = 8
) -> NDArray[np.uint64]:
    """Hash every image.

    Args:
        images: uint8, N x H x W or N x H x W x 3.
        name: phash, dhash, average (imagehash.average_hash) or wavelet (imagehash.whash).
        hash_size: the hash has hash_size squared bits.

    Returns:
        N x ceil(bits / 64) words, see `pack`.
    """
    words = -(-(hash_size**2) // 64)

    def block(start: int, stop: int) -> NDArray[np.uint64]:
        grey = to_grey(np.ascontiguousarray(images[start:stop]))
        return pack(_BITS[name](grey, hash_size))

    return np.concatenate([np.empty((0, words), np.uint64), *in_parallel(block, len(images), BLOCK)])


def pack(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """N x ... booleans -> N x words: bit k of the flattened hash is bit k % 64 of word k // 64."""
    flat = bits.reshape(len(bits), int(np.prod(bits.shape[1:])))
    padded = np.zeros((len(flat), -(-flat.shape[1] // 64) * 64), np.bool_)
    padded[:, : flat.shape[1]] = flat
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def unpack(words: NDArray[np.uint64], bits: int) -> NDArray[np.bool_]:
    """The inverse of `pack`: N x words -> N x bits booleans."""
    octets = np.ascontiguousarray(words.astype("<u8")).view(np.uint8)
    return np.unpackbits(octets, axis=1, count=bits, bitorder="little").astype(np.bool_)


def _phash(grey: NDArray[np.uint8], hash_size: int) -> NDArray[np.bool_]:
    size = hash_size * HIGHFREQ_FACTOR
    pixels = resize(grey, size, size).astype(np.float64)
    columns = scipy.fft.dct(pixels, axis=1)[:, :hash_size]  # only these rows reach the low frequencies
    low = scipy.fft.dct(columns, axis=2)[:, :, :hash_size]
    return _above(low, _median(low))


def _dhash(grey: NDArray[np.uint8], hash_size: int) -> NDArray[np.bool_]:
    pixels = resize(grey, hash_size + 1, hash_size)
    return np.asarray(pixels[:, :, 1:] > pixels[:, :, :-1])


def _average(grey: NDArray[np.uint8], hash_size: int) -> NDArray[np.bool_]:
    pixels = resize(grey, hash_size, hash_size)
    sums = pixels.sum(axis=(1, 2), dtype=np.int64)[:, None, None]
    return np.asarray(pixels.astype(np.int64) * hash_size**2 > sums)


def _wavelet(grey: NDArray[np.uint8], hash_size: int) -> NDArray[np.bool_]:
    natural = 2 ** int(np.log2(min(grey.shape[1:])))
    scale = max(natural, hash_size)
    levels = int(np.log2(scale))
    pixels: NDArray[Any] = resize(grey, scale, scale) / 255.0
    coefficients = list(pywt.wavedec2(pixels, "haar", level=levels, axes=(1, 2)))
    coefficients[0] = coefficients[0] * 0  # imagehash removes the mean by a full Haar round trip
    pixels = pywt.waverec2(coefficients, "haar", axes=(1, 2))
    low = pywt.wavedec2(pixels, "haar", level=levels - int(np.log2(hash_size)), axes=(1, 2))[0]
    return _above(low, _median(low))


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.median(values.reshape(len(values), -1), axis=1))


def _above(values: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(values > limits[:, None, None])


_BITS = {"phash": _phash, "dhash": _dhash, "average": _average, "wavelet": _wavelet}
