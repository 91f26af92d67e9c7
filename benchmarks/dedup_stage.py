"""Both methods on real sets, and pairs judged by eye: python -m benchmarks.dedup_stage

Reads the archives in CANDID_MIRROR (or --mirror). Prints wall and processor seconds, peak memory and what
was found for FER2013, CK+ and muxspace, by method. For FER2013 and muxspace also, sample by sample of
dedup_verified_pairs.csv, how many of its pairs are the same photograph (with the exact 95 % interval) and
how many of these and of the others end up in one group. The "earlier" samples, of an earlier verifier, are
no random sample of today's pairs. A first run on a tiny set compiles. Figures: docs/near-duplicates.md.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from candid.data.catalogue import read_catalogue
from candid.data.images import decode
from candid.duplicates.find import Duplicates, find_duplicates
from candid.duplicates.kernels import cores
from candid.duplicates.settings import Aligned, Hash

VERIFIED = Path(__file__).with_name("dedup_verified_pairs.csv")


def load(archive: Path) -> tuple[list[str], NDArray[np.uint8]]:
    """Every picture of an archive by name, as ingest decodes it: grey, 48 x 48."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(n for n in file.namelist() if n.lower().endswith((".jpg", ".png")))
        return names, np.stack([decode(file.read(name), 48, "grey") for name in names])


def whole_search(
    name: str, images: NDArray[np.uint8], method: Aligned | Hash, series: NDArray[np.bool_]
) -> Duplicates:
    """Find and print."""
    wall, cpu = time.perf_counter(), time.process_time()
    duplicates = find_duplicates(images, method, series=series)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sizes = np.bincount(duplicates.groups[duplicates.groups >= 0], minlength=1)
    kinds = duplicates.pairs["kind"].value_counts().to_dict()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name}, {method.name}: {len(images):,} images, {wall:.1f} s ({cpu:.1f} s of processor, {cores()}"
        f" cores), peak {peak:,.0f} MiB; {kinds}, {int((duplicates.groups >= 0).sum()):,} images in"
        f" {int((sizes > 0).sum()):,} groups, largest {sizes.max()}, {int(duplicates.flat.sum())} flat",
        flush=True,
    )
    return duplicates


def against_verdicts(dataset: str, names: list[str], groups: NDArray[np.int64]) -> None:
    """Print, sample by sample, how the verdicts and the groups agree."""
    row = {name: i for i, name in enumerate(names)}
    verdicts = pd.read_csv(VERIFIED)
    verdicts = verdicts[verdicts["set"] == dataset]
    a, b = (verdicts[end].map(row).to_numpy(np.int64) for end in ("a", "b"))
    verdicts = verdicts.assign(grouped=(groups[a] == groups[b]) & (groups[a] >= 0))
    for sample, pairs in verdicts.groupby("sample"):
        same = pairs["verdict"] == "same"
        low, high = binomtest(int(same.sum()), len(pairs)).proportion_ci(method="exact")
        print(
            f"  {sample}: {same.sum()} of {len(pairs)} pairs are the same photograph ({low:.1%} to"
            f" {high:.1%}), {pairs['grouped'][same].sum()} of them in one group; of the others"
            f" {pairs['grouped'][~same].sum()}"
        )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    default = os.environ.get("CANDID_MIRROR", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--mirror", type=Path, default=default)
    options = parser.parse_args()
    if not (Path(options.mirror) / "fer2013.zip").is_file():
        parser.error(f"{options.mirror}: no fer2013.zip there; expected the folder of the archives")
    for method in (Aligned(), Hash()):  # machine code is compiled, or read from the cache
        find_duplicates(np.random.default_rng(0).integers(0, 256, (8, 48, 48), dtype=np.uint8), method)
    for name in ("ck48", "muxspace", "fer2013"):
        names, images = load(Path(options.mirror) / f"{name}.zip")
        series = np.full(len(images), read_catalogue()[name].series)
        for method in (Hash(), Aligned()):
            duplicates = whole_search(name, images, method, series)
            against_verdicts(name, names, duplicates.groups)


if __name__ == "__main__":
    main()
