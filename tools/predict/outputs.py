"""The folder of results: pictures with boxes, the table, what was skipped; never somebody's own files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from PIL import Image

from stages.errors import CandidError
from stages.evaluate.table import DIGITS
from stages.files import write_text, writing
from tools.predict.faces import Labelled
from tools.predict.sources import Skipped

LIST = "files.txt"
MADE_BY = "made by python -m tools.predict; replaced by the next run:"
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
                f"{path}: holds files that tools.predict did not write ({len(foreign)}: {foreign[0]!r}...); "
                "expected a new or empty folder: name one by --out"
            )
        self._names: list[str] = []
        for name in sorted(here, key=lambda name: name == LIST):  # the list goes last
            (path / name).unlink()

    def write_picture(self, inside: str, seconds: float | None, image: Image.Image) -> None:
        """Write a JPEG named after the file it is a copy of; of a video, into a folder of its name."""
        plain = "".join(letter if letter.isprintable() else "_" for letter in inside)
        name = PurePosixPath(plain)
        name = name.with_suffix(".jpg") if seconds is None else name / f"{seconds:09.3f}.jpg"
        with writing(self._new(name.as_posix())) as aside:
            image.save(aside, "JPEG", quality=88)

    def write_text(self, name: str, text: str) -> Path:
        """Write a file under this very name."""
        path = self._new(name)
        write_text(path, text)
        return path

    def _new(self, name: str) -> Path:
        """A path that is not in use yet, listed as ours before anything stands there."""
        plain, number = PurePosixPath(name), 1
        while name in self._names:
            number += 1
            name = plain.with_stem(f"{plain.stem}-{number}").as_posix()
        self._names.append(name)
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LIST).open("a", encoding="utf-8") as file:
            file.write(f"{MADE_BY}\n{LIST}\n" * (len(self._names) == 1) + name + "\n")
        return self.path / name


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
