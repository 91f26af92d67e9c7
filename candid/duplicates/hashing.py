"""Method `hash`: imagehash's hashes within a distance, all pairs of them compared."""

from __future__ import annotations

from typing import Any, NamedTuple

import imagehash
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from candid.duplicates.groups import collapse, copy_pairs, open_out
from candid.duplicates.kernels import in_parallel, kernel, popcount
from candid.duplicates.settings import Hash

ROWS = 256  # a unit of work
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
    near = pairs_within(hashes, method.max_distance_bits)
    pairs = pd.DataFrame(near._asdict()).assign(kind="near")
    if mirror:
        both = np.concatenate([hashes, hash_images(images[:, :, ::-1], method)])
        a, b, apart = pairs_within(both, method.max_distance_bits)
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


def pairs_within(words: NDArray[np.uint64], limit: int) -> Pairs:
    """All pairs of rows (N x words, see `pack`) that differ in at most `limit` bits; N^2 / 2 are compared.

    Of equal rows as many as `copy_pairs` lists.
    """
    copies = collapse(words)
    columns = np.ascontiguousarray(words[copies.first].T)

    def block(first: int, last: int) -> NDArray[np.int64]:
        return np.asarray(_join(columns, first, last, limit))

    table = np.concatenate([np.empty((0, 3), np.int64), *in_parallel(block, columns.shape[1], ROWS)])
    pairs, source = open_out(table[:, 0], table[:, 1], copies)
    equal = copy_pairs(copies)
    pairs = np.concatenate([pairs, equal])
    apart = np.concatenate([table[source, 2], np.zeros(len(equal), np.int64)])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return Pairs(pairs[order, 0], pairs[order, 1], apart[order])


@kernel
def _join(columns: Any, first: int, last: int, limit: int) -> Any:
    words, count = columns.shape
    out, n, most = np.empty((256, 3), np.int64), 0, np.uint16(limit)
    apart = np.empty(512, np.uint16)  # short blocks stay in the first cache, and loops over them vectorise
    for i in range(first, last):
        for start in range(i + 1, count, 512):
            size = min(512, count - start)
            apart[:] = 0
            for w in range(words):
                word, column = columns[w, i], columns[w, start : start + size]
                for j in range(size):
                    apart[j] += np.uint16(popcount(word ^ column[j]))
            some = np.uint16(0)
            for j in range(size):
                some |= np.uint16(apart[j] <= most)
            for j in range(size if some else 0):
                if apart[j] > most:
                    continue
                if n == len(out):
                    out = np.concatenate((out, np.empty_like(out)))
                out[n, 0], out[n, 1], out[n, 2] = i, start + j, apart[j]
                n += 1
    return out[:n].copy()
