"""The search on ever larger sets of made pictures: python -m benchmarks.scale 15000 60000

Each set is searched in a process of its own. Its pictures are noise at four scales, 48 x 48; every 30th is a
copy of an earlier one: cropped, brighter, noisy. Printed: seconds, peak memory, the share of copies found,
and how many of the pairs among the first 15,000 pictures are found in the larger set, too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from candid.duplicates.find import find_duplicates
from candid.duplicates.views import SIZE

FIRST = 15_000
EVERY = 30
SCALES = ((3, 3.0), (6, 2.0), (12, 1.2), (24, 0.6))  # cells a side, and weight


@cache
def _spread(cells: int) -> NDArray[np.float32]:
    """SIZE x cells: how noise of so many cells becomes smooth."""
    return np.asarray(zoom(np.eye(cells, dtype=np.float32), (SIZE / cells, 1), order=3, mode="nearest"))


def pictures(count: int) -> NDArray[np.uint8]:
    """The first so many of one endless series, N x SIZE x SIZE."""
    out = np.empty((count, SIZE, SIZE), np.uint8)
    for start in range(0, count, FIRST):
        random = np.random.default_rng(start)
        grids = [random.standard_normal((FIRST, cells, cells), np.float32) for cells, _ in SCALES]
        made = np.empty((FIRST, SIZE, SIZE), np.float32)
        for some in np.split(np.arange(FIRST), 10):  # what this takes must stay below what the search does
            noise = sum(
                weight * (_spread(cells) @ grid[some] @ _spread(cells).T)
                for (cells, weight), grid in zip(SCALES, grids, strict=True)
            )
            made[some] = np.clip(128 + 14 * np.asarray(noise), 0, 255)
        for row in range(EVERY - 1, FIRST, EVERY):
            copy = zoom(made[row - EVERY // 2, 2:46, 3:47], SIZE / 44, order=1)
            made[row] = np.clip(0.9 * copy + 20 + random.normal(0, 2, copy.shape), 0, 255)
        out[start : start + FIRST] = made[: count - start]
    return out


def measured(count: int) -> tuple[float, float, float, Any]:
    """Seconds, processor seconds, MiB, and the pairs found."""
    images = pictures(count)
    started, wall = time.process_time(), time.perf_counter()
    pairs = find_duplicates(images).pairs[["a", "b"]].to_numpy()
    spent, wall = time.process_time() - started, time.perf_counter() - wall
    return wall, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, pairs


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("counts", type=int, nargs="+", metavar="N")
    first = None
    for count in parser.parse_args().counts:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # memory is of a process
            wall, spent, memory, pairs = pool.submit(measured, count).result()
        a, b = pairs.T
        copies = (b % EVERY == EVERY - 1) & (b - a == EVERY // 2)
        among = set(map(tuple, pairs[(pairs < FIRST).all(axis=1)].tolist()))
        first = first or among
        recall = copies.sum() / (count // EVERY)
        print(
            f"{count:>9,} pictures: {wall:7.1f} s, {spent:7.1f} s of processor, {memory:6,.0f} MiB,"
            f" {recall:.3f} of the copies, {(~copies).sum()} other pairs;"
            f" {len(among & first)} of {len(first)} among the first {FIRST:,}",
            flush=True,
        )


if __name__ == "__main__":
    main()
