"""Find the faces in pictures, videos, folders and archives, and label them: candid predict PATH...

Fills predictions/: a copy of each picture with its faces boxed and labelled, predictions.csv with one row a
face, and skipped.csv where something could not be used. A label says which word annotators gave to pictures
like this one, not what a person feels: docs/responsible-use.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pandas as pd
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from candid.cli import Parser
from candid.errors import CandidError, cannot_write
from candid.evaluation.predictions import DIGITS
from candid.files import files_there, write_text, writing
from candid.predict.classifier import Classifier, default_model, load_classifier
from candid.predict.detectors import DEFAULT, DETECTORS, Detector, make_detector
from candid.predict.faces import Labelled, find_faces, label, reduced
from candid.predict.sources import Picture, Skipped, pictures

TOGETHER = 16  # small pictures whose faces the model sees at once
LARGE = 2**22  # pixels: one such picture is a batch of its own, so that memory holds one
NO_FACE = "no face found"
NO_COPY = "labelled, but no copy of it could be written"
LONGEST, SHORTEST = 2048, 480  # pixels of the copy's longer side: small ones grow for the labels' sake
INKS = ("#ffd23f", "#4cc9f0", "#f78fb3", "#7ae582", "#ff9f5a", "#b8b8ff")
PAPER = "#14171a"
LIST = "files.txt"
MADE_BY = "made by candid predict; replaced by the next run:"
MAX_NAME_BYTES = 150  # of a copy's name: file systems take 255, and `writing` adds some of its own
COLUMNS = ("file", "seconds", "x", "y", "width", "height", "score", "predicted")
Row = tuple[str, float | None, Labelled]  # file, seconds (of a video's frame), a face in it


def main(arguments: list[str] | None = None) -> None:
    """Open, detect, label, write, print."""
    parser = Parser(prog="candid predict", description=__doc__)
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="pictures, videos, folders, zip or tar archives")
    add("--model", type=Path, default=default_model(), help="a .keras file; default: the one that ships")
    add("--detector", choices=sorted(DETECTORS), default=DEFAULT, help=f"default: {DEFAULT}")
    add("--already-cropped", action="store_true", help="each picture is one face: nothing is searched")
    add("--every", type=float, default=1.0, metavar="SECONDS", help="between a video's frames; default: 1")
    add("--out", type=Path, default=Path("predictions"), help="folder; default: predictions")
    options = parser.parse_args(arguments)
    if not 0 <= options.every < float("inf"):
        parser.error("--every: expected 0 (all frames) or more seconds")
    sources = pictures(options.paths, options.out, options.every)
    classifier = load_classifier(options.model)
    detector = None if options.already_cropped else make_detector(options.detector)
    folder = Folder(options.out)
    results = label_pictures(sources, classifier, detector, folder)
    if not results.rows:
        raise CandidError(no_face_reason(results))
    header = [*COLUMNS, *(f"p_{name}" for name in classifier.card.classes)]
    cells = [[file, seconds, *map(int, face.box), face.score, face.predicted, *face.probabilities.values()]
             for file, seconds, face in results.rows]  # fmt: skip
    table = folder.write_table("predictions.csv", header, cells)
    if results.skipped:
        folder.write_table("skipped.csv", Skipped._fields, results.skipped)
    print(*summary(results), f"model: {classifier.describe()}", sep="\n")
    count, files = len(results.rows), results.pictures
    print(f"{count} face{'s' * (count != 1)} in {files} picture{'s' * (files != 1)}: {table}")


class Results(NamedTuple):
    """What a run gave."""

    rows: list[Row]
    skipped: list[Skipped]
    pictures: int  # pictures and frames that were opened


def label_pictures(
    sources: Iterable[Picture | Skipped], classifier: Classifier, detector: Detector | None, folder: Folder
) -> Results:
    """Label the faces of all pictures, write a copy of each that shows one; no detector: each is a face."""
    rows: list[Row] = []
    skipped: list[Skipped] = []
    opened: list[str] = []  # the file of each picture or frame
    with tqdm(desc="predict", unit=" pictures", disable=None, leave=False) as bar:
        for batch in _batches(sources, skipped):
            faces = [find_faces(picture.image, detector, classifier.card) for picture in batch]
            labelled = iter(label([face for each in faces for face in each], classifier))
            for picture, each in zip(batch, faces, strict=True):
                here = list(islice(labelled, len(each)))
                skipped += _write(picture, here, folder)
                rows += [(picture.file, picture.seconds, face) for face in here]
            opened += [picture.file for picture in batch]
            bar.update(len(batch))
    shown = {file for file, _, _ in rows}
    skipped += [Skipped(file, NO_FACE) for file in dict.fromkeys(opened) if file not in shown]
    return Results(rows, skipped, len(opened))


def _batches(sources: Iterable[Picture | Skipped], skipped: list[Skipped]) -> Iterator[list[Picture]]:
    """Pictures, a few at once; what could not be opened goes to `skipped`."""
    batch: list[Picture] = []
    for source in sources:
        if isinstance(source, Skipped):
            skipped.append(source)
            continue
        batch.append(source)
        if len(batch) == TOGETHER or source.image.width * source.image.height > LARGE:
            yield batch
            batch = []
    if batch:
        yield batch


def _write(picture: Picture, faces: list[Labelled], folder: Folder) -> Iterator[Skipped]:
    """Write the copy; a name that the file system doesn't take costs that copy, a full disk ends the run."""
    try:
        if faces:
            folder.write_picture(picture.inside, picture.seconds, drawn(picture.image, faces))
    except OSError as error:
        if cannot_write(error):
            raise
        yield Skipped(picture.file, f"{NO_COPY}: {error.strerror or type(error).__name__}")


