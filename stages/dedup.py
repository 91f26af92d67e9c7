"""Stage `dedup`: find near-duplicates and decide which faces stay.

Reads data/faces.npy, data/faces.csv and data/planted.csv; writes data/duplicates.csv, data/kept.csv and
metrics/dedup.json. Run by `dvc repro dedup`, or alone: python -m stages.dedup
"""

from __future__ import annotations

import sys

import numpy as np

from candid.data.catalogue import read_catalogue
from candid.data.faces import load_images, read_faces
from candid.duplicates.find import find_duplicates
from candid.duplicates.measure import measure
from candid.duplicates.policy import decide, resolve
from candid.duplicates.settings import DedupSettings
from candid.errors import CandidError, run
from candid.files import read_csv, write_csv, write_json
from candid.settings import read_section

WARN_SHARE = 0.2  # of the faces removed


def main() -> None:
    """Read, find, decide, write."""
    settings = read_section("dedup", DedupSettings)
    faces, images = read_faces(), load_images()
    if len(faces) != len(images):
        raise CandidError(
            f"data/faces.csv has {len(faces)} rows, data/faces.npy {len(images)}; expected as many"
        )
    planted = read_csv("data/planted.csv", ("a", "b"), {"a": np.int64, "b": np.int64})
    if not planted[["a", "b"]].isin(range(len(faces))).all(axis=None):
        expected = f"expected 0 to {len(faces) - 1}"
        raise CandidError(f"data/planted.csv: an id that data/faces.csv lacks; {expected}")
    policy: str = settings.policy
    catalogue = read_catalogue()
    if policy == "auto":
        policy = resolve(sorted(set(faces["dataset"])), catalogue)
    series = faces["dataset"].isin([name for name, dataset in catalogue.items() if dataset.series])
    duplicates = find_duplicates(images, settings.method, settings.mirror, series=series.to_numpy())
    if duplicates.warning:
        raise CandidError(f"dedup.method: {duplicates.warning}")
    kept = decide(faces, duplicates.groups, policy, settings.protect, settings.conflicts)
    metrics = measure(duplicates, faces, kept, policy, planted)
    if metrics["share_removed"] > WARN_SHARE:
        share = f"{metrics['share_removed']:.0%} of the faces are removed"
        print(f"candid dedup: warning: {share}; consider dedup.policy: group", file=sys.stderr)
    write_csv("data/duplicates.csv", duplicates.pairs)
    write_csv("data/kept.csv", kept)
    write_json("metrics/dedup.json", metrics)


if __name__ == "__main__":
    run("dedup", main)
