"""How well the search did on this very set: recall on copies made of its own pictures, precision by eye."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps
from scipy.stats import binomtest
from tqdm import tqdm

from candid.audit.findings import NO_GROUP, Findings, Verdicts
from candid.audit.images import ImageSet, decode, decode_close
from candid.audit.sources import OLD
from candid.data.archives import Files, UnreadableError
from candid.data.images import PixelBudget, open_picture
from candid.duplicates.closer import SIDE, Originals
from candid.duplicates.find import find_duplicates
from candid.duplicates.settings import DedupSettings
from candid.errors import CandidError
from candid.files import read_csv
from candid.text import csv_cell

AMONG = 5000  # pictures of the set, at most, that copies are searched in: else a second search of the set
LONGEST = 512  # pixels a side of the copies
DRAWN = 40  # pairs that a person is to judge
VERDICTS = {"yes": True, "no": False, "": None}


class Share(NamedTuple):
    """A share of some cases, with the bounds of its 95 % interval (Wilson 1927)."""

    hits: int
    cases: int
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, cases: int) -> Share:
        """Count `hits` of `cases`, one or more."""
        bounds = binomtest(hits, cases).proportion_ci(method="wilson")
        return cls(hits, cases, float(bounds.low), float(bounds.high))


def encoded(image: Image.Image, quality: int = 92) -> bytes:
    """Save as JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def cropped(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Cut shares of the width and height off."""
    width, height = image.size
    return image.crop((round(left * width), round(top * height), width - round(right * width),
                       height - round(bottom * height)))  # fmt: skip


def _lettered(image: Image.Image) -> Image.Image:
    copy, size = image.copy(), image.height / 8
    draw = ImageDraw.Draw(copy)
    where = (image.width / 2, image.height * 0.8)
    font, edge = ImageFont.load_default(size), max(1, round(size / 10))
    draw.text(where, "COPYRIGHT", "white", font, "mm", stroke_width=edge, stroke_fill="black")
    return copy


KINDS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "re-encoded (JPEG 30)": lambda image: Image.open(io.BytesIO(encoded(image, 30))),
    "half the size": lambda image: image.resize((max(image.width // 2, 1), max(image.height // 2, 1))),
    "toned (contrast 0.7, brightness 1.2)": lambda image: ImageEnhance.Brightness(
        ImageEnhance.Contrast(image).enhance(0.7)
    ).enhance(1.2),
    "cropped (8 % of each side)": lambda image: cropped(image, 0.08, 0.08, 0.08, 0.08),
    "cut (15 % of the bottom)": lambda image: cropped(image, 0, 0, 0, 0.15),
    "turned (4 degrees, black corners)": lambda image: image.rotate(4, Image.Resampling.BICUBIC),
    "lettered": _lettered,
    "framed (white, 6 %)": lambda image: ImageOps.expand(image, round(0.06 * min(image.size)) or 1, "white"),
}
"""What copies are made: name -> how."""


def planted_recall(
    files: Files, findings: Findings, read: ImageSet, settings: DedupSettings, count: int
) -> dict[str, Share]:
    """Make copies of up to `count` pictures in memory: how many of them the search finds, for each of KINDS.

    A copy counts where it is paired with the picture that it was made of, or with another of its group. It
    passes through a file (JPEG) and the decoder, as the set's own did. {} where none has contrast enough.
    """
    images, rng = findings.images, np.random.default_rng(0)
    usable = images.index[~images["flat"] & images["first"] & (images["side"] != OLD)].to_numpy()
    chosen = np.sort(rng.choice(usable, min(count, len(usable)), replace=False))
    if not len(chosen):
        return {}
    others = rng.permutation(np.setdiff1d(np.arange(len(images)), chosen))[: max(AMONG - len(chosen), 0)]
    rows = {images["file"][row]: row for row in chosen}
    kinds = KINDS | ({"mirrored": ImageOps.mirror} if settings.mirror else {})
    planted: list[bytes] = []
    made: list[tuple[str, int]] = []
    progress: dict[str, Any] = {"unit": " images", "disable": None, "leave": False}
    for name, data in tqdm(files.read_all(rows), "copies", len(rows), **progress):
        try:
            image = open_picture(b"" if isinstance(data, UnreadableError) else data).convert("RGB")
        except UnreadableError:  # changed since it was read
            continue
        image.thumbnail((LONGEST, LONGEST))
        for kind, change in kinds.items():
            planted.append(encoded(change(image)))
            made.append((kind, int(rows[name])))
    if not planted:
        return {}
    base = np.concatenate([chosen, others])
    detailed = read.originals.detailed[np.concatenate([base, [row for _, row in made]])]

    def again(some: Any) -> Any:
        own = some < len(base)
        close = np.empty((len(some), SIDE, SIDE), np.uint8)
        close[own] = read.originals.read(base[some[own]])
        for number in np.flatnonzero(~own):
            close[number] = decode_close(planted[some[number] - len(base)])
        return close

    duplicates = find_duplicates(
        np.concatenate([read.pixels[base], [decode(data, PixelBudget(len(data))).grey for data in planted]]),
        settings.method, settings.mirror, originals=Originals(detailed, again),
        fresh=np.arange(len(base) + len(planted)) >= len(base),
    )  # fmt: skip
    groups = np.where(images["group"] == NO_GROUP, images.index, images["group"])
    pairs = duplicates.pairs[(duplicates.pairs["a"] < len(base)) & (duplicates.pairs["b"] >= len(base))]
    copies = pairs["b"].to_numpy() - len(base)
    same = groups[base[pairs["a"].to_numpy()]] == groups[[made[copy][1] for copy in copies]]
    hits = Counter(made[copy][0] for copy in np.unique(copies[same]))
    return {kind: Share.of(hits[kind], len(made) // len(kinds)) for kind in kinds}


def read_verdicts(path: Path | None) -> dict[frozenset[str], bool]:
    """Read what a person said of pairs: file_a, file_b, duplicate (yes, no, or empty: not judged yet)."""
    if path is None:
        return {}
    if not path.is_file():
        raise CandidError(f"{path}: no such file; expected a table file_a,file_b,duplicate, as judged.csv")
    verdicts: dict[frozenset[str], bool] = {}
    table = read_csv(path, ["file_a", "file_b", "duplicate"])
    for number, (a, b, word) in enumerate(table[["file_a", "file_b", "duplicate"]].to_numpy(), start=2):
        if word.strip().lower() not in VERDICTS:
            raise CandidError(f"{path}: line {number}: duplicate = {word!r}; expected yes, no or nothing")
        same = VERDICTS[word.strip().lower()]
        if same is not None and verdicts.setdefault(frozenset((a, b)), same) != same:
            fault = f"{a!r} and {b!r} are judged yes and no; expected one verdict"
            raise CandidError(f"{path}: line {number}: {fault}")
    return verdicts


def drawn_pairs(findings: Findings, verdicts: Verdicts) -> pd.DataFrame:
    """Draw DRAWN of the accepted pairs, no exact copies: a, b, similarity, kind, file_a, file_b, duplicate.

    The draw depends on the names alone, so that a second audit of the set asks for the same pairs again;
    `duplicate` is what a person said: yes, no or "".
    """
    images, pairs = findings.images, findings.searched
    first = images["first"].to_numpy()
    pairs = pairs[(pairs["kind"] != "exact") & first[pairs["a"]] & first[pairs["b"]]]
    files = [images["file"].map(csv_cell).to_numpy()[pairs[end]] for end in ("a", "b")]
    pairs = pairs.assign(file_a=files[0], file_b=files[1])
    keys = ["\n".join(sorted(names)).encode() for names in zip(*files, strict=True)]
    lots = [hashlib.blake2b(key, digest_size=8).digest() for key in keys]
    drawn = pairs.iloc[sorted(range(len(lots)), key=lots.__getitem__)[:DRAWN]]
    words = {True: "yes", False: "no", None: ""}
    ends = zip(drawn["file_a"], drawn["file_b"], strict=True)
    return drawn.assign(duplicate=[words[verdicts.get(frozenset(pair))] for pair in ends])


def precision(drawn: pd.DataFrame) -> Share | None:
    """The share of the judged pairs that show the same photograph; None where none is judged."""
    judged = drawn["duplicate"] != ""
    return Share.of(int((drawn["duplicate"] == "yes").sum()), int(judged.sum())) if judged.any() else None


def judged_table(drawn: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    """The table to fill in and keep: the drawn pairs, then other verdicts that were given."""
    listed = {frozenset(pair) for pair in zip(drawn["file_a"], drawn["file_b"], strict=True)}
    rest = sorted(
        (*sorted(names), "yes" if same else "no") for names, same in verdicts.items() if names not in listed
    )
    columns = ["file_a", "file_b", "duplicate"]
    return pd.concat([drawn[columns], pd.DataFrame([row for row in rest if len(row) == 3], columns=columns)])
