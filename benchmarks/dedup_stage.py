"""Hashing rate, the whole search on real sets, and pairs judged by eye: python benchmarks/dedup_stage.py

Reads the archives in CANDID_MIRROR (or --mirror). Prints wall and processor seconds, peak memory and what was
found for FER2013, CK+ and muxspace. For FER2013 and muxspace also, sample by sample of
dedup_verified_pairs.csv, how many of its pairs are the same photograph (with the exact 95 % interval) and how
many of these and of the others end up in one group. The table has file names, the verdict after both pictures
were compared, laid over each other in doubt, and the similarity at that time (empty: never compared). The
"earlier" samples were drawn with an earlier verifier on an altered copy of FER2013; they are no random sample
of today's pairs. A first run on a tiny set compiles, and is told apart. Figures: docs/near-duplicates.md.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
import zipfile
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import binomtest

from candid.data.images import decode
from candid.duplicates.duplicates import Duplicates, find_duplicates
from candid.duplicates.hashes import hash_images
from candid.duplicates.kernels import cores
from candid.duplicates.params import DedupSettings, HashName

VERIFIED = Path(__file__).with_name("dedup_verified_pairs.csv")
THEIRS: dict[HashName, Any] = {
    "phash": imagehash.phash,
    "dhash": imagehash.dhash,
    "average": imagehash.average_hash,
    "wavelet": imagehash.whash,
}


def load(archive: Path) -> tuple[list[str], NDArray[np.uint8]]:
    """Every picture of an archive by name, as ingest decodes it: grey, 48 x 48."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(n for n in file.namelist() if n.lower().endswith((".jpg", ".png")))
        images = np.empty((len(names), 48, 48), np.uint8)
        for i, name in enumerate(names):
            images[i] = decode(file.read(name), 48, "grey")
    return names, images


def hashing_rate(images: NDArray[np.uint8]) -> None:
    """Print images a second of each hash, by imagehash and here, and the bits that differ."""
    for name, theirs in THEIRS.items():
        for size in (8, 16):
            some = [Image.fromarray(image) for image in images[:1000]]
            start = time.process_time()
            for image in some:
                theirs(image, hash_size=size)
            slow = len(some) / (time.process_time() - start)
            start = time.process_time()
            hash_images(images, name, size)
            fast = len(images) / (time.process_time() - start)
            rates = f"imagehash {slow:7,.0f}/s, here {fast:8,.0f}/s, {fast / slow:.1f}x"
            print(f"{name:8} {size:3} x {size}: {rates}")


def whole_search(name: str, images: NDArray[np.uint8]) -> Duplicates:
    """Find and print."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = find_duplicates(images, DedupSettings())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sizes = np.bincount(found.groups[found.groups >= 0], minlength=1)
    kinds = found.pairs["kind"].value_counts().to_dict()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name}: {len(images):,} images, {wall:.1f} s ({cpu:.1f} s of processor, {cores()} cores), peak"
        f" {peak:,.0f} MiB; {kinds}, {int((found.groups >= 0).sum()):,} images in {int((sizes > 0).sum()):,}"
        f" groups, largest {sizes.max()}, {int(found.flat.sum())} flat, {found.candidates:,} candidates",
        flush=True,
    )
    return found


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
        parser.exit(
            1, f"{options.mirror}: no fer2013.zip there; give the folder of the archives as --mirror\n"
        )
    start = time.perf_counter()
    find_duplicates(np.random.default_rng(0).integers(0, 256, (8, 48, 48), dtype=np.uint8), DedupSettings())
    print(f"start (machine code compiled, or read from the cache): {time.perf_counter() - start:.1f} s")
    for name in ("ck48", "muxspace", "fer2013"):
        names, images = load(Path(options.mirror) / f"{name}.zip")
        found = whole_search(name, images)
        against_verdicts(name, names, found.groups)
    hashing_rate(images)


if __name__ == "__main__":
    main()
