"""Pairs worth verifying: images of which a shifted or scaled crop looks like the other's centre."""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from candid.duplicates.kernels import in_parallel, kernel, popcount
from candid.duplicates.views import (
    CENTRE,
    CENTRE_VIEW,
    LENGTH,
    SKETCH_BITS,
    Thumbnails,
    View,
    search_views,
    thumbnails,
)

MAX_SKETCH_BITS = 28  # of 128
LEAST_PRODUCT = int(0.65 * LENGTH**2)  # correlation of the thumbnails with all their cells
MIN_CORRELATION = 0.95  # without the cells that disagree; 99 of 100 copies have it in some view
HOPELESS = 0.86  # correlation after the first time that cells are left out, where a second will not do
OUTLIER = 2.0  # a cell is left out where its squared residual is so many times the mean
ROUNDING = 16.0  # squared residual of a cell that no picture stays below
PARTS = 1_000_000  # of a correlation as a whole number
LACK_BITS = 20  # that hold PARTS
MANY = 20_000  # images; from here on an index finds the pairs
SAMPLE = 2_000_000  # sketches that place the pivots, at most
NEAREST = 32  # of the images near to a crop, those that both sketches have nearest, and equally near ones
PROBES = 16  # cells of the index that are searched for an image
ROWS = 256  # of the left side, a unit of work
BLOCK = 512  # sketches that are compared at a time
CLOSEST = 60  # pairs of an image on its own account; bounds time and memory where all images look alike
GATHERED = 5_000_000  # hits at a time, 60 MB; half as many as pairs are kept, where these are more


class Candidates(NamedTuple):
    """Pairs to verify."""

    pairs: NDArray[np.int64]  # P x 2 rows, a < b, sorted, each pair once
    starts: NDArray[np.int16]  # P rows of `motions`
    motions: NDArray[np.float64]  # n x 6: how b may lie over a, roughly; see candid.duplicates.alignment

    def only(self, chosen: NDArray[Any]) -> Candidates:
        """Some of the pairs, by flags or places."""
        return Candidates(self.pairs[chosen], self.starts[chosen], self.motions)