def summary(results: Results, most: int = 20) -> list[str]:
    """The labels, a line a picture where they are few, else a line a class; and what was skipped."""
    by_picture: dict[str, list[Labelled]] = {}
    for file, seconds, face in results.rows:
        name = file if seconds is None else f"{file} at {seconds:g} s"
        by_picture.setdefault(name, []).append(face)
    if len(by_picture) <= most:
        lines = [f"{name}: {_faces(faces)}" for name, faces in by_picture.items()]
    else:
        lines = _counts(face for _, _, face in results.rows)
    lines += [f"{file}: {reason}" for file, reason in results.skipped[:most]]
    more = len(results.skipped) - most
    return [*lines, f"and {more} more that were skipped"] if more > 0 else lines


def _faces(faces: list[Labelled], most: int = 6) -> str:
    words = [face.described for face in faces] if len(faces) <= most else _counts(faces)
    return f"{len(faces)} face{'s' * (len(faces) > 1)}: {', '.join(words)}"


def _counts(faces: Iterable[Labelled]) -> list[str]:
    return [f"{count} {name}" for name, count in Counter(face.predicted for face in faces).most_common()]


def no_face_reason(results: Results) -> str:
    """Why a run predicted nothing, in one line."""
    if results.pictures:
        tip = "try another --detector, or --already-cropped where the picture is one"
        opened = f"{results.pictures} picture{'s' * (results.pictures > 1)}"
        return f"no face found in {opened}; expected a face: {tip}"
    first = next((f"{file}: {reason}" for file, reason in results.skipped), "no picture among these files")
    return f"{first}; expected pictures, videos or folders of them"


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
        stem = PurePosixPath(flat).stem.encode()[-MAX_NAME_BYTES:].decode(errors="ignore") or "_"
        with writing(self._new(f"{stem}{frame}.jpg")) as aside:
            image.save(aside, "JPEG", quality=88)

    def write_table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
        """Write a CSV file of this name, numbers with DIGITS significant digits."""
        path, table = self._new(name), pd.DataFrame(rows, columns=pd.Index(header))
        write_text(path, table.to_csv(index=False, lineterminator="\n", float_format=f"%.{DIGITS}g"))
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
