"""Stage ingest: python -m stages.ingest

Reads the archives in data/raw and makes data/faces.npy and data/faces.csv (one row a face), data/rejected.csv
(what can't be read, and why), data/planted.csv (the planted near-duplicates of `sample`) and
metrics/ingest.json (counts).
"""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from candid.data.catalogue import DataSettings, asked_for, find_dataset, read_catalogue
from candid.data.ingest.assemble import assemble
from candid.data.ingest.readers import find, read_all
from candid.data.ingest.records import Wanted
from candid.data.ingest.report import counts, faces_table, planted_table, refuse, rejected_table, summary
from candid.errors import run
from candid.files import write_csv, write_json, writing
from candid.settings import read_section

RAW = Path("data/raw")


def main() -> None:
    """Read, decode, write."""
    settings = read_section("data", DataSettings)
    catalogue = read_catalogue()
    datasets = asked_for(settings, catalogue)
    wanted = Wanted.of(settings, find_dataset(settings.dataset, catalogue))
    items = tqdm(read_all(datasets, RAW, wanted), desc="ingest", unit=" files", disable=None)
    with writing("data/faces.npy") as aside:
        found = assemble(items, aside, settings.image_size, settings.color)
        write_csv("data/rejected.csv", rejected_table(found))
        refuse(found, settings.max_rejected_share, settings.classes)
        faces = faces_table(found)
        first = next(iter(datasets.values()))
        planted = planted_table(find(RAW, first.archives[0]), first.planted, faces)
    write_csv("data/faces.csv", faces)
    write_csv("data/planted.csv", planted)
    write_json("metrics/ingest.json", counts(found, datasets))
    print(*summary(found, datasets), sep="\n")


if __name__ == "__main__":
    run("ingest", main)
