"""Draws the embedded dataset `sample`: python -m benchmarks.draw_sample data/sample.zip

Faces of the seven basic expressions, and planted near-duplicates. The archive holds:

`<label>/<subject>_<nnnn>.png`: a face, 48x48, grey. `<subject>` is p000, p001, ...; `<nnnn>`
numbers the pictures over the whole archive and says nothing about what they are.

`planted.csv` (a,b,kind): member names of an original and of its near-duplicate, and what was done to it: one
or more of exact, shifted, zoomed, brightened, reencoded, mislabelled, joined by +. Copies of one original are
near-duplicates of each other too. A copy keeps its subject; a mislabelled one stands under another label.

2,000 originals of 450 subjects, as unbalanced as FER2013, and 174 copies (8 % of all), twelve of them the
second copy of an original. No two other pictures are near-duplicates (copies.alike). Names, list and pixels
are the same on every machine; `--sheet docs/images/sample.png` draws some of the faces for the eye.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.draw_sample.copies import Copy, alike, plant
from benchmarks.draw_sample.face import FRAME, TEXTURE, draw, middle
from benchmarks.draw_sample.laws import SCENE, SUBJECT, Stream, draw_actions
from candid.errors import run
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

ORIGINALS, SUBJECTS = 2000, 450
PAIRS, TRIPLES = 150, 12
BATCH = 32
"""Pictures drawn at once: what fits into a core's cache. The result doesn't depend on it."""

ROWS, ZOOM, GAP, HEAD = 5, 2, 6, 16
"""Of the sheet: rows of faces, enlargement, and pixels between and above them."""


class Sample(NamedTuple):
    """What the archive holds."""

    files: dict[str, NDArray[np.uint8]]
    """Name -> 48 x 48 pixels, sorted."""
    planted: list[tuple[str, str, str]]
    """Original, copy, kind; sorted."""


def draw_sample(seed: int = 0) -> Sample:
    """Draw the faces; another seed gives other faces of the same make."""
    cast = Stream(seed, "labels")
    labels = draw_labels(ORIGINALS, cast)
    who = cast.order(ORIGINALS) % SUBJECTS  # as many faces of each, or one more
    frames = _originals(seed, labels, who)
    copies = plant(frames, PAIRS, TRIPLES, Stream(seed, "copies"))
    return _named(middle(frames), labels, who, copies, Stream(seed, "names"))


def draw_labels(n: int, stream: Stream) -> list[str]:
    """Share n pictures among the classes as FER2013 does (largest remainders), in random order."""
    total = sum(FER2013.values())
    counts = {label: n * faces // total for label, faces in FER2013.items()}
    by_remainder = sorted(FER2013, key=lambda label: (-(n * FER2013[label] % total), label))
    for label in by_remainder[: n - sum(counts.values())]:
        counts[label] += 1
    in_order = [label for label, count in counts.items() for _ in range(count)]
    return [in_order[i] for i in stream.order(n).tolist()]


def _originals(seed: int, labels: list[str], who: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw every original; a face that is too like an earlier one is drawn again, in another scene."""
    n = len(labels)
    subjects = Stream(seed, "subjects").values(SUBJECT, SUBJECTS)
    actions = draw_actions(labels, Stream(seed, "actions"))
    scenes, textures = Stream(seed, "scenes"), Stream(seed, "textures")
    frames = np.zeros((n, FRAME, FRAME), np.uint8)
    again = np.arange(n)
    while len(again):
        scene = scenes.values(SCENE, len(again))
        for start in range(0, len(again), BATCH):
            some = slice(start, start + BATCH)
            these = again[some]
            parameters = {name: value[who[these]] for name, value in subjects.items()}
            parameters |= {name: value[some] for name, value in scene.items()}
            act = {key: value[these] for key, value in actions.items()}
            frames[these] = draw(parameters, act, textures.raw(len(these), TEXTURE))
        again = alike(middle(frames), again)
    return frames


def _named(
    images: NDArray[np.uint8], labels: list[str], who: NDArray[np.int64], copies: list[Copy], stream: Stream
) -> Sample:
    """Number originals and copies in random order and name them."""
    subjects = [*who.tolist(), *(int(who[copy.original]) for copy in copies)]
    shown = list(labels)
    for copy, pick in zip(copies, stream.below(len(FER2013) - 1, len(copies)).tolist(), strict=True):
        others = [label for label in FER2013 if label != labels[copy.original]]
        shown.append(others[pick] if copy.mislabelled else labels[copy.original])
    number = np.argsort(stream.order(len(shown)))
    names = [f"{shown[i]}/p{subjects[i]:03d}_{number[i]:04d}.png" for i in range(len(shown))]
    pairs = [(names[copy.original], names[len(labels) + i], copy.kind) for i, copy in enumerate(copies)]
    everything = [*images, *(copy.image for copy in copies)]
    return Sample(dict(sorted(zip(names, everything, strict=True))), sorted(pairs))


def planted_csv(sample: Sample) -> bytes:
    """Return the list of planted copies as it is in the archive."""
    return "\n".join(["a,b,kind", *(",".join(pair) for pair in sample.planted), ""]).encode()


def write_sample(path: Path, sample: Sample) -> None:
    """Write the archive."""
    files = {"planted.csv": planted_csv(sample)}
    for name, image in sample.files.items():
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG", optimize=True)
        files[name] = buffer.getvalue()
    with writing(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name])


def sheet(sample: Sample) -> Image.Image:
    """Lay out faces of each expression in columns, and below them originals above their planted copies."""
    copied = {copy for _, copy, _ in sample.planted}
    columns = [
        [name for name in sample.files if name.startswith(f"{label}/") and name not in copied][:ROWS]
        for label in FER2013
    ]
    rows = [("" if row else "label", [column[row] for column in columns]) for row in range(ROWS)]
    kinds = ["exact", "reencoded", "shifted", "zoomed", "brightened", "exact+mislabelled", "zoomed+shifted"]
    pairs = [next(pair for pair in sample.planted if pair[2] == kind) for kind in kinds]
    rows += [("original", [a for a, _, _ in pairs]), ("kind", [b for _, b, _ in pairs])]
    size = ZOOM * len(next(iter(sample.files.values())))
    heights = [size + GAP + (HEAD if head else 0) for head, _ in rows]
    image = Image.new("L", (len(FER2013) * (size + GAP) + GAP, sum(heights) + GAP), 255)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    top = GAP
    for (head, names), height in zip(rows, heights, strict=True):
        face_top = top + height - size - GAP
        for column, name in enumerate(names):
            left = GAP + column * (size + GAP)
            kind = kinds[column].replace("exact+mislabelled", f"as {name.split('/')[0]}")
            text = {"label": name.split("/")[0], "original": "original", "kind": kind}.get(head, "")
            pen.text((left + size / 2, face_top - 3), text, 60, font, anchor="ms")
            face = Image.fromarray(sample.files[name]).resize((size, size), Image.Resampling.BICUBIC)
            image.paste(face, (left, face_top))
        top += height
    return image


def main() -> None:
    """Draw the sample; write the archive, the sheet, or both."""
    parser = argparse.ArgumentParser("benchmarks.draw_sample", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?", help="zip file to write")
    parser.add_argument("--sheet", type=Path, help="PNG file to write")
    options = parser.parse_args()
    sample = draw_sample()
    if options.out:
        write_sample(options.out, sample)
        print(f"{options.out}: {len(sample.files):,} faces, {len(sample.planted)} planted copies")
    if options.sheet:
        with writing(options.sheet) as aside:
            sheet(sample).save(aside, optimize=True)


if __name__ == "__main__":
    run("draw_sample", main, hint="")
