"""The contact sheets as pictures: one a band, and one of the conflicts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from candid.audit.bands import Band, Pair
from candid.audit.pair_sheets import pair_sheet


def band_sheet(band: Band, names: pd.DataFrame, images: Mapping[int, NDArray[np.uint8]]) -> Image.Image:
    """Draw the pairs of a band.

    Args:
        band: the pairs.
        names: columns label and name, by id: what stands under each image.
        images: id -> picture.
    """
    return pair_sheet(
        [images[pair.a] for pair in band.pairs],
        [images[pair.b] for pair in band.pairs],
        [_caption(pair, names) for pair in band.pairs],
        band.heading,
    )


def _caption(pair: Pair, names: pd.DataFrame) -> str:
    mirrored = "   mirrored" if pair.kind == "mirror" else ""
    lines = [f"{pair.similarity:.3f}   {pair.distance_bits} bits{mirrored}"]
    a, b = names.loc[pair.a], names.loc[pair.b]
    if a["label"] or b["label"]:
        lines.append(f"{a['label']}\t{b['label']}")
    return "\n".join([*lines, f"{a['name']}\t{b['name']}"])
