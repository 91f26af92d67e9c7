"""Fingerprints of known sets: a set is known by its pixels, not by its counts.

A fingerprint holds names, labels, parts and figures of some 1,000 faces of a genuine archive, and no picture.
candid.data.copies compares a copy with it. Made by

    python -m candid.data.fingerprints ARCHIVE --dataset fer2013 --out candid/data/fingerprints/fer2013.csv
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.data import figures
from candid.data.archives import open_files
from candid.data.catalogue import read_catalogue
from candid.data.figures import FIGURES, MIRROR_BITS, QUANTILES, SIDE, Faces, Figures, distance_bits
from candid.data.images import decode, opened
from candid.data.ingest import READERS, assemble
from candid.data.readers import Wanted
from candid.errors import run
from candid.files import write_text

FOLDER = Path(__file__).with_suffix("")  # holds <dataset>.csv of each known set
PROBES = 960  # with MIN_PROBES the file of FER2013 stays below 100 KB
MAX_PROBES = 1000  # of a set of no more faces all are probes
MIN_PROBES = 8  # of each class in each part, where there are as many
SAME_BITS = 10
"""Two hashes of a face, altered in tone or not, differ by at most this many bits as a rule (re-encoded: by up
to 4), and no other face of the set comes as near to a probe."""
MIN_SPREAD = 8  # grey levels, 5 % to 95 % quantile of a probe: the hash of a flatter face is noise
PRECISION: dict[str, Callable[[Any], str]] = {
    **{"hash": "{:016x}".format, "mean": "{:.1f}".format, **dict.fromkeys(QUANTILES, "{:.0f}".format)},
    **dict.fromkeys(("low", "high"), lambda share: f"{share:.3f}".removeprefix("0")),
    **dict.fromkeys(("fine", "coarse"), lambda energy: f"{float(f'{energy:.3g}'):g}"),
}
"""How the figures are written."""


@dataclass(frozen=True)
class ImageSet:
    """N labelled faces as they were read."""

    names: Sequence[str]  # files, whose folders and suffix don't count; "" for a row of a table
    labels: Sequence[str]
    parts: Sequence[str] | None  # official parts, "" for none; None: not known, and not compared
    images: NDArray[np.uint8]  # N x H x W, or N x H x W x 3, as ingest decoded them
    read: Callable[[int], bytes] | None = None
    """File of face i. None: its pixels are those in `images`, and its size is not compared."""


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a genuine set: figures of its probes, in the order of their names."""

    dataset: str
    faces: int  # faces in the set, of which the probes are a few
    names: list[str]
    labels: list[str]
    parts: list[str]
    sizes: NDArray[np.int64]  # width and height of the published files, in pixels; 0: not known
    figures: Figures


def stem(name: str) -> str:
    """A file's name without folders and suffix: one face is published as .jpg here and as .png there."""
    base = name.rpartition("/")[2]
    return base.rpartition(".")[0] or base


def make_fingerprint(dataset: str, images: ImageSet, reduced_to: int | None = None) -> Fingerprint:
    """Make the fingerprint of a genuine set.

    The probes are chosen by a hash of their names, as many of each class in each part as its share of the
    set (at least MIN_PROBES). Left out are names that occur twice, flat faces, and, in a set of over
    MAX_PROBES faces, those of which another face is a near-duplicate or its mirror image: that would pass
    for a renamed file. Where the archive holds a copy whose longest side was `reduced_to` so many pixels,
    the published size of files of that side is not known.
    """
    chosen = _choose(images)
    faces, sizes = load_faces(images, chosen)
    if reduced_to is not None:
        sizes[sizes.max(axis=1) >= reduced_to] = 0
    names, labels = [stem(images.names[i]) for i in chosen], [images.labels[i] for i in chosen]
    parts = [images.parts[i] if images.parts is not None else "" for i in chosen]
    measured = figures.measure(faces)
    exact = Fingerprint(dataset, len(images.names), names, labels, parts, sizes, measured)
    return from_text(to_text(exact))  # as precise as the file


def load_faces(images: ImageSet, chosen: Sequence[int]) -> tuple[Faces, NDArray[np.int64]]:
    """Some faces as grey of SIDE x SIDE, and width and height of their files (0: not known).

    Files are decoded only where ingest decoded them to another size or to colour.
    """
    faces, sizes = figures.shrink(images.images[list(chosen)]), np.zeros((len(chosen), 2), np.int64)
    if images.read is not None:
        for row, i in enumerate(chosen):
            data = images.read(i)
            with opened(data) as picture:
                sizes[row] = picture.size
            if images.images.shape[1:] != (SIDE, SIDE):
                faces[row] = decode(data, SIDE, "grey")
    return faces, sizes


