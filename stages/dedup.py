"""Stage `dedup`: find near-duplicates and decide which faces stay.

Reads data/faces.npy, data/faces.csv and data/planted.csv; writes data/duplicates.csv, data/kept.csv and
metrics/dedup.json. Run by `dvc repro dedup`, or alone: python -m stages.dedup
"""

from __future__ import annotations

import sys

from candid.data.catalogue import read_catalogue
from candid.data.faces import DUPLICATES_COLUMNS
from candid.duplicates.duplicates import find_duplicates
from candid.duplicates.inputs import read_inputs
from candid.duplicates.measure import measure
from candid.duplicates.params import DedupSettings
from candid.duplicates.policy import decide, resolve
from candid.errors import run
from candid.files import write_csv, write_json
from candid.settings import read_section

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
