"""Stage `dedup`: find near-duplicates and decide which faces stay.

Reads data/faces.npy, data/faces.csv and data/planted.csv; writes data/duplicates.csv, data/kept.csv and
metrics/dedup.json. Run by `dvc repro dedup`, or alone: python -m stages.dedup
"""

from __future__ import annotations

import sys

from stages.catalogue import read_catalogue
from stages.dedup.duplicates import find_duplicates
from stages.dedup.inputs import read_inputs
from stages.dedup.measure import measure
from stages.dedup.params import DedupSettings
from stages.dedup.policy import decide, resolve
from stages.errors import run
from stages.faces import DUPLICATES_COLUMNS
from stages.files import write_csv, write_json
from stages.settings import read_section

WARN_SHARE = 0.2  # of the faces removed


def main() -> None:
    """Read, find, decide, write."""
    settings = read_section("dedup", DedupSettings)
    faces, images, planted = read_inputs()
    policy: str = settings.policy
    if policy == "auto":
        policy = resolve(sorted(set(faces["dataset"])), read_catalogue())
    found = find_duplicates(images, settings)
    kept = decide(faces, found.groups, policy, settings.protect, settings.conflicts)
    metrics = measure(found, faces, kept, policy, planted)
    if metrics["share_removed"] > WARN_SHARE:
        share = f"{metrics['share_removed']:.0%} of the faces are removed"
        print(f"candid dedup: warning: {share}; consider dedup.policy: group", file=sys.stderr)
    write_csv("data/duplicates.csv", found.pairs[list(DUPLICATES_COLUMNS)])
    write_csv("data/kept.csv", kept)
    write_json("metrics/dedup.json", metrics)


if __name__ == "__main__":
    run("dedup", main)