def to_text(fingerprint: Fingerprint) -> str:
    """Write a fingerprint as text: a line of JSON behind a #, and a CSV table."""
    sizes = ["x".join(map(str, size)) for size in fingerprint.sizes.tolist()]
    usual = Counter(sizes).most_common(1)[0][0] if sizes else ""
    head = {"format": 1, "dataset": fingerprint.dataset, "faces": fingerprint.faces, "size": usual}
    columns = {
        **{"name": fingerprint.names, "label": fingerprint.labels, "part": fingerprint.parts},
        "size": ["" if size == usual else size for size in sizes],
        **{name: [*map(PRECISION[name], fingerprint.figures[name])] for name in FIGURES.names or ()},
    }
    return f"# {json.dumps(head)}\n" + pd.DataFrame(columns).to_csv(index=False, lineterminator="\n")


def from_text(text: str) -> Fingerprint:
    """Read what to_text wrote."""
    first, _, rest = text.partition("\n")
    head = json.loads(first.removeprefix("# "))
    table = pd.read_csv(io.StringIO(rest), dtype=str, keep_default_na=False)
    measured = np.empty(len(table), FIGURES)
    for name in FIGURES.names or ():
        measured[name] = [int(cell, 16) if name == "hash" else float(cell) for cell in table[name]]
    sizes = [[int(side) for side in (size or head["size"]).split("x")] for size in table["size"]]
    names, labels, parts = (table[column].tolist() for column in ("name", "label", "part"))
    shape = np.array(sizes, np.int64).reshape(-1, 2)
    return Fingerprint(str(head["dataset"]), int(head["faces"]), names, labels, parts, shape, measured)


def read_known() -> dict[str, Fingerprint]:
    """Read the fingerprints of all known sets: dataset -> fingerprint."""
    return {path.stem: from_text(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.csv"))}


@contextmanager
def read_archive(dataset: str, path: Path) -> Iterator[ImageSet]:
    """Read all faces of a set in the catalogue from its archive."""
    entry = read_catalogue()[dataset]
    items = READERS[entry.reader](dataset, entry, [path], Wanted())
    ingested = assemble(((dataset, item) for item in items), SIDE, "grey")
    names, labels, parts = (ingested.faces[column].tolist() for column in ("source", "label", "part"))
    with open_files(path) as files:
        yield ImageSet(names, labels, parts, ingested.images, lambda i: files.read(names[i]))


def _choose(images: ImageSet) -> list[int]:
    """The faces that become probes, in the order of their names."""
    names = [stem(name) for name in images.names]
    uses = Counter(names)
    hashes = figures.hash_images(images.images)
    cells: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i in sorted(range(len(names)), key=lambda i: hashlib.blake2b(names[i].encode()).digest()):
        if uses[names[i]] == 1 and names[i]:
            cells[images.labels[i], images.parts[i] if images.parts is not None else ""].append(i)
    share = 1.0 if len(names) <= MAX_PROBES else PROBES / len(names)

    def is_probe(i: int) -> bool:
        low, high = np.quantile(images.images[i], (0.05, 0.95))
        bits = np.minimum(distance_bits(hashes, hashes[i]), distance_bits(hashes, hashes[i] ^ MIRROR_BITS))
        return bool(high - low >= MIN_SPREAD and (share == 1 or (bits <= SAME_BITS).sum() == 1))

    chosen: list[int] = []
    for members in cells.values():
        quota = max(MIN_PROBES, round(share * len(members)))
        chosen += [i for i in members[: 4 * quota] if is_probe(i)][:quota]
    return sorted(chosen, key=lambda i: names[i])


def main() -> None:
    """Make the fingerprint of a genuine archive."""
    parser = argparse.ArgumentParser("candid.data.fingerprints", description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, help="a genuine archive, as published")
    parser.add_argument("--dataset", required=True, choices=read_catalogue(), help="in the catalogue")
    parser.add_argument("--reduced-to", type=int, help="longest side in pixels of a reduced copy")
    parser.add_argument("--out", type=Path, required=True)
    settings = parser.parse_args()
    with read_archive(settings.dataset, settings.archive) as images:
        fingerprint = make_fingerprint(settings.dataset, images, settings.reduced_to)
    write_text(settings.out, to_text(fingerprint))
    print(f"{settings.out}: {len(fingerprint.names):,} probes of {fingerprint.faces:,} faces")


if __name__ == "__main__":
    run("fingerprints", main, hint="")
