"""The folder of results: pictures with boxes, the table, what was skipped; never the user's own files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from candid.evaluation.predictions import DIGITS
from candid.files import files_there, write_text, writing
from candid.predict.faces import Labelled, reduced

LONGEST, SHORTEST = 2048, 480  # pixels of the copy's longer side: small ones grow for the labels' sake
INKS = ("#ffd23f", "#4cc9f0", "#f78fb3", "#7ae582", "#ff9f5a", "#b8b8ff")
PAPER = "#14171a"
LIST = "files.txt"
MADE_BY = "made by candid predict; replaced by the next run:"
LONGEST_NAME = 150  # bytes of a copy's name: file systems take 255, and `writing` adds some of its own
COLUMNS = ("file", "seconds", "x", "y", "width", "height", "score", "predicted")


def drawn(image: Image.Image, faces: Sequence[Labelled]) -> Image.Image:
    """An RGB copy, each face in a box with its likeliest class in per cent on dark ground."""
    copy = reduced(image, LONGEST, SHORTEST)
    pen = ImageDraw.Draw(copy)
    largest = max(14, round(max(copy.size) / 60))
    scale = max(copy.size) / max(image.size)
    for number, face in enumerate(faces):
        ink, box = INKS[number % len(INKS)], face.box.scaled(scale)
        # in a crowd a label as large as for one face would hide its neighbours
        size = min(largest, max(12, round(0.6 * largest), round(0.45 * box.width)))
        right, bottom = box.left + max(box.width - 1, 0), box.top + max(box.height - 1, 0)
        pen.rectangle((box.left, box.top, right, bottom), outline=ink, width=max(2, size // 7))
        words, font = face.described, ImageFont.load_default(size)
        _, _, width, height = pen.textbbox((0, 0), words, font=font)
        left = max(0, min(box.left + (box.width - width) / 2 - 4, copy.width - width - 8))
        top = box.top - height - 6 if box.top >= height + 6 else box.top
        pen.rectangle((left, top, left + width + 8, top + height + 6), fill=PAPER)
        pen.text((left + 4, top + 2), words, font=font, fill=ink)
    return copy


class Folder:
    """Replaces what an earlier run wrote; CandidError for a file, or a folder that holds anything else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        listed = (path / LIST).read_text(encoding="utf-8").splitlines() if (path / LIST).is_file() else []
        here = files_there(path, listed[1:] if listed[:1] == [MADE_BY] else [], "candid predict")
        self._files = {LIST}
        for name in sorted(here, key=lambda name: name == LIST):  # the list goes last
            (path / name).unlink()

    def write_picture(self, inside: str, seconds: float | None, image: Image.Image) -> None:
        """Write a JPEG named after the path of what it is a copy of, `sub/a.png` as sub_a.jpg.

        Raises:
            OSError: the file system takes no such file.
        """
        flat = "".join(letter if letter.isprintable() and letter not in "/\\" else "_" for letter in inside)
        frame = "" if seconds is None else f"-{seconds:09.3f}"
        stem = PurePosixPath(flat).stem.encode()[-LONGEST_NAME:].decode(errors="ignore") or "_"
        with writing(self._new(f"{stem}{frame}.jpg")) as aside:
            image.save(aside, "JPEG", quality=88)

    def write_text(self, name: str, text: str) -> Path:
        """Write a file of this name."""
        path = self._new(name)
        write_text(path, text)
        return path

    def _new(self, name: str) -> Path:
        """A path of this name, or with a number behind it, listed as ours before anything stands there."""
        plain, number = PurePosixPath(name), 1
        while name in self._files:
            number += 1
            name = f"{plain.stem}-{number}{plain.suffix}"
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LIST).open("a", encoding="utf-8") as file:
            file.write(f"{MADE_BY}\n{LIST}\n" * (len(self._files) == 1) + f"{name}\n")
        self._files.add(name)
        return self.path / name


Row = tuple[str, float | None, Labelled]  # file, seconds (of a video's frame), a face in it


def as_csv(rows: Iterable[Row], classes: Sequence[str]) -> str:
    """COLUMNS and p_<class> of each class, one row a face; an empty cell is what does not apply."""
    cells = [
        [file, seconds, *map(int, face.box), face.score, face.predicted]
        + [face.probabilities[name] for name in classes]
        for file, seconds, face in rows
    ]
    return csv_text([*COLUMNS, *(f"p_{name}" for name in classes)], cells)


def csv_text(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table as CSV with Unix line ends and numbers of DIGITS significant digits."""
    table = pd.DataFrame(rows, columns=pd.Index(header))
    return table.to_csv(index=False, lineterminator="\n", float_format=f"%.{DIGITS}g")
