"""All pairs of 64-bit hashes within 8 bits, against other tools: python benchmarks/dedup_join.py

Each method runs in a process of its own, on one core: seconds (after a small run that compiles), peak
memory, and recall against comparing every pair, up to 300,000 hashes. One hash in fifty is a copy of another
with up to eight bits changed; the rest are random. faiss and imagededup are skipped where they are not
installed (pip install faiss-cpu imagededup); imagededup answers 500 queries, and its time is scaled up.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Found = NDArray[np.int64]
LIMIT = 8
COPIES = 50  # one hash in so many
QUERIES = 500  # answered by imagededup
ONE_CORE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def made_hashes(count: int) -> NDArray[np.uint64]:
    """Random hashes, one in COPIES a changed copy of an earlier one."""
    random = np.random.default_rng(count)
    hashes = random.integers(0, 2**64, count, dtype=np.uint64)
    copies = np.arange(count - count // COPIES, count)
    flips = np.zeros(len(copies), np.uint64)
    for _ in range(LIMIT):
        bit = np.uint64(1) << random.integers(0, 64, len(copies), dtype=np.uint64)
        flips ^= np.where(random.random(len(copies)) < 0.6, bit, np.uint64(0))
    hashes[copies] = hashes[random.integers(0, copies[0], len(copies))] ^ flips
    return hashes


def candid(hashes: NDArray[np.uint64]) -> Found:
    """The index of this stage."""
    from candid.duplicates.join import pairs_within

    pairs = pairs_within(hashes[:, None], 64, LIMIT)
    return np.stack([pairs.a, pairs.b], axis=1)


def every_pair(hashes: NDArray[np.uint64]) -> Found:
    """The comparison of every pair that small or wide sets of hashes get."""
    from candid.duplicates.join import _exhaustive

    return np.asarray(_exhaustive(hashes[:, None], LIMIT)[:, :2], np.int64)


def faiss_flat(hashes: NDArray[np.uint64]) -> Found:
    """faiss.IndexBinaryFlat, range search."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryFlat(64)
    octets = hashes.view(np.uint8).reshape(-1, 8)
    index.add(octets)
    starts, _, ids = index.range_search(octets, LIMIT + 1)
    return _upper(np.repeat(np.arange(len(hashes)), np.diff(starts.astype(np.int64))), ids)


def faiss_multihash(hashes: NDArray[np.uint64]) -> Found:
    """faiss.IndexBinaryMultiHash, 3 tables of 21 bits, 2 flips: nearly the same pigeonhole."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryMultiHash(64, 3, 21)
    index.nflip = 2
    octets = hashes.view(np.uint8).reshape(-1, 8)
    index.add(octets)
    starts, _, ids = index.range_search(octets, LIMIT + 1)
    return _upper(np.repeat(np.arange(len(hashes)), np.diff(starts.astype(np.int64))), ids)


def imagededup_default(hashes: NDArray[np.uint64]) -> Found:
    """Answer QUERIES queries by the search that imagededup uses on Linux."""
    from imagededup.handlers.search.brute_force_cython import BruteForceCython

    texts = {str(i): f"{int(h):016x}" for i, h in enumerate(hashes)}
    search = BruteForceCython(texts, lambda *_: 0)
    found = [search.search(texts[str(i)], LIMIT) for i in range(QUERIES)]
    a = [i for i, hits in enumerate(found) for _ in hits]
    return _upper(np.array(a, np.int64), np.array(a, np.int64))


METHODS: dict[str, tuple[Callable[[NDArray[np.uint64]], Found], int]] = {
    "candid": (candid, 10**9),
    "every pair": (every_pair, 300_000),
    "faiss flat": (faiss_flat, 100_000),
    "faiss multihash": (faiss_multihash, 1_000_000),
    "imagededup": (imagededup_default, 100_000),
}
"""Each method and the number of hashes beyond which it takes too long here."""


def _upper(a: NDArray[np.int64], b: NDArray[np.int64]) -> Found:
    keep = a < b
    return np.stack([a[keep], b[keep]], axis=1).astype(np.int64)


def run_one(method: str, count: int) -> None:
    """Run in a process of its own and print what was measured."""
    work = METHODS[method][0]
    try:
        work(made_hashes(2_000))
    except ImportError as error:
        print(json.dumps({"skipped": f"{error.name} is not installed"}))
        return
    hashes = made_hashes(count)
    before, cpu = time.perf_counter(), time.process_time()
    pairs = work(hashes)
    measured = {"seconds": time.perf_counter() - before, "cpu": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    keys = np.unique(pairs[:, 0] * count + pairs[:, 1])
    print(json.dumps({**measured, "peak_mib": peak, "pairs": len(keys), "sum": int(keys.sum() % 2**53)}))


def main() -> None:
    """Measure every method at every size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[36_000, 100_000, 300_000, 10**6, 10**7])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(options.one[0], int(options.one[1]))
        return
    print(f"{'hashes':>10}  {'method':16} {'seconds':>8} {'cpu':>8} {'MiB':>7} {'pairs':>9}  recall")
    for count in options.sizes:
        exact = None
        for method in ("every pair", *(name for name in METHODS if name != "every pair")):
            if method not in options.methods or count > METHODS[method][1]:
                continue
            command = [sys.executable, __file__, "--one", method, str(count)]
            environment = {**os.environ, **dict.fromkeys(ONE_CORE, "1")}
            if method == "every pair":  # its blocks run on every core the process may use
                command = ["taskset", "-c", str(min(os.sched_getaffinity(0))), *command]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            told = json.loads(done.stdout.splitlines()[-1])
            if "skipped" in told:
                print(f"{count:10,}  {method:16} skipped: {told['skipped']}")
                continue
            scale = count / QUERIES if method == "imagededup" else 1
            exact = told["pairs"] if method == "every pair" else exact
            recall = f"{told['pairs'] / exact:.4f}" if exact and scale == 1 else "-"
            line = f"{told['seconds'] * scale:8.2f} {told['cpu'] * scale:8.2f} {told['peak_mib']:7.0f}"
            pairs = f"{told['pairs']:9,}" if scale == 1 else f"{'-':>9}"
            print(f"{count:10,}  {method:16} {line} {pairs}  {recall}", flush=True)


if __name__ == "__main__":
    main()
