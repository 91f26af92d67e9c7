"""Find the faces in pictures, videos, folders and archives, and label them: candid predict PATH...

Fills predictions/: a copy of each picture with its faces boxed and labelled, predictions.csv with one row a
face, and skipped.csv where something could not be used. A label says which word annotators gave to pictures
like this one, not what a person feels: docs/responsible-use.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from candid.cli import Parser
from candid.errors import CandidError, cannot_write
from candid.predict.classifier import Classifier, default_model, load_classifier
from candid.predict.detectors import DEFAULT, DETECTORS, Detector, make_detector
from candid.predict.faces import Labelled, find_faces, label
from candid.predict.outputs import Folder, Row, as_csv, csv_text, drawn
from candid.predict.sources import Picture, Skipped, pictures

TOGETHER = 16  # small pictures whose faces the model sees at once
LARGE = 2**22  # pixels: one such picture is a batch of its own, so that memory holds one
NO_FACE = "no face found"
NO_COPY = "labelled, but no copy of it could be written"


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
    table = folder.write_text("predictions.csv", as_csv(results.rows, classifier.card.classes))
    if results.skipped:
        folder.write_text("skipped.csv", csv_text(Skipped._fields, results.skipped))
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
