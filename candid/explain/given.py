"""The faces to explain: pictures that somebody names, or the test part of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from candid.data.archives import MAX_FILE_BYTES, UnreadableError, is_not_picture
from candid.data.images import decode
from candid.errors import CandidError
from candid.evaluation.model_file import Card
from candid.evaluation.predict import Images
from candid.explain.options import Options
from candid.labelled import Labelled, other_faces, read_parts

CONSIDERED = 60
"""Test faces of each class that right and wrong answers are looked for among."""


@dataclass(frozen=True)
class Given:
    """N faces, as the model's card says they are."""

    images: Images
    """N x H x H, or x 3."""
    labels: list[str]
    """Empty text where it is not known."""
    source: str = "faces given"
    """In words."""
    notes: tuple[str, ...] = ()
    """What somebody who reads the sheets should know: files that gave no face, say."""


def choose(options: Options, card: Card) -> Given:
    """The pictures that are named, or faces of the test part."""
    if options.faces:
        return read_pictures(options.faces, card)
    parts = read_parts(options.data)
    given = of_part(parts.test, card, CONSIDERED, options.seed)
    notes = tuple(other_faces(options.model, parts))
    return replace(given, source=f"test faces of {parts.source}", notes=notes)


def read_pictures(paths: list[Path], card: Card) -> Given:
    """Read faces that are cut out already: files, or folders of them; a folder's name may be the label.

    Raises:
        CandidError: a path that is not there, or no picture at all.
    """
    images, labels, unread = [], [], []
    for file in [found for path in paths for found in _files(path)]:
        try:
            if file.stat().st_size > MAX_FILE_BYTES:
                raise UnreadableError(f"more than {MAX_FILE_BYTES:,} bytes")
            images.append(decode(file.read_bytes(), card.image_size, card.color))
        except UnreadableError as error:
            unread.append(f"{file}: {error}")
            continue
        labels.append(file.parent.name if file.parent.name in card.classes else "")
    if not images:
        said = unread[0] if unread else f"{', '.join(map(str, paths))}: no picture"
        raise CandidError(f"{said}; expected pictures of faces")
    return Given(np.stack(images), labels, notes=tuple(unread))


def of_part(part: Labelled, card: Card, most: int, seed: int) -> Given:
    """At most `most` faces of each class that the model knows, drawn by `seed`."""
    order = np.random.default_rng(seed).permutation(len(part.ids))
    chosen: list[int] = []
    for name in card.classes:
        chosen += [int(place) for place in order if part.labels[place] == name][:most]
    if not chosen:
        raise CandidError(f"no test face of the classes {', '.join(card.classes)}; expected some")
    chosen.sort()
    ids = part.ids[chosen]
    return Given(np.asarray(part.images[ids]), [part.labels[place] for place in chosen])


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file())
        return [file for file in found if not file.name.startswith(".") and not is_not_picture(file.name)]
    if not path.is_file():
        raise CandidError(f"{path}: no such file; expected a picture of a face, or a folder of them")
    return [path]
