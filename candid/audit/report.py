"""What goes into the report's folder, file by file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.audit.bands import Band, bands, conflict_band
from candid.audit.findings import Findings, tables
from candid.audit.images import ImageSet, thumbnails
from candid.audit.page import Facts, page
from candid.audit.sheets import band_sheet
from candid.data.archives import Files
from candid.files import write_csv, write_text

Pictures = Mapping[int, NDArray[np.uint8]]


def choose(found: Findings, threshold: float, most: int) -> list[Band]:
    """Choose the pairs to show: the conflicts first, then band by band."""
    conflicts = conflict_band(
        found.pairs, found.images["label"].tolist(), found.images["flat"].to_numpy(), most
    )
    return [conflicts] * bool(conflicts.total) + bands(found.pairs, found.rejected, threshold, most)


def pictures(source: Files, read: ImageSet, shown: Sequence[Band]) -> Pictures:
    """Read the shown images again, larger; one that can't be read any more is shown as the search saw it."""
    rows = sorted({row for band in shown for pair in band.pairs for row in (pair.a, pair.b)})
    names = read.images["file"].tolist()
    large = thumbnails(source, [names[row] for row in rows])
    return {row: large.get(names[row], read.pixels[row]) for row in rows}


def writers(
    facts: Facts, found: Findings, shown: Sequence[Band], images: Pictures
) -> dict[str, Callable[[Path], object]]:
    """Give for each file of the report, by name, what writes it."""
    made: dict[str, Callable[[Path], object]] = {}
    for name, table in tables(found).items():
        made[name] = partial(write_csv, table=table)
    under = pd.DataFrame({"label": found.images["label"], "name": found.images["file"].map(_base)})
    for band in shown:
        made[f"sheet-{band.name}.png"] = band_sheet(band, under, images).save
    made["index.html"] = partial(write_text, text=page(facts, found, shown, images))
    return made


def _base(file: str) -> str:
    return PurePosixPath(file).name
