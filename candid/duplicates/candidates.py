"""Pairs worth verifying: images of which a shifted or scaled crop looks like the other's centre."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from candid.duplicates.hashing import pairs_within
from candid.duplicates.kernels import in_parallel, kernel, popcount
from candid.duplicates.views import CENTRE, CENTRE_VIEW, LENGTH, Thumbnails, View, search_views, thumbnails

MAX_SKETCH_BITS = 24  # of 128; the same photograph is within this in 98 of 100 pairs, others in 1 of 5,000
MIN_CORRELATION = 0.82  # of the thumbnails
LEAST_PRODUCT = int(MIN_CORRELATION * LENGTH**2)
MANY = 200_000  # images; from here on an index finds the pairs, since all pairs would take minutes
INDEX_BITS = 8  # of the first 64 bits of the sketch
ROWS = 256  # of the left side, a unit of work
CLOSEST = 40  # pairs of an image on its own account; bounds time and memory where all images look alike
GATHERED = 5_000_000  # hits at a time, 160 MiB


class Candidates(NamedTuple):
    """Pairs to verify."""

    pairs: NDArray[np.int64]
    """P x 2 rows, a < b, sorted, each pair once."""
    motions: NDArray[np.float64]
    """P x 4: how b lies over a, roughly, as candid.duplicates.alignment describes it."""


def candidate_pairs(
    grey: NDArray[np.uint8], mirrored: NDArray[np.uint8] | None = None, many: int = MANY
) -> Candidates:
    """All pairs of images of which some crop resembles the other's centre.

    Args:
        grey: uint8, N x SIZE x SIZE.
        mirrored: the same images mirrored, to find mirrored copies; b's motion is then of its mirror image.
        many: number of images from which on an index is used: faster, and a little less complete.

    Of an image's pairs those with the CLOSEST best correlated images are kept, and those that are among the
    closest of the other. Up to `many` images time grows with the square of N (about 0.4 nanoseconds a pair
    and view), memory with N.
    """
    base = thumbnails(grey, CENTRE_VIEW)
    views, rows = search_views(mirrored is not None), np.empty((0, 4), np.int64)
    gathered = [rows]
    for number, view in enumerate(tqdm(views, desc="views", unit="view", disable=None, leave=False)):
        same = mirrored is None and view == CENTRE_VIEW
        crops = base if same else thumbnails(grey if mirrored is None else mirrored, view)
        hits = _scan(crops, base) if len(grey) < many else _look_up(crops, base)
        hits = hits[hits[:, 0] != hits[:, 1]]
        forward = hits[:, 0] < hits[:, 1]
        key = np.where(forward, hits[:, 0] * len(grey) + hits[:, 1], hits[:, 1] * len(grey) + hits[:, 0])
        gathered.append(np.stack([key, -hits[:, 2], np.full(len(hits), number), forward], axis=1))
        if sum(map(len, gathered)) > GATHERED or number == len(views) - 1:
            rows = _closest(np.concatenate(gathered), len(grey))
            gathered = [rows]
    pairs = np.stack(np.divmod(rows[:, 0], max(len(grey), 1)), axis=1)
    return Candidates(pairs, _motions(views, rows[:, 2], rows[:, 3] == 1, mirrored is not None))


def _closest(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Keep each pair's best view, and the pairs that are among the CLOSEST of either image."""
    rows = rows[np.lexsort(rows.T[::-1])]  # by pair; then the best correlated view, then the first
    rows = rows[np.unique(rows[:, 0], return_index=True)[1]]
    ends = np.concatenate(np.divmod(rows[:, 0], max(count, 1)))
    order = np.lexsort((np.tile(rows[:, 0], 2), np.tile(rows[:, 1], 2), ends))
    ranks = np.empty(len(ends), np.int64)
    first = np.searchsorted(ends[order], ends[order])
    ranks[order] = np.arange(len(ends)) - first
    return np.asarray(rows[ranks.reshape(2, -1).min(axis=0) < CLOSEST])


