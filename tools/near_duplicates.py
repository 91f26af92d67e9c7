"""Contact sheets of the pipeline's near-duplicates: python -m tools.near_duplicates [--out FOLDER].

Searches data/faces.npy once more with section `dedup` of params.yaml, as the stage keeps accepted pairs only,
and draws pairs of each band of similarity on both sides of the threshold, and copies with different
labels. The sheets show faces: their folder, audit/near_duplicates, is ignored by git.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.dedup.duplicates import find_duplicates
from stages.dedup.params import DedupSettings
from stages.errors import CandidError, run
from stages.faces import load_images, read_faces
from stages.settings import read_section
from tools.audit.bands import Band, bands, conflict_band
from tools.audit.findings import by_similarity
from tools.audit.folder import check_folder, write_report
from tools.audit.options import threshold
from tools.audit.sheets import band_sheet

HINT = "run `dvc repro dedup` first"


def main() -> None:
    """Read, search, draw."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.near_duplicates", description=(__doc__ or "").partition("\n")[2]
    )
    parser.add_argument("--out", type=Path, default=Path("audit/near_duplicates"))
    parser.add_argument("--pairs", type=int, default=30, help="shown of each band; default: 30")
    options = parser.parse_args()
    check_folder(options.out)
    settings = read_section("dedup", DedupSettings)
    images, faces = load_images(), read_faces()
    if len(images) != len(faces):
        raise CandidError(f"data/faces.csv: {len(faces)} rows, data/faces.npy {len(images)}; {HINT}")
    sheets = choose(images, faces, settings, options.pairs)
    names = pd.DataFrame({"label": faces["label"], "name": faces["id"].astype(str)})
    write_report(
        options.out,
        {"shown": {band.name: len(band.pairs) for band in sheets}},
        {f"{band.name}.png": partial(_save, band, names, images) for band in sheets},
    )
    print(*(f"{options.out}/{band.name}.png: {band.heading}" for band in sheets), sep="\n")


def choose(images: NDArray[np.uint8], faces: pd.DataFrame, settings: DedupSettings, most: int) -> list[Band]:
    """Search and choose up to `most` pairs of each band, conflicts first."""
    found = find_duplicates(images, settings)
    accepted, rejected = by_similarity(found.pairs), by_similarity(found.rejected)
    conflicts = conflict_band(accepted, faces["label"].tolist(), found.flat, most)
    return [band for band in (conflicts, *bands(accepted, rejected, threshold(settings), most)) if band.total]


def _save(band: Band, names: pd.DataFrame, images: Any, path: Path) -> None:
    band_sheet(band, names, images).save(path)


if __name__ == "__main__":
    run("near_duplicates", main, hint="")
