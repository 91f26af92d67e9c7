"""Method `hash`: imagehash's hashes within a distance; and the exact join of bits that `aligned` uses, too.

The join cuts the bits into bands by the general pigeonhole principle (Qin et al., SIGMOD 2018): with m bands
and radii whose sum is d - m + 1, a pair within d bits has at least one band within its radius. The rows are
sorted by band, and for every mask of so many ones a row meets the rows whose band is its own ^ mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import imagehash
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from candid.duplicates.groups import collapse, copy_pairs, open_out
from candid.duplicates.kernels import in_parallel, kernel, popcount
from candid.duplicates.settings import Hash

MAX_BAND_BITS = 22  # offsets of 2^22 buckets take 32 MiB
LOOKUP = 4  # a bucket looked up takes as long as so many comparisons
ROWS = 4096  # of a band, a unit of work
DECIMALS = 4
FUNCTIONS: dict[str, Any] = {
    "phash": imagehash.phash,
    "dhash": imagehash.dhash,
    "average": imagehash.average_hash,
    "wavelet": imagehash.whash,
}


class Pairs(NamedTuple):
    """Pairs a < b, sorted by a, then b."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    distance_bits: NDArray[np.int64]


def hash_pairs(images: NDArray[np.uint8], method: Hash, mirror: bool = False) -> pd.DataFrame:
    """Find all pairs of images (uint8, N x H x W or N x H x W x 3) whose hashes are within the distance.

    With `mirror` each image is compared with the others' mirror images as well. Returns a < b, similarity
    (share of equal bits), kind (near, mirror).
    """
    bits, hashes = method.hash_size**2, hash_images(images, method)
    near = pairs_within(hashes, bits, method.max_distance_bits)
    pairs = pd.DataFrame(near._asdict()).assign(kind="near")
    if mirror:
        both = np.concatenate([hashes, hash_images(images[:, :, ::-1], method)])
        a, b, apart = pairs_within(both, bits, method.max_distance_bits)
        mirrored = pd.DataFrame({"a": a, "b": b - len(images), "distance_bits": apart, "kind": "mirror"})
        pairs = pd.concat([pairs, mirrored[mirrored["a"] < mirrored["b"]]])
    pairs["similarity"] = np.round(1 - pairs["distance_bits"] / bits, DECIMALS)
    return pairs[["a", "b", "similarity", "kind"]]


def hash_images(images: NDArray[np.uint8], method: Hash) -> NDArray[np.uint64]:
    """Hash every image by imagehash: N x ceil(bits / 64) words, see `pack`."""
    pictures = (Image.fromarray(np.ascontiguousarray(image)) for image in images)
    flags = [FUNCTIONS[method.hash](picture, hash_size=method.hash_size).hash for picture in pictures]
    return pack(np.array(flags, np.bool_).reshape(len(images), method.hash_size**2))


def pack(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """N x bits booleans -> N x words: bit k is bit k % 64 of word k // 64."""
    padded = np.pad(flags, ((0, 0), (0, -flags.shape[1] % 64)))
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def pairs_within(words: NDArray[np.uint64], bits: int, limit: int) -> Pairs:
    """All pairs of rows (N x words, see `pack`) that differ in at most `limit` of their `bits`.

    Of equal rows as many as `copy_pairs` lists. Time grows nearly with N where the bands have few masks, else
    with the square of N.
    """
    copies = collapse(words)
    table = _join_bands(words[copies.first], bits, limit)
    pairs, source = open_out(table[:, 0], table[:, 1], copies)
    equal = copy_pairs(copies)
    pairs = np.concatenate([pairs, equal])
    apart = np.concatenate([table[source, 2], np.zeros(len(equal), np.int64)])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return Pairs(pairs[order, 0], pairs[order, 1], apart[order])


def _join_bands(words: NDArray[np.uint64], bits: int, limit: int) -> NDArray[np.int64]:
    step = next(s for s in range(37, 37 + 2 * bits) if np.gcd(s, bits) == 1)
    # Neighbouring bits of a hash go together (a flat corner is all zeros): each band takes some of all.
    scattered = np.arange(bits) * step % bits
    rows = [np.empty((0, 3), np.int64)]
    start = 0
    for width, radius in plan_bands(len(words), bits, limit):
        keys = _band(words, scattered[start : start + width])
        order = np.argsort(keys, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=2**width))])
        band = Band(words[order], order, keys[order], offsets, np.array([*_masks(width, radius)], np.int64))

        def block(first: int, last: int, band: Band = band) -> NDArray[np.int64]:
            return np.asarray(_join(band, first, last, limit))

        rows.extend(in_parallel(block, len(words), ROWS))
        start += width
    return np.asarray(np.unique(np.concatenate(rows), axis=0))


class Band(NamedTuple):
    """The rows sorted by some of their bits."""

    words: NDArray[np.uint64]
    order: NDArray[np.int64]  # number of each row before sorting
    keys: NDArray[np.int64]
    offsets: NDArray[np.int64]  # first row of each key
    masks: NDArray[np.int64]


def plan_bands(count: int, bits: int, limit: int) -> list[tuple[int, int]]:
    """Choose width and radius of the bands with the least expected work; one of 0 bits compares all pairs."""
    best, cost = [(0, 0)], count**2 / 2
    fewest = -(-bits // MAX_BAND_BITS)
    for bands in range(fewest, max(fewest, min(bits, limit + 1)) + 1):
        spare = limit - bands + 1  # a radius of -1: the other bands are enough
        widths = [bits // bands + (i < bits % bands) for i in range(bands)]
        radii = [spare // bands + (i < spare % bands) for i in range(bands)]
        work = 0.0
        for width, radius in zip(widths, radii, strict=True):
            masks = sum(comb(width, ones) for ones in range(radius + 1))
            work += 2**width + masks * count * (LOOKUP + count / 2 / 2**width)
        if work < cost:
            best, cost = list(zip(widths, radii, strict=True)), work
    return best


def _masks(width: int, radius: int) -> Iterator[int]:
    for ones in range(radius + 1):
        yield from (sum(1 << bit for bit in chosen) for chosen in combinations(range(width), ones))


@kernel
def _band(words: Any, columns: Any) -> Any:
    keys = np.zeros(len(words), np.int64)
    for i in range(len(words)):
        for k in range(len(columns)):
            bit = (words[i, columns[k] >> 6] >> np.uint64(columns[k] & 63)) & np.uint64(1)
            keys[i] |= np.int64(bit) << k
    return keys


@kernel
def _join(band: Any, first: int, last: int, limit: int) -> Any:
    out = np.empty((256, 3), np.int64)
    n = 0
    for m in range(len(band.masks)):
        for i in range(first, last):
            key = band.keys[i] ^ band.masks[m]
            start: Any = max(band.offsets[key], i + 1)
            for j in range(start, band.offsets[key + 1]):
                apart = 0
                for w in range(band.words.shape[1]):
                    apart += popcount(band.words[i, w] ^ band.words[j, w])
                    if apart > limit:
                        break
                if apart > limit:
                    continue
                if n == len(out):
                    out = np.concatenate((out, np.empty_like(out)))
                out[n, 0] = min(band.order[i], band.order[j])
                out[n, 1] = max(band.order[i], band.order[j])
                out[n, 2] = apart
                n += 1
    return out[:n].copy()