def _motions(
    views: list[View], number: NDArray[np.int64], forward: NDArray[np.bool_], mirror: bool
) -> NDArray[np.float64]:
    """The motion of b over a: the crop was taken in a where `forward`, else in b."""
    dx, dy, width = (column[number] for column in np.array(views).T)
    scale = np.where(forward, CENTRE / width, width / CENTRE)
    move = np.where(forward, -scale, 1.0)
    aside = np.where(forward & mirror, -1.0, 1.0)  # a's crop was taken in its mirror image: turn both round
    return np.stack([scale, np.zeros(len(scale)), aside * move * dx, move * dy], axis=1)


def _scan(crops: Thumbnails, base: Thumbnails) -> NDArray[np.int64]:
    half = crops is base  # of all pairs of a set with itself half will do

    def rows(start: int, stop: int) -> NDArray[np.int64]:
        return np.asarray(_near(crops, base, start, stop, half), np.int64)

    return np.concatenate([np.empty((0, 3), np.int64), *in_parallel(rows, len(crops.features), ROWS)])


def _look_up(crops: Thumbnails, base: Thumbnails) -> NDArray[np.int64]:
    count = len(base.features)
    if crops is base:
        near = pairs_within(base.sketches[0][:, None], 64, INDEX_BITS)
        pairs = np.stack([near.a, near.b], axis=1)
    else:
        both = np.concatenate([crops.sketches[0], base.sketches[0]])[:, None]
        near = pairs_within(both, 64, INDEX_BITS)
        across = (near.a < count) & (near.b >= count)
        pairs = np.stack([near.a[across], near.b[across] - count], axis=1)
    products = np.asarray(_products(crops.features, base.features, pairs), np.int64)
    hits = np.concatenate([pairs, products[:, None]], axis=1)
    return hits[products >= LEAST_PRODUCT]


@kernel
def _near(crops: Thumbnails, base: Thumbnails, start: int, stop: int, half: bool) -> Any:
    words, count = base.sketches.shape
    out = np.empty((256, 3), np.int32)
    apart = np.empty(512, np.uint16)  # short blocks stay in the first cache, and loops over them vectorise
    most = np.uint16(MAX_SKETCH_BITS)
    n = 0
    for i in range(start, stop):
        before = n
        for block in range((i + 1) // 512 * 512 if half else 0, count, 512):
            size = min(512, count - block)
            word, column = crops.sketches[0, i], base.sketches[0, block : block + size]
            for j in range(size):
                apart[j] = np.uint16(popcount(word ^ column[j]))
            for w in range(1, words):
                word, column = crops.sketches[w, i], base.sketches[w, block : block + size]
                for j in range(size):
                    apart[j] += np.uint16(popcount(word ^ column[j]))
            some = np.uint16(0)
            for j in range(size):
                some |= np.uint16(apart[j] <= most)
            if not some:
                continue
            for j in range(size):
                if apart[j] > most or (half and block + j <= i):
                    continue
                product = _product(crops.features[i], base.features[block + j])
                if product < LEAST_PRODUCT:
                    continue
                if n == len(out):
                    out = np.concatenate((out, np.empty_like(out)))
                out[n, 0] = i
                out[n, 1] = block + j
                out[n, 2] = product
                n += 1
        if n - before > CLOSEST:
            limit_product = np.sort(out[before:n, 2])[n - before - CLOSEST]
            kept = before
            for k in range(before, n):
                if out[k, 2] >= limit_product:
                    out[kept] = out[k]
                    kept += 1
            n = kept
    return out[:n].copy()


@kernel
def _product(a: Any, b: Any) -> Any:
    total = np.int32(0)
    for k in range(len(a)):
        total += np.int32(a[k]) * np.int32(b[k])
    return total


@kernel
def _products(crops: Any, base: Any, pairs: Any) -> Any:
    out = np.empty(len(pairs), np.int32)
    for p in range(len(pairs)):
        out[p] = _product(crops[pairs[p, 0]], base[pairs[p, 1]])
    return out
