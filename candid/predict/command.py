"""Find and label the faces in pictures, folders and videos: candid predict PATH...

Fills predictions/: a copy of each picture with its faces boxed and labelled, predictions.csv (or .jsonl) with
one row a face, and skipped.csv where something could not be used.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from candid.errors import CandidError, cannot_write
from candid.predict import classifier, detectors
from candid.predict.classifier import Classifier, load_classifier
from candid.predict.detectors import Detector, make_detector
from candid.predict.faces import Labelled, find_faces, label, whole_picture
from candid.predict.outputs import Folder, Row, as_csv, as_json_lines, drawn, skipped_csv
from candid.predict.sources import Picture, Skipped, pictures


class Options(NamedTuple):
    """What the user asked for."""

    paths: list[Path]
    model: Path
    classes: list[str] | None
    detector: str
    margin: float | None
    already_cropped: bool
    every: float
    limit: int | None
    table: str
    out: Path


def read_options(arguments: list[str] | None = None) -> Options:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="candid predict",
        description="Find the faces in pictures and videos, and label each with the class a model gives it.",
        epilog="A label says which word annotators gave to pictures like this one, not what a person feels: "
        "docs/responsible-use.md.",
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="pictures, videos, folders, zip or tar archives"
    )
    parser.add_argument(
        "--model",
        type=Path,
        default=classifier.default_model(),
        help="a .keras file of train; default: the one that ships, fer2013.keras",
    )
    parser.add_argument(
        "--classes",
        type=lambda text: text.split(","),
        metavar="A,B,...",
        help="stop unless the model has these",
    )
    parser.add_argument(
        "--detector",
        choices=sorted(detectors.DETECTORS),
        default=detectors.DEFAULT,
        help=f"default: {detectors.DEFAULT}",
    )
    parser.add_argument(
        "--margin",
        type=float,
        help="added to the detector's box on each side, as a share of it; default: the detector's own",
    )
    parser.add_argument(
        "--already-cropped", action="store_true", help="each picture is one face: nothing is searched"
    )
    parser.add_argument(
        "--every", type=float, default=1.0, metavar="SECONDS", help="between a video's frames; default: 1"
    )
    parser.add_argument("--limit", type=int, help="stop after this many pictures and frames")
    parser.add_argument("--table", choices=("csv", "jsonl"), default="csv", help="default: csv")
    parser.add_argument("--out", type=Path, default=Path("predictions"), help="folder; default: predictions")
    given = parser.parse_args(arguments)
    if given.limit is not None and given.limit < 1:
        parser.error("--limit: expected 1 or more")
    if given.margin is not None and not -0.4 <= given.margin <= 4:
        parser.error("--margin: expected -0.4 to 4")
    if not 0 <= given.every < float("inf"):
        parser.error("--every: expected 0 (all frames) or more seconds")
    return Options(**vars(given))


def main(arguments: list[str] | None = None) -> None:
    """Open, find, label, write, tell."""
    options = read_options(arguments)
    found = pictures(options.paths, options.out, options.every)
    classifier = load_classifier(options.model, options.classes)
    detector = None if options.already_cropped else make_detector(options.detector)
    folder = Folder(options.out)
    results = label_pictures(found, classifier, detector, options.margin, folder, options.limit)
    if not results.rows:
        raise CandidError(no_face_reason(results))
    csv = options.table == "csv"
    text = as_csv(results.rows, classifier.card.classes) if csv else as_json_lines(results.rows)
    table = folder.write_text(f"predictions.{options.table}", text)
    if results.skipped:
        folder.write_text("skipped.csv", skipped_csv(results.skipped))
    print(*summary(results), sep="\n")
    print(f"model: {classifier.describe()}")
    print(f"{len(results.rows)} faces in {results.pictures} pictures: {table}")


TOGETHER = 16  # small pictures whose faces the model sees at once
LARGE = 2**22  # pixels: one such picture is a batch of its own, so that memory holds one
NO_FACE = "no face found"
NO_COPY = "labelled, but no copy of it could be written"


class Results(NamedTuple):
    """What a run found."""

    rows: list[Row]
    skipped: list[Skipped]
    pictures: int
    """Pictures and frames that were opened."""


def label_pictures(
    pictures: Iterable[Picture | Skipped],
    classifier: Classifier,
    detector: Detector | None,
    margin: float | None,
    folder: Folder,
    limit: int | None = None,
) -> Results:
    """Label the faces of all pictures, and write a copy of each that shows one.

    Args:
        detector: None where each picture is one face.
        limit: pictures and frames that are opened at most.
    """
    rows: list[Row] = []
    skipped: list[Skipped] = []
    empty: dict[str, bool] = {}  # file -> no face in it, so far
    opened = 0
    bar = tqdm(desc="predict", unit=" pictures", disable=None, leave=False)
    with bar:
        for batch in _batches(pictures, limit, skipped):
            if detector is None:
                found = [[whole_picture(picture.image, classifier.card)] for picture in batch]
            else:
                found = [find_faces(picture.image, detector, classifier.card, margin) for picture in batch]
            labelled = iter(label([face for faces in found for face in faces], classifier))
            for picture, faces in zip(batch, found, strict=True):
                here = list(islice(labelled, len(faces)))
                skipped += _write(picture, here, folder)
                rows += [(picture.file, picture.seconds, each) for each in here]
                empty[picture.file] = empty.get(picture.file, True) and not here
            opened += len(batch)
            bar.update(len(batch))
    skipped += [Skipped(file, NO_FACE) for file, none in empty.items() if none]
    return Results(rows, skipped, opened)


def _batches(
    pictures: Iterable[Picture | Skipped], limit: int | None, skipped: list[Skipped]
) -> Iterator[list[Picture]]:
    """Pictures, a few at once; what could not be opened goes to `skipped`."""
    batch: list[Picture] = []
    opened = 0
    for one in pictures:
        if isinstance(one, Skipped):
            skipped.append(one)
            continue
        batch.append(one)
        opened += 1
        if len(batch) == TOGETHER or one.image.width * one.image.height > LARGE:
            yield batch
            batch = []
        if opened == limit:
            break
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
    """What was found, a line a picture where they are few, else a line a class; and what was skipped."""
    by_picture: dict[tuple[str, float | None], list[Labelled]] = {}
    for file, seconds, labelled in results.rows:
        by_picture.setdefault((file, seconds), []).append(labelled)
    if len(by_picture) <= most:
        lines = [f"{_name(*where)}: {_faces(faces)}" for where, faces in by_picture.items()]
    else:
        counts = Counter(labelled.predicted for _, _, labelled in results.rows)
        lines = [f"{count:6} {name}" for name, count in counts.most_common()]
    reasons = [f"{file}: {reason}" for file, reason in results.skipped[:most]]
    if len(results.skipped) > most:
        reasons.append(f"and {len(results.skipped) - most} more that were skipped")
    return lines + reasons


def no_face_reason(results: Results) -> str:
    """Why a run predicted nothing, in one line."""
    unreadable = [one for one in results.skipped if one.reason != NO_FACE]
    if results.pictures:
        more = f", {len(unreadable)} more can't be read" if unreadable else ""
        return (
            f"no face found in {results.pictures} picture{'s' * (results.pictures > 1)}{more}; "
            "expected a face: try another --detector, or --already-cropped where the picture is one"
        )
    if unreadable:
        more = f", and {len(unreadable) - 1} more like it" if len(unreadable) > 1 else ""
        return f"{unreadable[0].file}: {unreadable[0].reason}{more}; expected a picture or a video"
    return "no picture among these files; expected pictures, videos or folders of them"


def _name(file: str, seconds: float | None) -> str:
    return file if seconds is None else f"{file} at {seconds:g} s"


def _faces(faces: list[Labelled], most: int = 6) -> str:
    if len(faces) > most:
        counts = Counter(each.predicted for each in faces).most_common()
        words = [f"{count} {name}" for name, count in counts]
    else:
        words = [f"{each.predicted} {100 * each.probabilities[each.predicted]:.0f} %" for each in faces]
    return f"{len(faces)} face{'s' * (len(faces) > 1)}: {', '.join(words)}"
