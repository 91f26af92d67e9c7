"""All pairs of hashes within d bits, exactly.

Multi-index by the general pigeonhole principle (Qin et al., SIGMOD 2018): of m chunks with radii r_1..r_m
whose sum is d - m + 1, a pair within d bits has at least one chunk i within r_i bits. For 64 bits and d = 8
that is three chunks of 21 or 22 bits within 2 bits each. The hashes are sorted by chunk into buckets, and
for every mask of at most r_i ones the bucket b meets the bucket b ^ mask; b runs upwards, so both run
through memory in order, which is what makes it fast. Hashes too wide for that (256 bits at 56) are compared
one by one.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from candid.duplicates.copies import collapse, copy_pairs, open_out
from candid.duplicates.kernels import in_parallel, kernel, popcount

MAX_CHUNK_BITS = 24  # offsets of 2^24 buckets take 64 MiB


class Pairs(NamedTuple):
    """Pairs a < b with their distance in bits, sorted by a, then b."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    distance_bits: NDArray[np.int64]


class Chunk(NamedTuple):
    """Bits start..start+width of the (scattered) hash, to be matched within `radius` bits."""

    start: int
    width: int
    radius: int


def pairs_within(hashes: NDArray[np.uint64], bits: int, limit: int) -> Pairs:
    """All pairs of rows within `limit` bits; rows with equal hashes, too, as far as `copies.LISTED` goes.

    Args:
        hashes: N x words of packed hashes (see hashes.pack).
        bits: bits of a hash, words * 64 at most.
        limit: greatest distance.

    Time grows nearly with N where the index can serve (`plan`), else with the square of N.
    """
    copies = collapse(hashes)
    distinct = hashes[copies.first]
    chunks = plan(len(distinct), bits, limit)
    found = _by_index(distinct[:, 0], chunks, limit) if chunks else _exhaustive(distinct, limit)
    if len(copies.first) == len(hashes):
        pairs, apart = found[:, :2].astype(np.int64), found[:, 2].astype(np.int64)
    else:
        pairs, source = open_out(found[:, 0].astype(np.int64), found[:, 1].astype(np.int64), copies)
        equal = copy_pairs(copies)
        pairs = np.concatenate([pairs, equal])
        apart = np.concatenate([found[source, 2], np.zeros(len(equal), np.int64)])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    ordered = pairs[order].astype(np.int64)
    return Pairs(ordered[:, 0], ordered[:, 1], apart[order].astype(np.int64))


