"""The folder of results: pictures with boxes, the table, what was skipped; never the user's own files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from PIL import Image, ImageDraw, ImageFont

from candid.errors import CandidError
from candid.evaluation.predictions import DIGITS
from candid.files import write_text, writing
from candid.predict.faces import Labelled, reduced
from candid.predict.sources import Skipped

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


LIST = "files.txt"
MADE_BY = "made by candid predict; replaced by the next run:"
LONGEST_NAME = 150  # bytes of a file's or folder's: file systems take 255, and `writing` adds some of its own
DEEPEST = 32  # folders in one another, the innermost: a hostile archive has a thousand, pathlib then fails
COLUMNS = ("file", "seconds", "x", "y", "width", "height", "score", "predicted")


class Folder:
    """Replaces what an earlier run left; refuses a folder that holds anything else.

    Raises:
        CandidError: `path` is a file, or holds files that no earlier run listed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.is_dir():
            raise CandidError(f"{path}: is a file; expected a folder for the results, new or empty")
        listed = _listed(path)
        here = {file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir()}
        if foreign := sorted(here - listed):
            raise CandidError(
                f"{path}: holds files that candid.predict did not write ({len(foreign)}: {foreign[0]!r}...); "
                "expected a new or empty folder: name one by --out"
            )
        self._files: set[PurePosixPath] = {PurePosixPath(LIST)}
        self._folders: set[PurePosixPath] = set()
        for name in sorted(here, key=lambda name: name == LIST):  # the list goes last
            (path / name).unlink()

    def write_picture(self, inside: str, seconds: float | None, image: Image.Image) -> None:
        """Write a JPEG named after the file it is a copy of; of a video, into a folder of its name.

        Raises:
            CandidError: `inside` leads out of this folder.
            OSError: the file system takes no such file.
        """
        plain = PurePosixPath("".join(letter if letter.isprintable() else "_" for letter in inside))
        if plain.is_absolute() or ".." in plain.parts:
            raise CandidError(f"{inside[:80]!r} leads out of {self.path}; expected a path within it")
        still = plain.parent / f"{plain.stem or '_'}.jpg"
        name = still if seconds is None else plain / f"{seconds:09.3f}.jpg"
        with writing(self._new(name)) as aside:
            image.save(aside, "JPEG", quality=88)

    def write_text(self, name: str, text: str) -> Path:
        """Write a file of this name."""
        path = self._new(PurePosixPath(name))
        write_text(path, text)
        return path

    def _new(self, wanted: PurePosixPath) -> Path:
        """A path like this one that is not in use yet, listed as ours before anything stands there."""
        folder = PurePosixPath()
        for part in wanted.parent.parts[-DEEPEST:]:
            folder = _free(folder / _cut(part), self._files)  # the same one for all that lie in it
            self._folders.add(folder)
        name = _free(folder / (_cut(wanted.stem) + wanted.suffix), self._files, self._folders)
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LIST).open("a", encoding="utf-8") as file:
            file.write(f"{MADE_BY}\n{LIST}\n" * (len(self._files) == 1) + f"{name}\n")
        self._files.add(name)
        return self.path / name


def _cut(part: str) -> str:
    """LONGEST_NAME at most, in whole characters."""
    return part.encode()[:LONGEST_NAME].decode(errors="ignore")


def _free(name: PurePosixPath, *used: set[PurePosixPath]) -> PurePosixPath:
    """The name, with a number where it is in use."""
    free, number = name, 1
    while any(free in each for each in used):
        number += 1
        free = name.with_stem(f"{name.stem}-{number}")
    return free


def _listed(folder: Path) -> set[str]:
    """Names that an earlier run listed as its own."""
    try:
        lines = (folder / LIST).read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(lines[1:]) if lines[:1] == [MADE_BY] else set()


Row = tuple[str, float | None, Labelled]
"""File, seconds (of a video's frame), a face in it."""


def as_csv(rows: Iterable[Row], classes: Sequence[str]) -> str:
    """COLUMNS and p_<class> of each class, one row a face; an empty cell is what does not apply."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"p_{name}" for name in classes)])
    for file, seconds, each in rows:
        given = [f"{each.probabilities[name]:.{DIGITS}g}" for name in classes]
        place = [_or_empty(seconds), *map(int, each.face.box), _or_empty(each.face.score)]
        writer.writerow([file, *place, each.predicted, *given])
    return text.getvalue()


def as_json_lines(rows: Iterable[Row]) -> str:
    """One JSON object a face: file, seconds, box (x, y, width, height), score, predicted, probabilities."""
    lines = []
    for file, seconds, each in rows:
        about = {
            "file": file,
            "seconds": seconds,
            "box": [int(value) for value in each.face.box],
            "score": None if each.face.score is None else float(f"{each.face.score:.{DIGITS}g}"),
            "predicted": each.predicted,
            "probabilities": {
                name: float(f"{value:.{DIGITS}g}") for name, value in each.probabilities.items()
            },
        }
        lines.append(json.dumps(about, ensure_ascii=False, allow_nan=False) + "\n")
    return "".join(lines)


def skipped_csv(skipped: Iterable[Skipped]) -> str:
    """Columns file and reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([Skipped._fields, *skipped])
    return text.getvalue()


def _or_empty(value: float | None) -> str:
    return "" if value is None else f"{value:.{DIGITS}g}"