def candidate_pairs(
    grey: NDArray[np.uint8],
    mirrored: NDArray[np.uint8] | None = None,
    many: int = MANY,
    fresh: NDArray[np.bool_] | None = None,
    deep: bool = False,
) -> Candidates:
    """All pairs of images (uint8, N x SIZE x SIZE) of which some crop resembles the other's centre.

    `mirrored`: the same images mirrored, to find mirrored copies; b's motion is then of its mirror image.
    From `many` images on an index is used: faster, and a little less complete. `fresh`: N flags; only pairs
    with one of these F images are searched, in time that grows with F N. `deep`: see `search_views`.

    Thumbnails are correlated where few bits of their sketches are unequal; of a crop that has more than
    NEAREST such images, with the nearest by both sketches. Of an image's pairs those with the CLOSEST best
    correlated images are kept, and those that are among the closest of the other. Up to `many` images time
    grows with the square of N (about a nanosecond a pair and view), from there on with N^1.5; memory
    grows with N.
    """
    new = len(grey) if fresh is None else int(fresh.sum())
    # Fresh ones first: their crops are searched for in all images, those of the others in the fresh ones.
    order = np.arange(len(grey)) if fresh is None else np.argsort(~fresh, kind="stable")
    if new < len(grey):
        grey, mirrored = grey[order], None if mirrored is None else mirrored[order]
    base = thumbnails(grey, CENTRE_VIEW)
    parts = [(_index(base, many), 0, new)]
    if new < len(grey):
        parts.append((_index(base.rows(slice(new)), many), new, len(grey)))
    views, gathered, kept = search_views(mirrored is not None, deep), list[Hits](), 0
    for number, view in enumerate(tqdm(views, desc="views", unit="view", disable=None, leave=False)):
        same = mirrored is None and view == CENTRE_VIEW
        crops = base if same else thumbnails(grey if mirrored is None else mirrored, view)
        for part in parts:
            for alike in _scan(crops, *part):
                gathered.append(by_pair(order[alike[:, :2]], alike[:, 2], number, len(grey)))
        if sum(len(each.key) for each in gathered) > kept + max(GATHERED, kept // 2):
            gathered = [closest(gathered, len(grey))]
            kept = len(gathered[0].key)
    return to_verify(closest(gathered, len(grey)), len(grey), views, mirrored is not None)


class Hits(NamedTuple):
    """Pairs of which a crop of one looks like the centre of the other."""

    key: NDArray[np.int64]  # a N + b, a < b
    said: NDArray[np.int32]  # correlation, view and forward in one: the less, the better


def by_pair(ends: NDArray[Any], correlation: NDArray[Any], number: Any, count: int) -> Hits:
    """Hits from the crop of which and the centre of which of `count` images; correlation; which view."""
    crop, centre = ends.T.astype(np.int64)
    key = np.minimum(crop, centre) * count + np.maximum(crop, centre)
    said = ((PARTS - correlation.astype(np.int64)) << 9) + 2 * np.asarray(number) + (crop < centre)
    return Hits(key, said.astype(np.int32))


def to_verify(hits: Hits, count: int, views: list[View], mirror: bool) -> Candidates:
    """Pairs and motions from what `closest` kept."""
    pairs = np.stack(np.divmod(hits.key, max(count, 1)), axis=1)
    return Candidates(pairs, np.asarray(hits.said & 511, np.int16), _motions(views, mirror))


def closest(gathered: list[Hits], count: int) -> Hits:
    """Keep each pair's best view, and the pairs that are among the CLOSEST of either image, or as close.

    The list is emptied, and what is done with let go: here the search takes the most memory.
    """
    key = np.concatenate([np.empty(0, np.int64), *(each.key for each in gathered)])
    said = np.concatenate([np.empty(0, np.int32), *(each.said for each in gathered)])
    gathered.clear()
    if not len(key):
        return Hits(key, said)
    order = np.argsort(key)
    key, said = key[order], said[order]
    del order
    first = np.flatnonzero(np.diff(key, prepend=-1))
    key, said = key[first], np.minimum.reduceat(said, first)
    del first
    lack, images = said >> 9, np.divmod(key, count)  # lack: up to PARTS
    ranked = np.concatenate(images)
    ranked <<= LACK_BITS
    ranked += np.tile(lack, 2)
    ranked.sort()
    ends = np.searchsorted(ranked, np.arange(1, count + 1) << LACK_BITS)
    last = np.minimum(np.append(0, ends[:-1]) + CLOSEST, ends) - 1
    limit = ranked[last] & ((1 << LACK_BITS) - 1)
    near = (lack <= limit[images[0]]) | (lack <= limit[images[1]])
    return Hits(key[near], said[near])


def _motions(views: list[View], mirror: bool) -> NDArray[np.float64]:
    """The motions of b over a of each view: where its crop was taken in b, and where in a (forward)."""
    number, forward = np.divmod(np.arange(2 * len(views)), 2)
    dx, dy, width, height = np.array(views).T[:, number]
    across = np.where(forward, CENTRE / width, width / CENTRE)
    down = np.where(forward, CENTRE / height, height / CENTRE)
    dx, dy = np.where(forward, -across * dx, dx), np.where(forward, -down * dy, dy)
    if mirror:
        dx = np.where(forward, -dx, dx)  # a's crop was taken in its mirror image: turn both round
    none = np.zeros(len(across))
    return np.stack([across, none, none, down, dx, dy], axis=1)


class Index(NamedTuple):
    """Thumbnails sorted into cells: each is in that of the nearest pivot."""

    thumbs: Thumbnails
    order: NDArray[np.int64]  # row of each before sorting
    offsets: NDArray[np.int64]  # first row of each cell
    pivots: NDArray[np.uint64]  # words x cells


def find_pivots(sketches: NDArray[np.uint64], many: int) -> NDArray[np.uint64]:
    """Sketches of twice the root of N images, then twice the majority of each bit in their cells.

    One below `many` images. `sketches`: words x N; of more than SAMPLE a sample places the pivots.
    """
    count = sketches.shape[1]
    if count < many:
        return np.zeros((len(sketches), 1), np.uint64)
    if count > SAMPLE:
        sketches = sketches[:, np.linspace(0, count - 1, SAMPLE).astype(np.int64)]
    chosen = np.linspace(0, sketches.shape[1] - 1, 2 * int(count**0.5)).astype(np.int64)
    pivots = np.ascontiguousarray(sketches[:, chosen])
    for _ in range(2):
        pivots = _majorities(sketches, _nearest_pivots(sketches, pivots), pivots)
    return pivots


def _nearest_pivots(sketches: NDArray[np.uint64], pivots: NDArray[np.uint64]) -> NDArray[np.int32]:
    def rows(start: int, stop: int) -> NDArray[np.int32]:
        return np.asarray(nearest(sketches, pivots, start, stop, 1)[:, 0])

    return np.concatenate([np.empty(0, np.int32), *in_parallel(rows, sketches.shape[1], ROWS)])


def _index(base: Thumbnails, many: int) -> Index:
    pivots = find_pivots(base.sketches, many)
    nearest = _nearest_pivots(base.sketches, pivots)
    order = np.argsort(nearest, kind="stable")
    offsets = np.searchsorted(nearest[order], np.arange(pivots.shape[1] + 1))
    return Index(base.rows(order), order, offsets, pivots)


def _scan(crops: Thumbnails, index: Index, begin: int, end: int) -> list[NDArray[np.int32]]:
    """Hits of the crops of some rows: crop of, centre of, correlation in millionths."""
    probes = min(PROBES, index.pivots.shape[1])

    def cells_of(start: int, stop: int) -> NDArray[np.int32]:
        return np.asarray(nearest(crops.sketches, index.pivots, begin + start, begin + stop, probes))

    cells = np.concatenate([np.empty((0, probes), np.int32), *in_parallel(cells_of, end - begin, ROWS)])
    near = np.argsort(cells[:, 0], kind="stable")  # one after the other what searches the same cells: cached

    def rows(start: int, stop: int) -> NDArray[np.int32]:
        some = near[start:stop]
        return np.asarray(_near(crops, index, cells[some], begin + some))

    return in_parallel(rows, end - begin, ROWS)


@kernel
def _majorities(sketches: Any, nearest: Any, pivots: Any) -> Any:
    words, cells = pivots.shape
    ones, sizes = np.zeros((cells, 64 * words), np.int64), np.zeros(cells, np.int64)
    for i in range(len(nearest)):
        sizes[nearest[i]] += 1
        for bit in range(64 * words):
            ones[nearest[i], bit] += np.int64((sketches[bit >> 6, i] >> np.uint64(bit & 63)) & np.uint64(1))
    out = pivots.copy()
    for c in range(cells):
        if sizes[c]:
            out[:, c] = 0
            for bit in range(64 * words):
                if 2 * ones[c, bit] > sizes[c]:
                    out[bit >> 6, c] |= np.uint64(1) << np.uint64(bit & 63)
    return out


@kernel
def nearest(sketches: Any, pivots: Any, start: int, stop: int, probes: int) -> Any:
    """Cells of the nearest pivots of each row, the nearest one first; of equally near ones the first."""
    cells = pivots.shape[1]
    out = np.zeros((stop - start, probes), np.int32)
    apart, within = np.empty(cells, np.uint16), np.empty(cells, np.int64)
    column, column_2 = pivots[0], pivots[1]
    for i in range(start, stop):
        word, word_2 = sketches[0, i], sketches[1, i]
        for c in range(cells):
            apart[c] = popcount(word ^ column[c]) + popcount(word_2 ^ column_2[c])
        low, high = 0, SKETCH_BITS  # the least distance within which there are as many as probes
        nearer = 0  # than that
        while low < high:
            middle, some = np.uint16((low + high) // 2), np.uint32(0)
            for c in range(cells):
                some = np.uint32(some + (apart[c] <= middle))  # else of 64 bits, and slow
            if some >= probes:
                high = int(middle)
            else:
                low, nearer = int(middle) + 1, int(some)
        here, most = 0, np.uint16(low)
        for c in range(cells):
            within[here] = c
            here += apart[c] <= most
        n, ties, least = 0, probes - nearer, 0
        for c in within[:here]:
            if apart[c] < low or ties > 0:
                ties -= apart[c] == low
                out[i - start, n] = c
                least = n if apart[c] < apart[out[i - start, least]] else least
                n += 1
        out[i - start, least], out[i - start, 0] = out[i - start, 0], out[i - start, least]
    return out


@kernel
def _near(crops: Thumbnails, index: Index, probed: Any, rows: Any) -> Any:
    base = index.thumbs
    out = np.empty((256, 3), np.int32)
    alike, bits = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.uint8)  # rows of the index, and how far apart
    products = np.empty(BLOCK, np.int32)
    # Short blocks stay in the first cache, loops without a branch are fast, and of eight rows mostly none
    # is near.
    flags, within = np.zeros(BLOCK + 8, np.bool_), np.empty(BLOCK, np.int64)
    eight = flags.view(np.uint64)
    most, n = np.uint64(MAX_SKETCH_BITS), 0
    for q, i in enumerate(rows):
        near = 0
        word, word_2 = crops.sketches[0, i], crops.sketches[1, i]
        for cell in probed[q]:
            end = index.offsets[cell + 1]
            for block in range(index.offsets[cell], end, BLOCK):
                size = min(BLOCK, end - block)
                here = slice(block, block + size)
                column, column_2 = base.sketches[0, here], base.sketches[1, here]
                for j in range(size):
                    flags[j] = popcount(word ^ column[j]) + popcount(word_2 ^ column_2[j]) <= most
                flags[size : size + 8] = False
                few = 0
                for k in range((size + 7) // 8):
                    if eight[k]:
                        for j in range(8 * k, 8 * k + 8):
                            within[few] = block + j
                            few += flags[j]
                if near + few > len(alike):
                    alike, bits = np.append(alike, alike), np.append(bits, bits)
                    products = np.empty(len(alike), np.int32)
                for row in within[:few]:
                    sketch = _bits_apart(crops.sketches, i, base.sketches, row)
                    alike[near], bits[near] = row, sketch + _bits_apart(crops.details, i, base.details, row)
                    near += index.order[row] != i
        furthest, before, chosen = _furthest(bits[:near]), n, 0
        for k in range(near):
            alike[chosen] = alike[k]
            chosen += bits[k] <= furthest
        likely, crop, fetched = 0, crops.features[i], 0
        for k in range(chosen):  # of 100 numbers one in each cache line: memory sends them all at once
            there = base.features[alike[k]]
            fetched += there[0] + there[32] + there[64] + there[96]
        products[0] = fetched  # a loop without effect is left out
        for k in range(chosen):
            product = _product(crop, base.features[alike[k]])
            alike[likely], products[likely] = alike[k], product
            likely += product >= LEAST_PRODUCT
        for k in range(likely):
            correlation = trimmed_correlation(crop, base.features[alike[k]], products[k])
            if correlation < MIN_CORRELATION:
                continue
            if n == len(out):
                out = np.concatenate((out, np.empty_like(out)))
            out[n, 0] = i
            out[n, 1] = index.order[alike[k]]
            out[n, 2] = round(correlation * PARTS)
            n += 1
        if n - before > CLOSEST:
            limit = np.sort(out[before:n, 2])[n - before - CLOSEST]
            kept = before
            for k in range(before, n):
                if out[k, 2] >= limit:
                    out[kept] = out[k]
                    kept += 1
            n = kept
    return out[:n].copy()


@kernel
def _bits_apart(first: Any, i: int, second: Any, j: int) -> Any:
    return popcount(first[0, i] ^ second[0, j]) + popcount(first[1, i] ^ second[1, j])


@kernel
def _furthest(bits: Any) -> Any:
    """The least distance within which there are NEAREST of these; 255 where they are fewer."""
    if len(bits) < NEAREST:
        return 255
    counts = np.zeros(256, np.int64)
    for distance in bits:
        counts[distance] += 1
    distance, total = 0, counts[0]
    while total < NEAREST:
        distance += 1
        total += counts[distance]
    return distance


@kernel
def alike_sketches(
    sketches: Any, details: Any, keys: Any, other_sketches: Any, other_details: Any, other_keys: Any
) -> Any:
    """Rows within MAX_SKETCH_BITS, of different images by their keys, and how many bits of both are unequal.

    Of each of the first, NEAREST.
    """
    out, n = np.empty((256, 3), np.int64), 0
    for i in range(len(keys)):
        before = n
        for j in range(len(other_keys)):
            apart = _bits_apart(sketches, i, other_sketches, j)
            if apart <= np.uint64(MAX_SKETCH_BITS) and keys[i] != other_keys[j]:
                if n == len(out):
                    out = np.concatenate((out, np.empty_like(out)))
                out[n, 0], out[n, 1] = i, j
                out[n, 2] = apart + _bits_apart(details, i, other_details, j)
                n += 1
        furthest, kept = _furthest(out[before:n, 2]), before
        for k in range(before, n):
            if out[k, 2] <= furthest:
                out[kept] = out[k]
                kept += 1
        n = kept
    return out[:n]


@kernel
def correlations(first: Any, second: Any) -> Any:
    """Correlation of each of two thumbnails in millionths, as the search has it; -1 where it is too low."""
    out = np.full(len(first), -1, np.int64)
    for i in range(len(first)):
        product = _product(first[i], second[i])
        correlation = trimmed_correlation(first[i], second[i], product)
        if product >= LEAST_PRODUCT and correlation >= MIN_CORRELATION:
            out[i] = round(correlation * PARTS)
    return out


@kernel
def _product(a: Any, b: Any) -> Any:
    product = np.int32(0)
    for k in range(len(a)):
        product = np.int32(product + np.int32(a[k]) * np.int32(b[k]))  # else of 64 bits, and slow
    return product


@kernel
def trimmed_correlation(a: Any, b: Any, product: Any) -> Any:
    """Correlation of two thumbnails over the cells where a line fits them: without a logo, say, on either."""
    slope, level = product / LENGTH**2, 0.0  # of all cells: both have mean 0 and the same length
    most = max(OUTLIER * (LENGTH**2 - slope * product) / len(a), ROUNDING)
    correlation = 0.0
    for _ in range(2):
        slope_32, level_32, most_32 = np.float32(slope), np.float32(level), np.float32(most)
        n = sa = sb = saa = sbb = sab = np.int32(0)
        for k in range(len(a)):
            rest = np.float32(a[k]) - slope_32 * np.float32(b[k]) - level_32
            used = rest * rest <= most_32
            p, q = np.int32(a[k] if used else 0), np.int32(b[k] if used else 0)
            n, sa, sb = np.int32(n + used), np.int32(sa + p), np.int32(sb + q)
            saa, sbb, sab = np.int32(saa + p * p), np.int32(sbb + q * q), np.int32(sab + p * q)
        if n == 0:
            return 0.0
        mean_a, mean_b = sa / n, sb / n
        vary_a, vary_b, both = saa - sa * mean_a, sbb - sb * mean_b, sab - sa * mean_b
        if vary_a < 1.0 or vary_b < 1.0:
            return 0.0
        correlation = both / sqrt(vary_a * vary_b)
        if correlation < HOPELESS:
            break
        slope = both / vary_b
        level = mean_a - slope * mean_b
        most = max(OUTLIER * (vary_a - slope * both) / n, ROUNDING)
    return correlation
