"""The run itself: pictures in, faces found and labelled, results written as they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from tqdm import tqdm

from candid.errors import cannot_write
from candid.predict.classifier import Classifier
from candid.predict.detectors import Detector
from candid.predict.draw import drawn
from candid.predict.faces import Labelled, find_faces, label, whole_picture
from candid.predict.outputs import Folder, Row
from candid.predict.sources import Picture, Skipped

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


def look(
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


def nothing(results: Results) -> str:
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
