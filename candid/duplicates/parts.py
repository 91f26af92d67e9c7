"""Images that look alike in one part: what text, a watermark or a logo leaves of a picture not moved.

The crops that the search compares all hold the middle, and so a little of what was put on a picture. Here a
corner, the upper, the middle or the lower part of an image is compared with the same part of the others. It
is no proof, as one sky is like another: such pairs are only shown to `candid.duplicates.closer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candid.duplicates.kernels import in_parallel, kernel, popcount
from candid.duplicates.views import SIZE, View, thumbnails

CORNER, OFF = 28.0, 10.0  # pixels of 48: sides of a corner; its centre is so far off
PARTS = [
    *(View(dx, dy, CORNER, CORNER) for dy in (-OFF, OFF) for dx in (-OFF, OFF)),
    *(View(0.0, dy, SIZE, height) for dy, height in ((-16.0, 16.0), (0.0, 24.0), (16.0, 16.0))),
]
BITS = 8  # of 128 by which the sketches of two parts may differ
WINDOW = 256  # images with the same run, in order of their sketches: each is compared with so many next ones
NEAREST = 4  # of these that are taken
EACH, MOST = 2, 100_000  # pairs an image, and in all: the most alike
ROWS = 256  # a unit of work


def part_sketches(grey: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Sketches of the parts of N x SIZE x SIZE images: N x parts x words."""
    return np.stack([thumbnails(grey, part).sketches.T for part in PARTS], axis=1)


def alike_in_parts(sketches: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs of rows (a < b, sorted) that look alike in a part, in time that grows little faster than N.

    `sketches`: of `part_sketches`.
    """
    pairs = np.empty((0, 3), np.int64)  # a, b, bits
    for part in range(sketches.shape[1]):
        pairs = np.concatenate([pairs, *_in_part(np.ascontiguousarray(sketches[:, part].T))])
        pairs = pairs[np.lexsort(pairs.T[::-1])]
        pairs = pairs[np.append(True, np.diff(pairs[:, :2], axis=0).any(axis=1))[: len(pairs)]]
        pairs = pairs[np.argsort(pairs[:, 2], kind="stable")[: min(EACH * len(sketches), MOST)]]
    return np.asarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0])), :2])


def _in_part(words: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    """Runs of 16 bits, of which two alike sketches nearly always have one in common, bring pairs together."""
    runs = words.view("<u2").reshape(*words.shape, 4)
    runs = np.ascontiguousarray(runs.transpose(0, 2, 1)).reshape(4 * len(words), -1)
    for band in range(len(runs)):
        order = np.lexsort((*words, runs[band]))
        block = partial(_alike, words, runs, band, order)
        yield from in_parallel(block, len(order), ROWS)


@kernel
def _alike(words: Any, runs: Any, band: int, order: Any, start: int, stop: int) -> Any:
    """Rows a < b and the bits by which they differ, of pairs whose runs are equal in no earlier band."""
    out, n = np.empty((256, 3), np.int64), 0
    for p in range(start, stop):
        i, before = order[p], n
        for q in range(p + 1, min(p + 1 + WINDOW, len(order))):
            j = order[q]
            if runs[band, i] != runs[band, j]:
                break
            apart = np.int64(0)
            for w in range(len(words)):
                apart += np.int64(popcount(words[w, i] ^ words[w, j]))
            seen = apart > BITS
            for earlier in range(band):
                seen = seen or runs[earlier, i] == runs[earlier, j]
            if seen:
                continue
            if n == len(out):
                out = np.concatenate((out, np.empty_like(out)))
            row = n
            while row > before and out[row - 1, 2] > apart:
                out[row] = out[row - 1]
                row -= 1
            out[row] = (min(i, j), max(i, j), apart)
            n = min(n + 1, before + NEAREST)
    return out[:n].copy()
