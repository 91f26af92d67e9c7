"""Copies and look-alikes made by code, method by method: python -m benchmarks.copies

Photographs that scikit-image, scikit-learn and matplotlib ship are cut into tiles, and one drawn face of
every third subject of data/sample.zip is taken. Each gets a copy of each kind, and each kind is searched by
itself, among all the originals. Printed: the share of copies reported with their original, and the number of
other pairs reported; then the pairs reported among hard negatives, where each is wrong. Beside `aligned`
stands phash of imagehash, of the pictures at full size, within 4 and within 10 bits (imagededup's default).
--pictures takes pictures of your own set instead: all, or those that --names lists, as benchmarks/scenes.txt
does of the pages of Debian 12's opencv-doc. Figures: docs/near-duplicates.md.
"""

from __future__ import annotations

import argparse
import io
import math
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import imagehash
import matplotlib
import numpy as np
import pandas as pd
import skimage
import sklearn
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from candid.audit.images import decode_close
from candid.audit.measure import cropped as crop
from candid.audit.measure import encoded
from candid.audit.sources import SUFFIXES
from candid.data.archives import open_files
from candid.data.images import decode
from candid.duplicates.closer import DETAILED, SIDE, Originals
from candid.duplicates.find import find_duplicates
from candid.duplicates.hashing import pack, pairs_within

PACKAGES = {
    **dict.fromkeys(("china.jpg", "flower.jpg"), (sklearn, "datasets/images")),
    "grace_hopper.jpg": (matplotlib, "mpl-data/sample_data"),
}
PHOTOGRAPHS = (
    *("rocket.jpg", "motorcycle_left.png", "flower.jpg", "grace_hopper.jpg", "moon.png", "brick.png"),
    *("ihc.png", "retina.jpg", "hubble_deep_field.jpg", "grass.png"),
)
TILE = (160, 120)
FLAT = 12  # grey levels; a tile of a smaller standard deviation is no picture to recognise
NEGATIVES = 60  # of each kind

Picture = Image.Image
BICUBIC = Image.Resampling.BICUBIC


