"""Contact sheets of pairs: what a person looks at to judge a threshold.

The pictures show faces. The pipeline keeps them out of git; so should whoever makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PAPER, INK, RULE = "#ffffff", "#1a1a1a", "#c8c8c8"
BOX = 112  # pixels of one image's box: 48 px faces at twice their size, with a margin
GAP = 8
LINE = 16
TITLE, TITLE_WIDTH = 34, 1200


def pair_sheet(
    images_a: Sequence[NDArray[np.uint8]],
    images_b: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
    title: str = "",
    columns: int = 5,
) -> Image.Image:
    """Draw pairs side by side, a caption under each.

    Args:
        images_a, images_b: H x W (grey) or H x W x 3 (RGB), uint8, each of any size; pair i is
            images_a[i] and images_b[i]. Small ones are enlarged by whole factors, so that a pixel
            stays a pixel; large ones are reduced to fit.
        captions: one a pair; lines end with "\\n", and a tab parts what stands under the left image from
            what stands under the right one. A line that is too long loses its middle.
        title: above the sheet; empty for none.
        columns: pairs in a row.

    Returns:
        an RGB picture; the same input gives the same picture.

    Raises:
        ValueError: no pair, or lists of different length.
    """
    if not len(images_a) == len(images_b) == len(captions) or not captions:
        raise ValueError(
            f"{len(images_a)}, {len(images_b)} images, {len(captions)} captions: expected as many, 1 or more"
        )
    columns = min(columns, len(captions))
    lines = max(caption.count("\n") + 1 for caption in captions)
    cell = (2 * BOX + 3 * GAP, BOX + 2 * GAP + lines * LINE)
    rows = -(-len(captions) // columns)
    top = TITLE if title else 0
    heading = _fit(title, TITLE_WIDTH, _font(17))
    width = max(columns * cell[0], ceil(_font(17).getlength(heading)) + GAP) + GAP
    sheet = Image.new("RGB", (width, top + rows * cell[1] + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, TITLE // 2), heading, INK, _font(17), anchor="lm")
    for index, (a, b, caption) in enumerate(zip(images_a, images_b, captions, strict=True)):
        left = GAP + index % columns * cell[0]
        upper = top + GAP + index // columns * cell[1]
        draw.rectangle((left, upper, left + cell[0] - GAP, upper + cell[1] - GAP), outline=RULE)
        for side, image in enumerate((a, b)):
            picture = _boxed(image)
            x = left + GAP // 2 + side * (BOX + GAP) + (BOX - picture.width) // 2
            sheet.paste(picture, (x, upper + GAP // 2 + (BOX - picture.height) // 2))
        _write(draw, caption, left + GAP // 2, upper + BOX + GAP)
    return sheet


def _boxed(image: NDArray[np.uint8]) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(image)).convert("RGB")
    factor = BOX // max(picture.size)
    if factor >= 1:
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((BOX, BOX), Image.Resampling.LANCZOS)
    return picture


def _write(draw: ImageDraw.ImageDraw, caption: str, left: int, upper: int) -> None:
    font = _font(12)
    for row, line in enumerate(caption.split("\n")):
        pieces = line.split("\t")[:2]
        width = BOX if len(pieces) == 2 else 2 * BOX + GAP
        for side, piece in enumerate(pieces):
            middle = left + side * (BOX + GAP) + width // 2
            draw.text(
                (middle, upper + row * LINE + LINE // 2), _fit(piece, width, font), INK, font, anchor="mm"
            )


def _fit(text: str, width: int, font: Any) -> str:
    """Take characters out of the middle until the text is no wider than `width` pixels."""
    keep = len(text)
    shown = text
    while font.getlength(shown) > width and keep > 1:
        keep -= 1
        shown = text[: keep // 2] + "…" + text[len(text) - (keep - keep // 2) :]
    return shown


def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib carries: there on every machine, and wide in the scripts it knows."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
