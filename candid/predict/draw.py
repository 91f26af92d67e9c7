"""A copy of a picture with a box and a label on each face."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from candid.predict.faces import Labelled
from candid.predict.pictures import reduced

LONGEST, SHORTEST = 2048, 480  # pixels of the copy's longer side: small ones grow for the labels' sake
INKS = ("#ffd23f", "#4cc9f0", "#f78fb3", "#7ae582", "#ff9f5a", "#b8b8ff")
PAPER = "#14171a"


def drawn(image: Image.Image, faces: Sequence[Labelled]) -> Image.Image:
    """An RGB copy, each face in a box with its likeliest class, in per cent."""
    copy = reduced(image, LONGEST, SHORTEST)
    pen = ImageDraw.Draw(copy)
    largest = max(14, round(max(copy.size) / 60))
    scale = max(copy.size) / max(image.size)
    for number, labelled in enumerate(faces):
        ink = INKS[number % len(INKS)]
        box = labelled.face.box.scaled(scale)
        # in a crowd a label as large as for one face would hide its neighbours
        size = min(largest, max(12, round(0.6 * largest), round(0.45 * box.width)))
        line = max(2, size // 7)
        right, bottom = box.left + max(box.width - 1, 0), box.top + max(box.height - 1, 0)
        pen.rectangle((box.left, box.top, right, bottom), outline=ink, width=line)
        words = f"{labelled.predicted} {100 * labelled.probabilities[labelled.predicted]:.0f} %"
        _tag(pen, words, (box.left + box.width / 2, box.top), copy.size, ImageFont.load_default(size), ink)
    return copy


def _tag(
    pen: ImageDraw.ImageDraw,
    words: str,
    middle: tuple[float, float],
    size: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    ink: str,
) -> None:
    """Words on a dark ground above this point, or below it where the picture ends."""
    _, _, width, height = pen.textbbox((0, 0), words, font=font)
    width, height = width + 8, height + 6
    left = max(0, min(middle[0] - width / 2, size[0] - width))
    top = middle[1] - height if middle[1] >= height else middle[1]
    pen.rectangle((left, top, left + width, top + height), fill=PAPER)
    pen.text((left + 4, top + 2), words, font=font, fill=ink)
