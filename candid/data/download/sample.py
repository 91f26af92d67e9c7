"""The embedded dataset `sample`: drawn faces of the seven basic expressions, with planted near-duplicates.

    from candid.data.download.sample import write_sample
    write_sample(Path("data/raw/sample.zip"))

The archive (a stored zip, the same bytes on every machine for a seed) holds:

`<label>/<person>_<nnnn>.pgm`: a face, binary PGM, 48x48, grey. `<person>` is p000, p001, ...; `<nnnn>`
numbers the pictures over the whole archive and says nothing about what they are.

`planted.csv` (a,b,kind): member names of an original and of its near-duplicate, and what was done to it: one
or more of exact, shifted, zoomed, brightened, reencoded, mislabelled, joined by +. Copies of one original are
near-duplicates of each other too. A copy keeps its person; a mislabelled one stands under another label.

2,000 originals of 120 persons, as unbalanced as FER2013, and 174 copies (8 % of all), twelve of them the
second copy of an original. No two other pictures are near-duplicates (sample_alike).
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.data.download.sample_actions import draw_actions
from candid.data.download.sample_alike import alike
from candid.data.download.sample_canvas import FRAME, middle
from candid.data.download.sample_draw import TEXTURE, draw
from candid.data.download.sample_plant import Copy, plant
from candid.data.download.sample_random import Stream
from candid.data.download.sample_scenes import PERSON, SCENE
from candid.files import writing

FER2013 = {
    "angry": 4953,
    "disgust": 547,
    "fear": 5121,
    "happy": 8989,
    "sad": 6077,
    "surprise": 4002,
    "neutral": 6198,
}
"""Faces a class in FER2013 (Goodfellow et al., 2013); the originals have its proportions."""

ORIGINALS, PEOPLE = 2000, 120
PAIRS, TRIPLES = 150, 12
BATCH = 32
"""Pictures drawn at once: what fits into a core's cache. The result doesn't depend on it."""


def draw_sample(seed: int = 0) -> tuple[NDArray[np.uint8], pd.DataFrame, pd.DataFrame]:
    """Draw the faces.

    Returns:
        images: uint8, N x 48 x 48.
        table: one row an image: file (member name), label, person.
        planted: a, b, kind as in planted.csv.
    """
    cast = Stream(seed, "labels")
    labels = _labels(ORIGINALS, cast)
    who = cast.below(PEOPLE, ORIGINALS)
    frames = _originals(seed, labels, who)
    copies = plant(frames, PAIRS, TRIPLES, Stream(seed, "copies"))
    return _catalogue(middle(frames), labels, who, copies, Stream(seed, "names"))


def write_sample(path: Path, seed: int = 0) -> None:
    """Draw the faces and write them to a zip archive, atomically: the same bytes for the same seed."""
    images, table, planted = draw_sample(seed)
    members = {name: _pgm(image) for name, image in zip(table["file"], images, strict=True)}
    members["planted.csv"] = planted.to_csv(index=False, lineterminator="\n").encode("ascii")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, members[name])
    with writing(path) as aside:
        aside.write_bytes(buffer.getvalue())


def class_counts(n: int) -> dict[str, int]:
    """Share n pictures among the classes as FER2013 does (largest remainders)."""
    total = sum(FER2013.values())
    counts = {label: n * faces // total for label, faces in FER2013.items()}
    by_remainder = sorted(FER2013, key=lambda label: (-(n * FER2013[label] % total), label))
    for label in by_remainder[: n - sum(counts.values())]:
        counts[label] += 1
    return counts


def _labels(n: int, stream: Stream) -> list[str]:
    in_order = [label for label, count in class_counts(n).items() for _ in range(count)]
    return [in_order[i] for i in stream.order(n).tolist()]


def _originals(seed: int, labels: list[str], who: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw every original; one that has become too like an earlier one is taken again, in another scene."""
    n = len(labels)
    people = Stream(seed, "people").values(PERSON, PEOPLE)
    actions = draw_actions(labels, Stream(seed, "actions"))
    scenes, textures = Stream(seed, "scenes"), Stream(seed, "textures")
    frames = np.zeros((n, FRAME, FRAME), np.uint8)
    again = np.arange(n)
    while len(again):
        scene = scenes.values(SCENE, len(again))
        for start in range(0, len(again), BATCH):
            some = slice(start, start + BATCH)
            these = again[some]
            p = {name: value[who[these]] for name, value in people.items()}
            p |= {name: value[some] for name, value in scene.items()}
            act = {key: value[these] for key, value in actions.items()}
            frames[these] = draw(p, act, textures.raw(len(these), TEXTURE))
        again = alike(middle(frames), again)
    return frames


def _catalogue(
    images: NDArray[np.uint8], labels: list[str], who: NDArray[np.int64], copies: list[Copy], stream: Stream
) -> tuple[NDArray[np.uint8], pd.DataFrame, pd.DataFrame]:
    """Number originals and copies in random order and name them."""
    people = [*who.tolist(), *(int(who[copy.original]) for copy in copies)]
    shown = list(labels)
    for copy, pick in zip(copies, stream.below(len(FER2013) - 1, len(copies)).tolist(), strict=True):
        others = [label for label in FER2013 if label != labels[copy.original]]
        shown.append(others[pick] if copy.mislabelled else labels[copy.original])
    number = np.argsort(stream.order(len(shown)))
    files = [f"{shown[i]}/p{people[i]:03d}_{number[i]:04d}.pgm" for i in range(len(shown))]
    table = pd.DataFrame({"file": files, "label": shown, "person": [f"p{k:03d}" for k in people]})
    pairs = [(files[copy.original], files[len(labels) + i], copy.kind) for i, copy in enumerate(copies)]
    planted = pd.DataFrame(sorted(pairs), columns=["a", "b", "kind"])
    everything = np.concatenate([images, np.stack([copy.image for copy in copies])])
    order = sorted(range(len(files)), key=files.__getitem__)
    return everything[order], table.iloc[order].reset_index(drop=True), planted


def _pgm(image: NDArray[np.uint8]) -> bytes:
    """Encode as binary PGM: no compression, so no library's version shows in the bytes."""
    height, width = image.shape
    return b"P5\n%d %d\n255\n" % (width, height) + image.tobytes()
