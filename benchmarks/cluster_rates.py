"""What `candid audit --engine ray` costs a core: python -m benchmarks.cluster_rates file:///folder

Prints processor seconds of the workers' functions on up to COUNT pictures of the address, without Ray's own,
and what larger sets would then need if hits and pairs grew as the comparisons do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd

from candid.audit import cluster
from candid.audit.images import names_to_try
from candid.duplicates.candidates import PROBES, find_pivots
from candid.duplicates.views import search_views

COUNT = 1000
SIZES = (10**7, 10**9)


def seconds(step: Callable[[], Any]) -> tuple[Any, float]:
    """Run twice, the first time to compile; the result and processor seconds of the second."""
    step()
    start = time.process_time()
    return step(), time.process_time() - start


def main(address: str) -> None:
    """Measure and calculate."""
    with cluster.open_address(address, True) as source:
        files = cluster._files(source, sorted(names_to_try(source)[0])[:COUNT], {})
    count, views = len(files["key"]), len(search_views())
    read, reading = seconds(lambda: cluster.read_batch(files, count))
    read = cluster._where(read, (read["reason"] == "") & ~read["flat"])
    pivots = find_pivots(np.ascontiguousarray(read["sketch"].T), len(read["key"]), 0)
    every = np.ones(2 * count, np.bool_)
    crops, cropping = seconds(lambda: joined(cluster.crop_rows(read, every, pivots, False)))
    hits, scanning = seconds(lambda: joined(cluster.scan_cells(crops, len(crops["key"]))))
    centres = pd.Series(crops["view"] < 0).groupby(crops["cell"])
    comparisons = int((centres.sum() * (centres.size() - centres.sum())).sum())
    place = np.zeros(2 * count, np.int64)
    place[read["key"]] = np.arange(len(read["key"]))
    a, b = (read["grey"][place[hits[end]]] for end in ("a", "b"))
    sent, sending = seconds(lambda: cluster.send_thumbnails(hits, a, False))
    kept, correlating = seconds(lambda: cluster.correlate(sent, b))
    pairs = pd.DataFrame({end: kept[end] for end in ("a", "b")}).drop_duplicates()
    motions = {str(k): np.full(len(pairs), float(k in (0, 3))) for k in range(6)}
    a, b = (read["grey"][place[pairs[end]]] for end in ("a", "b"))
    batch = {**motions, "number": np.arange(len(pairs)), "grey": a}
    _, verifying = seconds(lambda: cluster.verify(batch, b, False))
    print(f"{count:,} pictures, {comparisons:,} comparisons, {len(hits['a']):,} hits, {len(pairs):,} pairs")
    steps = {"read": reading, "crops": cropping, "scan": scanning}
    steps |= {"thumbnails": sending + correlating, "verification": verifying}
    entry = sum(values[:1].nbytes for values in crops.values())
    print(f"bytes of an image {read['grey'][0].nbytes}, of an entry of a cell {entry}; seconds:")
    print(", ".join(f"{name} {each:.2f}" for name, each in steps.items()))
    for size in SIZES:
        grown = views * PROBES * sqrt(size) / 2 * size / comparisons  # a cell holds half the root
        times = {name: size / count if name in ("read", "crops") else grown for name in steps}
        hours = ", ".join(f"{name} {each * times[name] / 3600:,.0f}" for name, each in steps.items())
        moved = size * (1 + views * PROBES) * entry / 1e12
        print(f"{size:,} pictures, calculated: core hours {hours}; entries {moved:,.2f} TB")


def joined(batches: Iterator[cluster.Batch]) -> cluster.Batch:
    """One batch of several."""
    parts = list(batches)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


if __name__ == "__main__":
    main(sys.argv[1])
