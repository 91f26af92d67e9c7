"""Draws the embedded dataset `sample`: python -m benchmarks.draw_sample data/sample.zip

Faces of the seven basic expressions, and planted near-duplicates. The archive holds:

`<label>/<subject>_<nnnn>.png`: a face, 48x48, grey. `<subject>` is p000, p001, ...; `<nnnn>`
numbers the pictures over the whole archive and says nothing about what they are.

`planted.csv` (a,b,kind): member names of an original and of its near-duplicate, and what was done to it: one
or more of exact, shifted, zoomed, brightened, reencoded, mislabelled, joined by +. Copies of one original are
near-duplicates of each other too. A copy keeps its subject; a mislabelled one stands under another label.

2,000 originals of 450 subjects, as unbalanced as FER2013, and 174 copies (8 % of all), twelve of them the
second copy of an original. No two other pictures are near-duplicates: a face that came out too much like an
earlier one was drawn again, and draws.txt holds how often. Names, list and pixels are the same on every
machine.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.draw_sample.copies import Copy, plant
from benchmarks.draw_sample.face import FRAME, TEXTURE, draw, middle
from benchmarks.draw_sample.laws import SCENE, SUBJECT, Stream, draw_actions
from candid.errors import run
from candid.files import stamped_entry, writing
from candid.splits.assign import largest_remainder

FER2013 = {
    **{"angry": 4953, "disgust": 547, "fear": 5121, "happy": 8989, "sad": 6077, "surprise": 4002},
    "neutral": 6198,
}
"""Faces a class in FER2013 (Goodfellow et al., 2013); the originals have its proportions."""

ORIGINALS, SUBJECTS = 2000, 450
PAIRS, TRIPLES = 150, 12
DRAWS = Path(__file__).with_name("draws.txt")  # a hexadecimal digit an original
BATCH = 32  # pictures drawn at once: what fits into a core's cache. The result doesn't depend on it


class Sample(NamedTuple):
    """What the archive holds."""

    files: dict[str, NDArray[np.uint8]]  # name -> 48 x 48 pixels, sorted
    planted: list[tuple[str, str, str]]  # original, copy, kind; sorted


def draw_sample() -> Sample:
    """Draw the faces and their copies."""
    cast = Stream("labels")
    in_order = np.repeat([*FER2013], largest_remainder(ORIGINALS, [*FER2013.values()]))
    labels = in_order[cast.order(ORIGINALS)].tolist()
    subjects = cast.order(ORIGINALS) % SUBJECTS  # as many faces of each, or one more
    frames = _originals(labels, subjects)
    return _named(middle(frames), labels, subjects, plant(frames, PAIRS, TRIPLES, Stream("copies")))


def _originals(labels: list[str], subject: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw every original, as often as draws.txt says: each time in another scene."""
    draws = np.array([int(digit, 16) for line in DRAWS.read_text().split() for digit in line])
    subjects = Stream("subjects").values(SUBJECT, SUBJECTS)
    actions = draw_actions(labels, Stream("actions"))
    scenes, textures = Stream("scenes"), Stream("textures")
    frames = np.zeros((len(labels), FRAME, FRAME), np.uint8)
    for number in range(draws.max()):
        again = np.flatnonzero(draws > number)
        scene = scenes.values(SCENE, len(again))
        for start in range(0, len(again), BATCH):
            some = slice(start, start + BATCH)
            rows = again[some]
            parameters = {name: value[subject[rows]] for name, value in subjects.items()}
            parameters |= {name: value[some] for name, value in scene.items()}
            act = {key: value[rows] for key, value in actions.items()}
            frames[rows] = draw(parameters, act, textures.raw(len(rows), TEXTURE))
    return frames


def _named(
    images: NDArray[np.uint8], labels: list[str], subject: NDArray[np.int64], copies: list[Copy]
) -> Sample:
    """Number originals and copies in random order and name them."""
    stream = Stream("names")
    subjects = [*subject.tolist(), *(int(subject[copy.original]) for copy in copies)]
    shown = list(labels)
    for copy, pick in zip(copies, stream.below(len(FER2013) - 1, len(copies)).tolist(), strict=True):
        others = [label for label in FER2013 if label != labels[copy.original]]
        shown.append(others[pick] if copy.mislabelled else labels[copy.original])
    number = np.argsort(stream.order(len(shown)))
    names = [f"{shown[i]}/p{subjects[i]:03d}_{number[i]:04d}.png" for i in range(len(shown))]
    pairs = [(names[copy.original], names[len(labels) + i], copy.kind) for i, copy in enumerate(copies)]
    everything = [*images, *(copy.image for copy in copies)]
    return Sample(dict(sorted(zip(names, everything, strict=True))), sorted(pairs))


def write_sample(path: Path, sample: Sample) -> None:
    """Write the archive."""
    rows = ["a,b,kind", *(",".join(pair) for pair in sample.planted), ""]
    files = {"planted.csv": "\n".join(rows).encode()}
    for name, image in sample.files.items():
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG", optimize=True)
        files[name] = buffer.getvalue()
    with writing(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            archive.writestr(stamped_entry(name), files[name])


def main() -> None:
    """Draw the sample and write the archive."""
    parser = argparse.ArgumentParser("benchmarks.draw_sample", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="zip file to write")
    out = parser.parse_args().out
    sample = draw_sample()
    write_sample(out, sample)
    print(f"{out}: {len(sample.files):,} faces, {len(sample.planted)} planted copies")


if __name__ == "__main__":
    run("draw_sample", main, hint="")
