"""Find known faces with each detector: python benchmarks/detectors.py

Pictures: scikit-image's astronaut, whose face is 93 x 105 of 512 x 512 pixels, and composites made from it;
its 100 faces of LFW, 25 pixels a side; its pictures without a face. All of them lie in its wheel.
A face counts as found where a box has its centre within a third of the face's size and between half and
twice that size; any other box is false. What docs/predict.md says of the detectors comes from here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from tools.predict.crops import Box
from tools.predict.detectors import DETECTORS, LONGEST, Detector, Found, make_detector
from tools.predict.pictures import reduced

Pixels = NDArray[np.uint8]
FACE = Box(180, 72, 93, 105)  # of the astronaut, brow to chin and cheek to cheek, by eye
BARE = (
    *("coffee", "chelsea", "rocket", "brick", "grass", "gravel", "coins", "moon", "page", "text"),
    *("clock_motion", "motorcycle_left", "ihc", "hubble_deep_field", "retina"),
)
"""Pictures in its wheel that show no face."""


class Scene(NamedTuple):
    """A picture and the faces in it."""

    kind: str
    name: str
    picture: Pixels
    faces: list[Box]


def astronaut() -> Pixels:
    """The picture itself."""
    picture: Pixels = skimage.data.astronaut()
    return picture


def warped(matrix: NDArray[np.float64], size: tuple[int, int], kind: str, name: str) -> Scene:
    """The astronaut by a 2 x 3 affine map, and where that takes the face; its size by the map's scale."""
    picture = cv2.warpAffine(astronaut(), matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    x, y = matrix @ (FACE.left + FACE.width / 2, FACE.top + FACE.height / 2, 1)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    width, height = FACE.width * scale, FACE.height * scale
    return Scene(kind, name, picture, [Box(x - width / 2, y - height / 2, width, height)])


def scaled() -> Iterator[Scene]:
    """The whole picture, smaller and larger; small faces alone in a wide picture."""
    for side in (16, 20, 24, 32, 48, 64, 96, 128, 192, 384):
        factor = side / FACE.width
        length = round(512 * factor)
        picture = np.asarray(Image.fromarray(astronaut()).resize((length, length), Image.Resampling.BICUBIC))
        yield Scene("scaled", f"{side} px", picture, [FACE.scaled(factor)])
    for side in (24, 32, 48):
        yield pasted("small in a wide picture", f"{side} px", [(side, 900, 300, 0.0, 1.0)])


def pasted(kind: str, name: str, heads: list[tuple[int, int, int, float, float]]) -> Scene:
    """Heads (face width, x, y of the face's centre, degrees, brightness) on 1280 x 960 pixels of gravel."""
    ground = cv2.resize(skimage.data.gravel(), (1280, 960), interpolation=cv2.INTER_CUBIC)
    picture = cv2.cvtColor(ground, cv2.COLOR_GRAY2RGB)
    middle = (FACE.left + FACE.width / 2, FACE.top + FACE.height / 2)
    mask = np.zeros((512, 512), np.uint8)
    cv2.ellipse(mask, ((230, 118), (160, 230), 0), 255, -1)
    faces = []
    for side, x, y, degrees, brightness in heads:
        scale = side / FACE.width
        matrix = cv2.getRotationMatrix2D(middle, degrees, scale)
        matrix[:, 2] += (x - middle[0], y - middle[1])
        head = cv2.warpAffine(astronaut(), matrix, (1280, 960), flags=cv2.INTER_AREA)
        share = cv2.warpAffine(mask, matrix, (1280, 960), flags=cv2.INTER_AREA)[..., None] / 255
        picture = (picture * (1 - share) + np.clip(head * brightness, 0, 255) * share).astype(np.uint8)
        faces.append(Box(x - side / 2, y - side * 1.13 / 2, side, side * 1.13))
    return Scene(kind, name, picture, faces)


def several() -> Iterator[Scene]:
    """Groups: rows of heads of one size, and a mixed one."""
    for side, columns, rows in ((120, 4, 2), (60, 8, 4), (36, 10, 5)):
        heads = [
            (side, round((column + 0.5) * 1280 / columns), round((row + 0.5) * 960 / rows), 0.0, 1.0)
            for row in range(rows)
            for column in range(columns)
        ]
        yield pasted("several", f"{len(heads)} of {side} px", heads)
    random = np.random.default_rng(0)
    mixed = [
        (
            int(random.integers(32, 110)),
            160 + 240 * column,
            120 + 240 * row,
            float(random.uniform(-15, 15)),
            float(random.uniform(0.4, 1.2)),
        )
        for row in range(4)
        for column in range(5)
    ]
    yield pasted("several", "20, mixed", mixed)


def rotated() -> Iterator[Scene]:
    """The head turned in the plane."""
    middle = (FACE.left + FACE.width / 2, FACE.top + FACE.height / 2)
    for degrees in (-90, -60, -45, -30, -20, -10, 10, 20, 30, 45, 60, 90, 180):
        matrix = cv2.getRotationMatrix2D(middle, degrees, 1)
        matrix[:, 2] += (256 - middle[0], 256 - middle[1])
        yield warped(matrix, (512, 512), "rotated", f"{degrees} degrees")


def changed() -> Iterator[Scene]:
    """Dark, bright, flat, blurred, noisy, compressed."""
    picture = astronaut()
    for factor in (0.5, 0.25, 0.12, 0.06):
        yield Scene("dark", f"x {factor}", (picture * factor).astype(np.uint8), [FACE])
    bright = np.clip(picture * 2.0, 0, 255).astype(np.uint8)
    yield Scene("bright or flat", "x 2", bright, [FACE])
    yield Scene("bright or flat", "contrast x 0.2", (picture * 0.2 + 100).astype(np.uint8), [FACE])
    for sigma in (1, 2, 4, 6):
        yield Scene("blurred", f"{sigma} px", cv2.GaussianBlur(picture, (0, 0), sigma), [FACE])
    random = np.random.default_rng(0)
    for sigma in (10, 25, 50):
        noisy = np.clip(picture + random.normal(0, sigma, picture.shape), 0, 255).astype(np.uint8)
        yield Scene("noisy", f"sigma {sigma}", noisy, [FACE])
    for quality in (50, 20, 5):
        _, coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = np.asarray(cv2.imdecode(coded, 1))[..., ::-1].copy()
        yield Scene("compressed", f"JPEG {quality}", decoded, [FACE])


def at_the_border() -> Iterator[Scene]:
    """A part of the face beyond the border."""
    picture = astronaut()
    for share in (0.25, 0.5):
        x, y = round(FACE.left + share * FACE.width), round(FACE.top + share * FACE.height)
        left = Box(0, FACE.top, FACE.width * (1 - share), FACE.height)
        yield Scene("cut by the border", f"left {share}", picture[:, x:].copy(), [left])
        top = Box(FACE.left, 0, FACE.width, FACE.height * (1 - share))
        yield Scene("cut by the border", f"top {share}", picture[y:].copy(), [top])
        right = Box(FACE.left, FACE.top, FACE.width * (1 - share), FACE.height)
        end = round(right.left + right.width)
        yield Scene("cut by the border", f"right {share}", picture[:, :end].copy(), [right])


def others() -> Iterator[Scene]:
    """Other people; no people."""
    for number, face in enumerate(skimage.data.lfw_subset()[:100]):
        grey = np.clip(face * 255, 0, 255).astype(np.uint8)
        picture = np.full((240, 240), int(grey[:, [0, -1]].mean()), np.uint8)
        picture[70:170, 70:170] = cv2.resize(grey, (100, 100), interpolation=cv2.INTER_CUBIC)
        yield Scene("100 people (LFW)", str(number), np.stack([picture] * 3, -1), [Box(70, 70, 100, 100)])
    for path in sorted(Path(skimage.data.__file__).parent.glob("*.*g")):
        if path.stem in BARE:
            yield Scene("no face", path.stem, np.asarray(Image.open(path).convert("RGB")), [])


def scenes() -> Iterator[Scene]:
    """All of them."""
    for make in (scaled, several, rotated, changed, at_the_border, others):
        yield from make()


def search(detector: Detector, picture: Pixels) -> tuple[list[Found], float]:
    """Boxes in the picture itself, found as tools.predict finds them, and the milliseconds it took."""
    factor = max(1.0, max(picture.shape) / LONGEST)
    started = time.perf_counter()
    found = detector(np.asarray(reduced(Image.fromarray(picture), LONGEST)))
    spent = 1000 * (time.perf_counter() - started)
    return [one._replace(box=one.box.scaled(factor)) for one in found], spent


def is_on(face: Box, box: Box) -> bool:
    """Does this box frame that face?"""
    size, other = max(face.width, face.height), max(box.width, box.height)
    x = face.left + face.width / 2 - box.left - box.width / 2
    y = face.top + face.height / 2 - box.top - box.height / 2
    return max(abs(x), abs(y)) <= size / 3 and size / 2 <= other <= 2 * size


def main() -> None:
    """Print a line a kind, then what each detector missed, then times."""
    names = list(DETECTORS)
    detectors = [make_detector(name) for name in names]
    for detector in detectors:
        search(detector, astronaut())  # the first call is slower
    faces: dict[str, int] = {}
    counts: dict[tuple[str, str], list[int]] = {}
    missed: dict[str, list[str]] = {name: [] for name in names}
    times: dict[tuple[str, str], list[float]] = {}
    for scene in scenes():
        faces[scene.kind] = faces.get(scene.kind, 0) + len(scene.faces)
        for name, detector in zip(names, detectors, strict=True):
            found, spent = search(detector, scene.picture)
            hit = [face for face in scene.faces if any(is_on(face, one.box) for one in found)]
            false = [one for one in found if not any(is_on(face, one.box) for face in scene.faces)]
            total = counts.setdefault((scene.kind, name), [0, 0])
            total[0] += len(hit)
            total[1] += len(false)
            height, width = scene.picture.shape[:2]
            times.setdefault((name, f"{width} x {height}"), []).append(spent)
            if scene.faces and len(hit) < len(scene.faces) and "LFW" not in scene.kind:
                missed[name].append(f"{scene.kind} {scene.name} ({len(hit)} of {len(scene.faces)})")
    print("| pictures | faces | " + " | ".join(f"{name}: found | false" for name in names) + " |")
    print("|---|---|" + "---|---|" * len(names))
    for kind, wanted in faces.items():
        cells = " | ".join(f"{counts[kind, name][0]} | {counts[kind, name][1]}" for name in names)
        print(f"| {kind} | {wanted} | {cells} |")
    for name in names:
        print(f"\n{name} missed: {'; '.join(missed[name])}")
        for size in ("512 x 512", "1280 x 960"):
            print(f"{name}: {median(times[name, size]):.0f} ms for {size}")


if __name__ == "__main__":
    main()
