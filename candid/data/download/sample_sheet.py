"""Contact sheet of the embedded dataset `sample`: python -m candid.data.download.sample_sheet OUT.png

One row a person, one column an expression; with --planted, originals above their planted near-duplicates.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from candid.data.download.sample import draw_sample
from candid.errors import CandidError, run
from candid.files import writing

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
PEOPLE = 6
ZOOM, GAP, HEAD = 2, 6, 16


def contact_sheet(images: NDArray[np.uint8], labels: Sequence[str], columns: int) -> Image.Image:
    """Lay pictures out in rows of `columns`, each under its label; a row without any label takes less room.

    Args:
        images: uint8, n x height x width.
        labels: one a picture; may be empty.

    Returns:
        A grey image on white, the pictures enlarged twice.
    """
    height, width = images.shape[1] * ZOOM, images.shape[2] * ZOOM
    starts = range(0, len(images), columns)
    heads = [HEAD if any(labels[start : start + columns]) else 0 for start in starts]
    tops = np.cumsum([GAP, *(head + height + GAP for head in heads)]).tolist()
    sheet = Image.new("L", (columns * (width + GAP) + GAP, tops[-1]), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for row, start in enumerate(starts):
        for column, image in enumerate(images[start : start + columns]):
            left, top = GAP + column * (width + GAP), tops[row] + heads[row]
            pen.text((left + width / 2, top - 3), labels[start + column], 60, font, anchor="ms")
            sheet.paste(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC), (left, top))
    return sheet


def choose_people(table: pd.DataFrame, copies: set[str], count: int) -> pd.DataFrame:
    """Pick persons who show every expression, spread over all of them: an original of each expression."""
    originals = table[~table["file"].isin(copies)].drop_duplicates(["person", "label"])
    shown = originals.groupby("person")["label"].nunique()
    people = sorted(shown.index[shown == len(EXPRESSIONS)])
    people = [people[k * len(people) // count] for k in range(min(count, len(people)))]
    order = {label: place for place, label in enumerate(EXPRESSIONS)}
    chosen = originals[originals["person"].isin(people)]
    return chosen.assign(place=chosen["label"].map(order)).sort_values(["person", "place"])


def people_sheet(images: NDArray[np.uint8], table: pd.DataFrame, planted: pd.DataFrame) -> Image.Image:
    """Draw PEOPLE persons by seven expressions, labelled on top."""
    chosen = choose_people(table, set(planted["b"]), PEOPLE)
    labels = [*EXPRESSIONS, *[""] * (len(chosen) - len(EXPRESSIONS))]
    return contact_sheet(images[chosen.index.to_numpy()], labels, len(EXPRESSIONS))


def planted_sheet(images: NDArray[np.uint8], table: pd.DataFrame, planted: pd.DataFrame) -> Image.Image:
    """Draw an original and its copy for each change that is planted alone, and one mislabelled copy."""
    row = {name: place for place, name in enumerate(table["file"])}
    kinds = ["exact", "reencoded", "shifted", "zoomed", "brightened", "exact+mislabelled"]
    firsts = [planted[planted["kind"] == kind].iloc[0] for kind in kinds]
    above = [row[pair["a"]] for pair in firsts]
    below = [row[pair["b"]] for pair in firsts]
    marks = [*["original"] * (len(kinds) - 1), table["label"][above[-1]]]
    labels = [*marks, *kinds[:-1], f"as {table['label'][below[-1]]}"]
    return contact_sheet(images[[*above, *below]], labels, len(kinds))


def main() -> None:
    """Draw the sample and write the sheet."""
    parser = argparse.ArgumentParser(
        prog="python -m candid.data.download.sample_sheet", description=__doc__.split("\n")[0]
    )
    parser.add_argument("out", type=Path, help="PNG file to write")
    parser.add_argument("--planted", action="store_true", help="planted near-duplicates instead of persons")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the sample (default 0, the one the pipeline uses)"
    )
    options = parser.parse_args()
    if options.out.suffix.lower() != ".png":
        raise CandidError(f"{options.out}: expected a name that ends in .png")
    if options.seed < 0:
        raise CandidError(f"--seed {options.seed}: expected 0 or more")
    sheet = (planted_sheet if options.planted else people_sheet)(*draw_sample(options.seed))
    with writing(options.out) as aside:
        sheet.save(aside, optimize=True)
    print(f"{options.out}: {sheet.width} x {sheet.height} pixels")


if __name__ == "__main__":
    run("sample_sheet", main, hint="")
