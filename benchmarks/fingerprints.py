"""How well an altered copy of a known set is noticed: alterations named rightly, false alarms, time.

    python -m benchmarks.fingerprints fer2013 ../shared/data/fer2013.zip --trials 20

A trial alters the set with drawn strengths and is right when what was done is named and nothing else is; an
effect that comes with it may be named too (brightening clips). Needs the genuine archive.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from candid.data.copies import Finding, compare
from candid.data.figures import SIDE
from candid.data.fingerprints import FOLDER, Fingerprint, ImageSet, read_archive, read_fingerprint, stem
from candid.data.images import decode

Change = Callable[[Image.Image], Image.Image]
Rng = np.random.Generator
BICUBIC = Image.Resampling.BICUBIC
FILTERS = [Image.Resampling[name] for name in ("NEAREST", "BOX", "BILINEAR", "BICUBIC", "LANCZOS")]


def altered(fingerprint: Fingerprint, genuine: ImageSet, change: Change, share: float, rng: Rng) -> ImageSet:
    """A set of which a share of the probes is changed; the other faces stay, since they are not compared."""
    assert genuine.read is not None
    original = genuine.read
    rows = {name: i for i, name in enumerate(map(stem, genuine.names))}
    files: dict[int, bytes] = {}
    images = genuine.images.copy()
    for i in (rows[name] for name in fingerprint.names):
        if rng.random() < share:
            files[i] = encode(change(Image.open(io.BytesIO(original(i)))), "BMP")
            images[i] = decode(files[i], SIDE, "grey")
    return replace(genuine, images=images, read=lambda i: files.get(i) or original(i))


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The file of a picture."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def levels(change: Callable[[NDArray[np.float64]], NDArray[np.float64]], picture: Image.Image) -> Image.Image:
    """Map grey levels, rounded and limited to 0 to 255."""
    table = np.clip(np.round(change(np.arange(256.0))), 0, 255).astype(int).tolist()
    return picture.convert("L").point(table)


def equalise(rng: Rng) -> Change:
    """Pillow's equalisation or OpenCV's, which differ in the bright end."""
    if rng.random() < 0.5:
        return lambda picture: ImageOps.equalize(picture.convert("L"))
    return lambda picture: Image.fromarray(cv2.equalizeHist(np.asarray(picture.convert("L"))))


def as_it_was(rng: Rng) -> Change:
    """Times 1.2, clipped, then equalised: the copy that went unnoticed."""
    even = equalise(rng)
    return lambda picture: even(levels(lambda v: v * 1.2, picture))


def brighten(rng: Rng) -> Change:
    """By a factor, a constant or a power."""
    factor, constant, power = rng.uniform(1.15, 1.6), rng.uniform(10, 60), rng.uniform(0.5, 0.8)
    ways = [lambda v: v * factor, lambda v: v + constant, lambda v: 255 * (v / 255) ** power]
    return partial(levels, ways[rng.integers(3)])


def clip(rng: Rng) -> Change:
    """Limit the levels, or stretch them until 8 to 15 % of the pixels are lost at each end."""
    low, high, cutoff = rng.uniform(30, 60), rng.uniform(170, 210), rng.integers(8, 16)
    if rng.random() < 0.5:
        return partial(levels, lambda v: np.clip(v, low, high))
    return lambda picture: ImageOps.autocontrast(picture.convert("L"), int(cutoff))


def blur(rng: Rng) -> Change:
    """With a standard deviation of 1 to 2 pixels at a side of 48."""
    sigma = rng.uniform(1, 2) / SIDE
    return lambda picture: picture.convert("L").filter(ImageFilter.GaussianBlur(sigma * max(picture.size)))


def cut(rng: Rng) -> Change:
    """Half of the rows, or a window of 50 to 90 % of each side; enlarged back or not."""
    width, height = rng.uniform(0.5, 0.9, 2)
    left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    if rng.random() < 0.4:
        left, width, top, height = 0, 1, 0.5 * rng.integers(2), 0.5
    back = rng.random() < 0.5

    def change(picture: Image.Image) -> Image.Image:
        size = np.array(picture.size * 2)
        part = picture.crop(tuple(np.round(size * (left, top, left + width, top + height)).astype(int)))
        return part.resize(picture.size, BICUBIC) if back else part

    return change


def scaled(picture: Image.Image, factor: float, resample: Image.Resampling) -> Image.Image:
    """Both sides by a factor."""
    return picture.resize((round(picture.width * factor), round(picture.height * factor)), resample)


PICTURES: dict[str, tuple[Callable[[Rng], Change], set[str], set[str]]] = {
    "x 1.2, clipped, equalised": (as_it_was, {"equalised"}, {"clipped"}),
    "brightened": (brighten, {"brightened"}, {"clipped"}),
    "darkened": (
        lambda rng: partial(levels, partial(np.multiply, rng.uniform(0.6, 0.85))),
        {"darkened"},
        {"contrast lowered"},
    ),
    "clipped": (clip, {"clipped"}, {"brightened", "darkened", "contrast raised"}),
    "equalised": (equalise, {"equalised"}, set()),
    "blurred": (blur, {"blurred"}, set()),
    "cut": (cut, {"cut"}, set()),
    "mirrored": (lambda _: ImageOps.mirror, {"mirrored"}, set()),
    "turned": (lambda rng: lambda picture: picture.rotate(90.0 * rng.integers(1, 4)), {"turned"}, set()),
    "enlarged": (
        lambda rng: partial(scaled, factor=rng.uniform(2, 5), resample=FILTERS[rng.integers(5)]),
        {"enlarged"},
        set(),
    ),
}
"""Alteration -> how a change is drawn, what has to be named, and what else may be."""


def others(values: Sequence[str], rng: Rng, share: float) -> list[str]:
    """Another of the values for a share of them."""
    words = sorted(set(values))
    steps = np.where(rng.random(len(values)) < share, rng.integers(1, len(words), len(values)), 0)
    return [
        words[(words.index(value) + step) % len(words)] for value, step in zip(values, steps, strict=True)
    ]


def rename(genuine: ImageSet, rng: Rng, share: float) -> ImageSet:
    """A number for a name, for a share of the faces."""
    names = [f"{i}.png" if rng.random() < share else name for i, name in enumerate(genuine.names)]
    return replace(genuine, names=names)


def some(images: ImageSet, rows: list[int]) -> ImageSet:
    """Some of the faces, in that order."""
    names, labels = ([column[i] for i in rows] for column in (images.names, images.labels))
    parts, read = images.parts, images.read
    return ImageSet(
        *(names, labels, parts and [parts[i] for i in rows], images.images[rows]),
        read and (lambda i: read(rows[i])),
    )


def remove(genuine: ImageSet, rng: Rng, share: float) -> ImageSet:
    """Without a share of the faces."""
    return some(genuine, np.flatnonzero(rng.random(len(genuine.names)) >= share).tolist())


TABLES: dict[str, Callable[[ImageSet, Rng, float], ImageSet]] = {
    "labels changed": lambda images, rng, share: replace(images, labels=others(images.labels, rng, share)),
    "parts moved": lambda images, rng, share: replace(images, parts=others(images.parts or (), rng, share)),
    "files renamed": rename,
    "files missing": remove,
}


def harmless() -> dict[str, Change]:
    """51 re-encodings that must not be reported."""

    def saved(mode: str, kind: str, **options: object) -> Change:
        return lambda picture: Image.open(io.BytesIO(encode(picture.convert(mode), kind, **options)))

    def there_and_back(factor: int, resample: Image.Resampling, *between: Change) -> Change:
        def change(picture: Image.Image) -> Image.Image:
            larger = scaled(picture, factor, resample)
            return (between[0](larger) if between else larger).resize(picture.size, resample)

        return change

    jpeg75, jpeg80 = saved("L", "JPEG", quality=75), saved("L", "JPEG", quality=80)
    changes = {f"JPEG {quality}": saved("L", "JPEG", quality=quality) for quality in range(75, 96)}
    changes |= {f"colour JPEG {q}": saved("RGB", "JPEG", quality=q) for q in (75, 80, 85, 90, 95)}
    changes |= {"PNG": saved("L", "PNG"), "colour PNG": saved("RGB", "PNG")}
    changes["progressive JPEG 75"] = saved("L", "JPEG", quality=75, progressive=True)
    for resample in FILTERS:
        name = resample.name.lower()
        changes |= {f"x {factor} {name} and back": there_and_back(factor, resample) for factor in (2, 3, 4)}
        changes[f"x 2 {name}, JPEG 75, and back"] = there_and_back(2, resample, jpeg75)
    bilinear = there_and_back(2, Image.Resampling.BILINEAR)
    changes["JPEG 75 of JPEG 80"] = lambda picture: jpeg75(jpeg80(picture))
    changes["x 2 bilinear and back, JPEG 75"] = lambda picture: jpeg75(bilinear(picture))
    return changes


def trial_of_pictures(
    fingerprint: Fingerprint, genuine: ImageSet, kind: str, rng: Rng
) -> tuple[bool, Finding]:
    """Alter pictures: half the time all, else a share of 10 to 100 %."""
    draw, must, may = PICTURES[kind]
    share = 1.0 if rng.random() < 0.5 else rng.uniform(0.1, 1)
    finding = compare(fingerprint, altered(fingerprint, genuine, draw(rng), share, rng))
    return must <= finding.changes.keys() <= must | may, finding


def main() -> None:
    """Run the trials of one set and print a table."""
    parser = argparse.ArgumentParser("benchmarks.fingerprints", description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("archive", type=Path)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    fingerprint = read_fingerprint(FOLDER / f"{settings.dataset}.csv")
    genuine = read_archive(settings.dataset, settings.archive)
    rng = np.random.default_rng(settings.seed)
    start = time.process_time()
    line = compare(fingerprint, genuine).line
    print(f"{line}; {time.process_time() - start:.2f} s of a core")
    for kind in PICTURES:
        results = [trial_of_pictures(fingerprint, genuine, kind, rng) for _ in range(settings.trials)]
        report(kind, results)
    for kind, alter in TABLES.items():
        if kind == "parts moved" and len({*(genuine.parts or ())}) < 2:
            continue
        copies = [alter(genuine, rng, rng.uniform(0.02, 0.5)) for _ in range(settings.trials)]
        compared = [compare(fingerprint, copy) for copy in copies]
        report(kind, [(finding.changes.keys() == {kind}, finding) for finding in compared])
    changes = harmless()
    findings = {
        name: compare(fingerprint, altered(fingerprint, genuine, change, 1, rng))
        for name, change in changes.items()
    }
    false = [f"  {name}: {finding.line}" for name, finding in findings.items() if not finding.as_published]
    print(f"harmless: {len(false)} false alarms over {len(changes)}", *false, sep="\n")


def report(kind: str, results: list[tuple[bool, Finding]]) -> None:
    """One line a kind, and one a trial that went wrong."""
    print(f"{kind}: {sum(right for right, _ in results)} of {len(results)} right", flush=True)
    for right, finding in results:
        if not right:
            print(f"  {json.dumps(finding.changes)}")


if __name__ == "__main__":
    main()
