"""Stage ingest: python -m stages.ingest

Reads the archives in data/raw and makes data/faces.npy and data/faces.csv (one row a face), data/rejected.csv
(what can't be read, and why), data/planted.csv (the planted near-duplicates of `sample`), data/votes.csv (the
raters' votes of FER+) and metrics/ingest.json (counts).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from candid.data.catalogue import DataSettings, read_catalogue, selected_datasets
from candid.data.ingest import assemble, counts, find, planted_table, read_all, refuse, summary
from candid.data.published import as_json, compare_published
from candid.data.readers import Wanted
from candid.errors import CandidError, run
from candid.files import write_csv, write_json, writing
from candid.settings import read_section

RAW = Path("data/raw")


def main() -> None:
    """Read, decode, write."""
    settings = read_section("data", DataSettings)
    catalogue = read_catalogue()
    datasets = selected_datasets(settings, catalogue)
    wanted = Wanted.of(settings, catalogue[settings.dataset])
    archives = [find(RAW, archive) for entry in datasets.values() for archive in entry.archives]
    items = tqdm(read_all(datasets, RAW, wanted), desc="ingest", unit=" files", disable=None)
    file_bytes = sum(path.stat().st_size for path in archives)
    ingested = assemble(items, settings.image_size, settings.color, file_bytes)
    write_csv("data/rejected.csv", ingested.rejected[["file", "reason"]])
    refuse(ingested, settings.max_rejected_share, settings.classes)
    planted = planted_table(archives[0], next(iter(datasets.values())).planted, ingested.faces)
    findings = compare_published(ingested, datasets, RAW, wanted)
    altered = [finding.line for finding in findings if not finding.as_published]
    if altered and settings.altered == "stop":
        raise CandidError(f"{'; '.join(altered)}; data.altered = stop: expected the published set")
    with writing("data/faces.npy") as aside:
        np.save(aside, ingested.images)
    write_csv("data/faces.csv", ingested.faces)
    write_csv("data/planted.csv", planted)
    write_csv("data/votes.csv", ingested.votes)
    write_json("metrics/ingest.json", counts(ingested, datasets) | {"published": as_json(findings)})
    print(*summary(ingested, datasets), sep="\n")
    for finding in findings:
        if finding.as_published:
            print(finding.line)
        else:
            print(f"candid ingest: warning: {finding.line}", file=sys.stderr)


if __name__ == "__main__":
    run("ingest", main)