def plan(count: int, bits: int, limit: int) -> list[Chunk]:
    """Choose the chunks with the least expected work; an empty list means: compare all pairs.

    A mask costs a walk over the buckets; random hashes meet in a bucket of 2^-width of all pairs.
    """
    if bits > 64:
        return []
    best: list[Chunk] = []
    cost = count * count / 2 * 0.5  # streaming comparison, in units of one bucket visit
    for parts in range(1, bits + 1):
        width, wider = divmod(bits, parts)
        if width + bool(wider) > MAX_CHUNK_BITS:
            continue
        spare = limit - parts + 1
        if spare < 0:
            break
        radii = [spare // parts + (i < spare % parts) for i in range(parts)]
        widths = [width + (i < wider) for i in range(parts)]  # the larger radius goes with the wider chunk
        masks = [sum(comb(w, k) for k in range(r + 1)) for w, r in zip(widths, radii, strict=True)]
        work = sum(
            m * (min(count, 2**w) / 2 + count**2 / 2 / 2**w) + 2**w
            for m, w in zip(masks, widths, strict=True)
        )
        if work < cost:
            starts = np.cumsum([0, *widths[:-1]])
            cost, best = work, [Chunk(int(s), w, r) for s, w, r in zip(starts, widths, radii, strict=True)]
    return best


def _by_index(hashes: NDArray[np.uint64], chunks: list[Chunk], limit: int) -> NDArray[np.int32]:
    # Neighbouring bits of a hash of an image go together (a flat corner is all zeros): scatter them, so
    # that no chunk is much poorer than another. 37 is odd, so k -> 37 k mod 64 is a permutation.
    bits = chunks[-1].start + chunks[-1].width
    scattered = _scatter(hashes, np.array(_permutation(bits), np.uint64))
    starts = np.array([c.start for c in chunks], np.uint64)
    widths = np.array([c.width for c in chunks], np.uint64)
    radii = np.array([c.radius for c in chunks], np.int64)
    found = []
    for i, chunk in enumerate(chunks):
        keys = ((scattered >> np.uint64(chunk.start)) & np.uint64(2**chunk.width - 1)).astype(np.uint32)
        order, offsets = _sort(keys, 2**chunk.width)
        masks = np.array(_masks(chunk.width, chunk.radius), np.uint32)
        found.append(_walk(scattered[order], order, offsets, masks, i, starts, widths, radii, limit))
    return np.concatenate(found)


def _permutation(bits: int) -> list[int]:
    step = next(s for s in range(37, 37 + 2 * bits) if np.gcd(s, bits) == 1)
    return [step * k % bits for k in range(bits)]


def _masks(width: int, radius: int) -> list[int]:
    ones = (c for k in range(radius + 1) for c in combinations(range(width), k))
    return [sum(1 << bit for bit in c) for c in ones]


@kernel
def _scatter(hashes: Any, to: Any) -> Any:
    out = np.zeros_like(hashes)
    for i in range(len(hashes)):
        word = np.uint64(0)
        for k in range(len(to)):
            word |= ((hashes[i] >> np.uint64(k)) & np.uint64(1)) << to[k]
        out[i] = word
    return out


@kernel
def _sort(keys: Any, buckets: int) -> Any:
    """Counting sort: (order, offsets), stable."""
    offsets = np.zeros(buckets + 1, np.int32)
    for key in keys:
        offsets[key + 1] += 1
    for b in range(buckets):
        offsets[b + 1] += offsets[b]
    place = offsets[:-1].copy()
    order = np.empty(len(keys), np.int32)
    for i in range(len(keys)):
        order[place[keys[i]]] = i
        place[keys[i]] += 1
    return order, offsets


@kernel
def _walk(
    words: Any,
    order: Any,
    offsets: Any,
    masks: Any,
    chunk: int,
    starts: Any,
    widths: Any,
    radii: Any,
    limit: int,
) -> Any:
    buckets = len(offsets) - 1
    filled = np.zeros(buckets // 64 + 1, np.uint64)  # a bit a bucket stays in the cache where offsets don't
    keys = np.empty(min(buckets, len(words)), np.int64)
    count = 0
    for b in range(buckets):
        if offsets[b] < offsets[b + 1]:
            filled[b >> 6] |= np.uint64(1) << np.uint64(b & 63)
            keys[count] = b
            count += 1
    out = np.empty((1024, 3), np.int32)
    n = 0
    for m in range(len(masks)):
        mask = np.int64(masks[m])
        for k in range(count):
            b = keys[k]
            other = b ^ mask
            if other < b or not (filled[other >> 6] >> np.uint64(other & 63)) & np.uint64(1):
                continue
            first, last = np.int64(offsets[other]), np.int64(offsets[other + 1])
            for i in range(offsets[b], offsets[b + 1]):
                word = words[i]
                start: Any = max(first, i + 1)
                for j in range(start, last):
                    differ = word ^ words[j]
                    apart = np.int64(popcount(differ))
                    if apart > limit:
                        continue
                    seen = False  # an earlier chunk that is near enough has found this pair already
                    for c in range(chunk):
                        part = (differ >> starts[c]) & ((np.uint64(1) << widths[c]) - np.uint64(1))
                        if np.int64(popcount(part)) <= radii[c]:
                            seen = True
                            break
                    if seen:
                        continue
                    if n == len(out):
                        grown = np.empty((2 * n, 3), np.int32)
                        grown[:n] = out
                        out = grown
                    out[n, 0] = min(order[i], order[j])
                    out[n, 1] = max(order[i], order[j])
                    out[n, 2] = apart
                    n += 1
    return out[:n].copy()


def _exhaustive(hashes: NDArray[np.uint64], limit: int) -> NDArray[np.int32]:
    columns = np.ascontiguousarray(hashes.T)

    def rows(start: int, stop: int) -> NDArray[np.int32]:
        return np.asarray(_compare(columns, start, stop, limit))

    return np.concatenate([np.empty((0, 3), np.int32), *in_parallel(rows, len(hashes), 256)])


@kernel
def _compare(columns: Any, start: int, stop: int, limit: int) -> Any:
    words, count = columns.shape
    out = np.empty((256, 3), np.int32)
    apart = np.empty(
        512, np.uint16
    )  # short blocks stay in the first cache, and the loops over them vectorise
    most = np.uint16(limit)
    n = 0
    for i in range(start, stop):
        for block in range((i + 1) // 512 * 512, count, 512):
            size = min(512, count - block)
            for w in range(words):
                word, column = columns[w, i], columns[w, block : block + size]
                if w == 0:
                    for j in range(size):
                        apart[j] = np.uint16(popcount(word ^ column[j]))
                else:
                    for j in range(size):
                        apart[j] += np.uint16(popcount(word ^ column[j]))
            some = np.uint16(0)
            for j in range(size):
                some |= np.uint16(apart[j] <= most)
            if not some:
                continue
            for j in range(max(0, i + 1 - block), size):
                if apart[j] <= most:
                    if n == len(out):
                        grown = np.empty((2 * n, 3), np.int32)
                        grown[:n] = out
                        out = grown
                    out[n, 0] = i
                    out[n, 1] = block + j
                    out[n, 2] = apart[j]
                    n += 1
    return out[:n].copy()