def photographs(names: tuple[str, ...]) -> list[Picture]:
    """Tiles that do not overlap, and each photograph whole: its things are three times as small."""
    tiles = []
    for name in names:
        package, folder = PACKAGES.get(name, (skimage, "data"))
        whole = Image.open(Path(package.__file__).parent / folder / name).convert("RGB")
        across, down = (min(4, side // tile) for side, tile in zip(whole.size, TILE, strict=True))
        width, height = whole.width / across, whole.height / down
        boxes = [(i * width, j * height, (i + 1) * width, (j + 1) * height)
                 for i in range(across) for j in range(down)]  # fmt: skip
        tiles += [whole.resize(TILE, Image.Resampling.LANCZOS, box) for box in [*boxes, (0, 0, *whole.size)]]
    return [tile for tile in tiles if np.asarray(tile.convert("L")).std() >= FLAT]


def of_set(path: Path, count: int, listed: list[str] | None = None) -> list[Picture]:
    """Pictures of a folder or archive, drawn at random, or those listed; 320 pixels a side at most."""
    chosen: list[Picture] = []
    with open_files(path) as files:
        names = [name for name in listed or files.names if Path(name).suffix.lower() in SUFFIXES]
        for i in np.random.default_rng(0).permutation(len(names)):
            picture = Image.open(io.BytesIO(files.read(names[i]))).convert("RGB")
            picture.thumbnail((320, 320), Image.Resampling.LANCZOS)
            if min(picture.size) >= DETAILED and np.asarray(picture.convert("L")).std() >= FLAT:
                chosen.append(picture)
            if len(chosen) == count:
                break
    return chosen


def drawn_faces(archive: Path) -> list[Picture]:
    """One face of every third subject."""
    with zipfile.ZipFile(archive) as file:
        subjects: dict[str, str] = {}
        for name in sorted(file.namelist()):
            match = re.search(r"/p(\d+)_", name)
            if match and int(match[1]) % 3 == 0:
                subjects.setdefault(match[1], name)
        return [Image.open(io.BytesIO(file.read(name))).convert("RGB") for name in subjects.values()]


def framed(picture: Picture, left: float, top: float, right: float, bottom: float, fill: str) -> Picture:
    """Add shares of the width and height."""
    w, h = picture.size
    size = (round(w * (1 + left + right)), round(h * (1 + top + bottom)))
    out = Image.new("RGB", size, fill)
    out.paste(picture, (round(left * w), round(top * h)))
    return out


def turned(picture: Picture, degrees: float, cut: bool) -> Picture:
    """Turn about the centre: black corners, or none, as the picture is cut."""
    out = picture.rotate(degrees, BICUBIC)
    slope = math.tan(math.radians(degrees))
    aside, up = (slope * picture.height / picture.width, slope * picture.width / picture.height)
    return crop(out, aside / 2, up / 2, aside / 2, up / 2) if cut else out


def written(picture: Picture, lines: dict[float, str], height: float, colour: tuple[int, ...]) -> Picture:
    """Write lines, centred at shares of the height, with a dark outline where opaque."""
    layer = Image.new("RGBA", picture.size)
    draw, size = ImageDraw.Draw(layer), height * picture.height
    for y, text in lines.items():
        edge = (0, 0, 0, 255) if colour[3] == 255 else None
        draw.text(
            (picture.width / 2, y * picture.height), text, colour, ImageFont.load_default(size), "mm",
            stroke_width=round(size / 12), stroke_fill=edge,
        )  # fmt: skip
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def logo(picture: Picture) -> Picture:
    """Stick a sign on a corner."""
    w, h = picture.size
    out = picture.copy()
    draw = ImageDraw.Draw(out)
    draw.rectangle((0.7 * w, 0.72 * h, 0.97 * w, 0.95 * h), "white", "black")
    draw.ellipse((0.74 * w, 0.75 * h, 0.86 * w, 0.92 * h), "red")
    draw.rectangle((0.88 * w, 0.8 * h, 0.94 * w, 0.88 * h), "navy")
    return out


def captioned(picture: Picture) -> Picture:
    """Add a strip with text below."""
    out = framed(picture, 0, 0, 0, 0.22, "white")
    return written(out, {0.91: "the news of today"}, 0.08, (0, 0, 0, 255))


def reencoded(picture: Picture, quality: int) -> Picture:
    """Save as JPEG and read."""
    return Image.open(io.BytesIO(encoded(picture, quality))).convert("RGB")


def toned(picture: Picture, gamma: float, contrast: float, brightness: int) -> Picture:
    """Change light by a curve."""
    levels = np.clip(255 * (np.arange(256) / 255) ** gamma * contrast + brightness, 0, 255)
    return picture.point([int(level) for level in levels] * 3)


WHITE = (255, 255, 255, 255)
COPIES: dict[str, Callable[[Picture], Picture]] = {
    "re-encoded": partial(reencoded, quality=15),
    "reduced to 32 pixels": lambda p: p.resize((32, 32), BICUBIC),
    "gamma 0.6": partial(toned, gamma=0.6, contrast=1, brightness=0),
    "contrast 0.6, brighter": partial(toned, gamma=1, contrast=0.6, brightness=70),
    "blurred": lambda p: p.filter(ImageFilter.GaussianBlur(p.width / 100)),
    "sharpened": lambda p: ImageEnhance.Sharpness(p).enhance(4),
    "cropped 5 %": lambda p: crop(p, 0.02, 0.04, 0.03, 0.01),
    "cropped 10 %": lambda p: crop(p, 0.04, 0.06, 0.06, 0.04),
    "cropped 20 %": lambda p: crop(p, 0.12, 0.08, 0.08, 0.12),
    "cropped 30 %": lambda p: crop(p, 0.12, 0.18, 0.18, 0.12),
    "bottom cut by 10 %": lambda p: crop(p, 0, 0, 0, 0.1),
    "sides cut by 25 %": lambda p: crop(p, 0.125, 0, 0.125, 0),
    "sides cut by 25 %, unevenly": lambda p: crop(p, 0.05, 0, 0.2, 0),
    "stretched: sides cut by 15, bottom by 5 %": lambda p: crop(p, 0.1, 0, 0.05, 0.05),
    "watermark": lambda p: written(p, {0.5: "SAMPLE IMAGE"}, 0.16, (255, 255, 255, 120)),
    "logo": logo,
    "text": lambda p: written(p, {0.12: "WHEN YOU SEE", 0.88: "WHAT IT IS"}, 0.14, WHITE),
    "turned 2 degrees, black corners": partial(turned, degrees=2, cut=False),
    "turned 5 degrees, black corners": partial(turned, degrees=5, cut=False),
    "turned 2 degrees, cropped": partial(turned, degrees=2, cut=True),
    "turned 5 degrees, cropped": partial(turned, degrees=5, cut=True),
    "caption strip": captioned,
    "letterbox": lambda p: framed(p, 0, 0.17, 0, 0.17, "black"),
    "border 5 %": lambda p: framed(p, 0.05, 0.05, 0.05, 0.05, "white"),
    "border 15 %": lambda p: framed(p, 0.15, 0.15, 0.15, 0.15, "black"),
}


def phone(picture: Picture, share: float) -> Picture:
    """Show a picture on a phone's screen, `share` of its height."""
    w, h = 180, 320
    out = Image.new("RGB", (w, h), "white")
    draw = ImageDraw.Draw(out)
    draw.rectangle((0, 0, w, 16), "black")
    draw.text((8, 3), "9:41   news.example", "white", ImageFont.load_default(9))
    top = round(h * (0.5 - share / 2))
    out.paste(picture.resize((w, round(h * share))), (0, top))
    draw.ellipse((8, top - 26, 28, top - 6), "grey")
    draw.text((36, top - 22), "a page you follow", "black", ImageFont.load_default(10))
    for k in range(4):
        draw.rectangle((12 + 44 * k, h - 26, 34 + 44 * k, h - 8), ("navy", "red", "green", "grey")[k])
    return out


def text_page(random: np.random.Generator) -> Picture:
    """Write a page of words that mean nothing."""
    out = Image.new("RGB", (240, 240), "white")
    draw, size = ImageDraw.Draw(out), int(random.integers(9, 14))
    letters = list("etaoinshrdlucmfw")
    y = 10
    while y < 222:
        words = ["".join(random.choice(letters, random.integers(2, 9))) for _ in range(9)]
        line = " ".join(words)[: 0 if random.random() < 0.12 else 42]
        draw.text((14, y), line, "black", ImageFont.load_default(size))
        y += size + 4
    return out


def plot(random: np.random.Generator) -> Picture:
    """Draw a chart on the same axes: curves or bars."""
    out = Image.new("RGB", (320, 240), "white")
    draw = ImageDraw.Draw(out)
    draw.rectangle((40, 20, 300, 210), None, "black")
    for k in range(1, 5):
        draw.line((40, 20 + 38 * k, 300, 20 + 38 * k), "lightgrey")
        draw.text((12, 14 + 38 * k), f"{100 - 20 * k}", "black", ImageFont.load_default(10))
    for colour in ("navy", "darkred")[: random.integers(1, 3)]:
        heights = np.clip(115 + random.normal(0, 25, 14).cumsum(), 24, 206)
        if random.random() < 0.5:
            draw.line([(44 + 19 * k, y) for k, y in enumerate(heights)], colour, 3)
        else:
            for k, y in enumerate(heights):
                draw.rectangle((44 + 18 * k, y, 55 + 18 * k, 210), colour)
    return out


def gradient(random: np.random.Generator) -> Picture:
    """Fade from one colour into another, in any direction, straight or round."""
    y, x = np.mgrid[0:120, 0:160] / 120 - random.uniform(0.2, 0.8, 2)[:, None, None]
    angle = random.uniform(0, 2 * np.pi)
    along = np.hypot(x, y) if random.random() < 0.3 else x * np.cos(angle) + y * np.sin(angle)
    along = (along - along.min()) / np.ptp(along)
    first, last = random.integers(0, 256, (2, 3))
    return Image.fromarray((first + along[..., None] * (last - first)).astype(np.uint8))


def negatives(pictures: list[Picture]) -> dict[str, list[Picture]]:
    """Sets without any two copies."""
    random = np.random.default_rng(0)
    chosen = [pictures[i] for i in random.permutation(len(pictures))[:NEGATIVES]]
    return {
        "text pages": [text_page(random) for _ in range(NEGATIVES)],
        "plots": [plot(random) for _ in range(NEGATIVES)],
        "gradients": [gradient(random) for _ in range(NEGATIVES)],
        "in a phone frame, half of it": [phone(picture, 0.5) for picture in chosen],
        "in a phone frame, two thirds": [phone(picture, 0.66) for picture in chosen],
        "under the same two lines of text": [COPIES["text"](picture) for picture in chosen],
        "captioned": [captioned(picture) for picture in chosen],
        "in a border of 15 %": [COPIES["border 15 %"](picture) for picture in chosen],
    }


class Compared:
    """Pictures as each method sees them: grey in two sizes as the audit reads them, phash at full size."""

    def __init__(self, pictures: list[Picture]) -> None:
        self.grey = np.empty((len(pictures), 48, 48), np.uint8)
        self.close = np.empty((len(pictures), SIDE, SIDE), np.uint8)
        self.detailed = np.array([min(picture.size) >= DETAILED for picture in pictures])
        flags = np.empty((len(pictures), 64), np.bool_)
        for i, picture in enumerate(pictures):
            data = io.BytesIO()
            picture.save(data, "png")
            self.grey[i] = decode(data.getvalue(), 48, "grey")
            self.close[i] = decode_close(data.getvalue())
            flags[i] = imagehash.phash(picture).hash.ravel()
        self.hashes = pack(flags)

    def pairs(self, other: Compared | None = None) -> dict[str, NDArray[np.int64]]:
        """Pairs that each method reports, P x 2, among these, or these and others behind them."""
        sets = [self, other] if other else [self]
        grey, close, hashes, detailed = (
            np.concatenate([getattr(each, name) for each in sets])
            for name in ("grey", "close", "hashes", "detailed")
        )
        originals = Originals(detailed, close.__getitem__)
        aligned = find_duplicates(grey, originals=originals).pairs
        pairs = {"aligned": aligned[["a", "b"]].to_numpy(np.int64)}
        for bits in (4, 10):
            near = pairs_within(hashes, bits)
            pairs[f"phash {bits}"] = np.stack([near.a, near.b], axis=1)
        return pairs


def measure(pictures: list[Picture]) -> pd.DataFrame:
    """Recall and other pairs, kind by kind."""
    originals, rows = Compared(pictures), {}
    known = {name: set(map(tuple, pairs.tolist())) for name, pairs in originals.pairs().items()}
    rows["none (originals alone)"] = {f"{name}: others": len(pairs) for name, pairs in known.items()}
    for kind, change in COPIES.items():
        copies = Compared([reencoded(change(picture), 90) for picture in pictures])
        rows[kind] = {}
        for name, pairs in originals.pairs(copies).items():
            a, b = pairs.T
            true = b - a == len(pictures)
            rows[kind][name] = round(true.sum() / len(pictures), 3)
            ends = np.sort(pairs[~true] % len(pictures), axis=1).tolist()  # not once more per copy
            rows[kind][f"{name}: others"] = len({*map(tuple, ends)} - known[name])
    return pd.DataFrame(rows).T


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=Path, help="a folder or archive of pictures")
    parser.add_argument("--count", type=int, default=150, help="so many of them (default: %(default)s)")
    parser.add_argument("--names", type=Path, help="a file that lists which, a name a line")
    options = parser.parse_args()
    listed = options.names and options.names.read_text(encoding="utf-8").splitlines()
    sets = {"pictures": of_set(options.pictures, options.count, listed)} if options.pictures else {
        "photographs": photographs(PHOTOGRAPHS),
        "drawn faces": drawn_faces(Path(__file__).parents[1] / "data/sample.zip"),
    }  # fmt: skip
    for title, pictures in sets.items():
        print(f"\n{len(pictures)} {title}\n{measure(pictures).to_string(na_rep='')}", flush=True)
    tiles = next(iter(sets.values()))
    wrong = {kind: Compared(made).pairs() for kind, made in negatives(tiles).items()}
    table = pd.DataFrame({kind: {n: len(p) for n, p in pairs.items()} for kind, pairs in wrong.items()}).T
    print(f"\nhard negatives, {NEGATIVES} pictures of each kind: pairs reported\n{table.to_string()}")


if __name__ == "__main__":
    main()
