"""Altered copies of drawn sets are named as what they are, harmless ones are not reported."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from candid.data import copies
from candid.data.copies import compare, recognise
from candid.data.figures import SIDE
from candid.data.fingerprints import (
    FOLDER,
    Fingerprint,
    ImageSet,
    from_text,
    make_fingerprint,
    read_archive,
    read_known,
    to_text,
)
from candid.data.images import decode
from tests.data.made import encoded

FACES = 150
LABELS = ("angry", "happy", "neutral")
PARTS = ("train", "train", "test", "train", "validation")


def draw(seed: int, side: int = SIDE) -> Image.Image:
    """A picture with structure at all scales, as a face has: noise whose power falls with frequency."""
    rng = np.random.default_rng(seed)
    frequencies = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)) * side
    spectrum = np.fft.fft2(rng.normal(size=(side, side))) / np.maximum(frequencies, 1) ** 1.2
    pixels = np.fft.ifft2(spectrum).real
    pixels = (pixels - pixels.mean()) / pixels.std() * rng.uniform(28, 45) + rng.uniform(105, 150)
    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))


def image_set(files: list[bytes], size: int = SIDE, color="grey") -> ImageSet:
    """The files as ingest reads them."""
    return ImageSet(
        [f"set/{LABELS[i % 3]}/face_{i:04}.png" for i in range(len(files))],
        [LABELS[i % 3] for i in range(len(files))],
        [PARTS[i % 5] for i in range(len(files))],
        np.stack([decode(data, size, color) for data in files]),
        files.__getitem__,
    )


def drawn(seeds) -> ImageSet:
    return image_set([encoded(draw(seed)) for seed in seeds])


def altered(genuine: Any, change: Any, share: float = 1.0) -> ImageSet:
    """The set with a share of its pictures changed."""
    chosen = np.random.default_rng(2).random(FACES) < share
    pictures = (Image.open(io.BytesIO(genuine.read(i))) for i in range(FACES))
    files = [encoded(change(picture) if chosen[i] else picture) for i, picture in enumerate(pictures)]
    return replace(image_set(files), names=genuine.names)


def some(images: Any, rows: list[int]) -> ImageSet:
    """Some of the faces, in that order."""
    names, labels, parts = (
        [column[i] for i in rows] for column in (images.names, images.labels, images.parts)
    )
    return ImageSet(names, labels, parts, images.images[rows], lambda i: images.read(rows[i]))


def levels(change: Any) -> Any:
    """Map grey levels, rounded and limited to 0 to 255."""
    table = np.clip(np.round(change(np.arange(256.0))), 0, 255).astype(int).tolist()
    return lambda picture: picture.point(table)


def there_and_back(factor: int, filter_: Image.Resampling) -> Any:
    return lambda picture: picture.resize((SIDE * factor,) * 2, filter_).resize((SIDE, SIDE), filter_)


def saved(mode: str, kind: str, **options: Any) -> Any:
    return lambda picture: Image.open(io.BytesIO(encoded(picture.convert(mode), kind, **options)))


ALTERATIONS: dict[str, tuple[Any, set[str], set[str]]] = {
    "x 1.2, clipped, equalised": (
        lambda picture: ImageOps.equalize(levels(lambda v: v * 1.2)(picture)), {"equalised"}, {"clipped"}
    ),
    "equalised": (ImageOps.equalize, {"equalised"}, set()),
    "brightened by a factor": (levels(lambda v: v * 1.3), {"brightened"}, {"clipped"}),
    "brightened by a power": (levels(lambda v: 255 * (v / 255) ** 0.7), {"brightened"}, {"clipped"}),
    "darkened": (levels(lambda v: v * 0.7), {"darkened"}, {"contrast lowered"}),
    "clipped": (levels(lambda v: np.clip(v, 60, 180)), {"clipped"}, {"brightened", "darkened"}),
    "blurred": (lambda picture: picture.filter(ImageFilter.GaussianBlur(1.5)), {"blurred"}, set()),
    "cut": (lambda picture: picture.crop((8, 4, 40, 38)), {"cut"}, set()),
    "lower half, enlarged": (
        lambda picture: picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (0, 24, 48, 48)),
        {"cut"},
        set(),
    ),
    "mirrored": (ImageOps.mirror, {"mirrored"}, set()),
    "turned": (lambda picture: picture.rotate(90), {"turned"}, set()),
    "enlarged": (lambda picture: picture.resize((120, 120), Image.Resampling.BILINEAR), {"enlarged"}, set()),
    "reduced": (lambda picture: picture.resize((24, 24)), {"reduced"}, {"blurred"}),
}  # fmt: skip
"""How pictures are changed, what has to be named, and what else may be."""
HARMLESS = {
    "JPEG 75": saved("L", "JPEG", quality=75),
    "colour JPEG 75": saved("RGB", "JPEG", quality=75),
    "colour PNG": saved("RGB", "PNG"),
    "x 2 nearest and back": there_and_back(2, Image.Resampling.NEAREST),
    "x 4 bicubic and back": there_and_back(4, Image.Resampling.BICUBIC),
}


@pytest.fixture(scope="module")
def genuine() -> ImageSet:
    return drawn(range(FACES))


@pytest.fixture(scope="module")
def fingerprint(genuine) -> Fingerprint:
    return make_fingerprint("drawn", genuine)


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_alteration_is_named(name, share, genuine, fingerprint):
    change, must, may = ALTERATIONS[name]
    finding = compare(fingerprint, altered(genuine, change, share))
    assert must <= finding.changes.keys() <= must | may, finding.line
    for kind in must:
        assert 0.4 * share * FACES <= finding.changes[kind] <= 1.2 * share * FACES


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_difference_is_not_reported(name, genuine, fingerprint):
    finding = compare(fingerprint, altered(genuine, HARMLESS[name]))
    assert finding.line == f"drawn: as published ({FACES} of {FACES} probes compared)"


def test_labels_parts_and_names(fingerprint, genuine):
    labels = [LABELS[(i + 1) % 3] if i < 12 else label for i, label in enumerate(genuine.labels)]
    parts = ["train" if i < 10 else part for i, part in enumerate(genuine.parts)]
    names = [f"{i}.jpg" if i >= FACES - 30 else name for i, name in enumerate(genuine.names)]
    finding = compare(fingerprint, replace(genuine, labels=labels, parts=parts, names=names))
    assert finding.changes == {"labels changed": 12, "parts moved": 4, "files renamed": 30}
    assert finding.line == (
        f"drawn: not as published: labels changed 12, parts moved 4, files renamed 30 of {FACES} probes"
    )


def test_pictures_under_the_names_of_others(fingerprint, genuine):
    names = [*genuine.names[1:], genuine.names[0]]
    finding = compare(fingerprint, replace(genuine, names=names, parts=None))
    assert finding.changes == {"files renamed": FACES}


def test_other_pictures_under_the_names_of_the_set(fingerprint):
    finding = compare(fingerprint, drawn(range(1000, 1000 + FACES)))
    assert finding.changes == {"replaced by other pictures": FACES}


def test_classes_and_parts_that_are_not_in_use_are_not_missing(fingerprint, genuine):
    used = {"classes": ["angry", "happy"], "parts": ["train", "test"]}
    cells = zip(genuine.labels, genuine.parts, strict=True)
    rows = [i for i, (label, part) in enumerate(cells) if label in used["classes"] and part in used["parts"]]
    finding = compare(fingerprint, some(genuine, rows), **used)
    assert finding.as_published
    assert finding.probes == finding.compared == len(rows)
    assert compare(fingerprint, some(genuine, rows)).changes == {"files missing": FACES - len(rows)}


@pytest.mark.parametrize(("size", "color"), [(32, "grey"), (64, "rgb"), (100, "grey")])
def test_the_size_and_colour_of_ingest_do_not_matter(size, color, fingerprint):
    files = [encoded(draw(seed), "JPEG", quality=90) for seed in range(FACES)]
    assert compare(fingerprint, image_set(files, size, color)).as_published
    renamed = replace(image_set(files, size, color), names=[str(i) for i in range(FACES)])
    assert compare(fingerprint, renamed).changes == {"files renamed": FACES}


def test_a_table_of_pixels_has_no_names_to_miss(fingerprint, genuine):
    table = replace(genuine, names=[""] * FACES, read=None)
    assert compare(fingerprint, table).as_published
    labels = ["happy" if i < 6 else label for i, label in enumerate(genuine.labels)]
    assert compare(fingerprint, replace(table, labels=labels)).changes == {"labels changed": 4}


def test_a_known_set_is_recognised_by_names_or_by_pictures(fingerprint, genuine):
    known = {"drawn": fingerprint, "other": make_fingerprint("other", drawn(range(2000, 2060)))}
    renamed = replace(genuine, names=[f"{i}.png" for i in range(FACES)])
    strangers = drawn(range(3000, 3060))
    unknown = replace(strangers, names=[f"{i}.png" for i in range(60)])
    assert (finding := recognise(known, genuine)) is not None
    assert finding.dataset == "drawn"
    assert finding.as_published
    assert (finding := recognise(known, renamed)) is not None
    assert finding.changes == {"files renamed": FACES}
    assert recognise(known, strangers) is None, "the names alone make no known set"
    assert recognise(known, unknown) is None
    assert recognise({}, genuine) is None


def test_one_class_in_other_words_is_recognised(fingerprint, genuine):
    happy = some(genuine, [i for i in range(FACES) if genuine.labels[i] == "happy"])
    joy = replace(happy, labels=["joy"] * len(happy.names), parts=None)
    finding = recognise({"drawn": fingerprint}, joy)
    assert finding is not None
    assert finding.as_published, finding.line


def test_every_class_of_every_part_has_probes_and_near_duplicates_have_none():
    files = [encoded(draw(seed, 16).resize((SIDE, SIDE)), "PNG") for seed in range(1200)]
    files[7] = encoded(ImageOps.mirror(Image.open(io.BytesIO(files[3]))), "PNG")
    files[8] = files[4]
    fingerprint = make_fingerprint("drawn", image_set(files))
    cells = set(zip(fingerprint.labels, fingerprint.parts, strict=True))
    assert len(cells) == 9
    assert fingerprint.faces == 1200
    assert 800 < len(fingerprint.names) < 1000
    assert not {f"face_{i:04}" for i in (3, 4, 7, 8)} & {*fingerprint.names}


def test_a_fingerprint_is_read_as_it_was_written(fingerprint, genuine):
    again = from_text(to_text(fingerprint))
    assert to_text(again) == to_text(fingerprint) == to_text(make_fingerprint("drawn", genuine))
    assert compare(again, genuine).as_published


def test_the_fingerprints_of_the_known_sets_are_small_and_hold_all_classes():
    known = read_known()
    assert known.keys() == {"ck48", "fer2013", "muxspace"}
    for dataset, fingerprint in known.items():
        assert (FOLDER / f"{dataset}.csv").stat().st_size <= 100_000
        assert fingerprint.dataset == dataset
        assert 900 <= len(fingerprint.names) <= 1000
        assert len(set(fingerprint.labels)) in (7, 8)
    assert {*known["fer2013"].parts} == {"train", "validation", "test"}


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("dataset", ["ck48", "fer2013", "muxspace"])
def test_the_fingerprint_is_that_of_the_genuine_archive(dataset, mirror):
    with read_archive(dataset, mirror / f"{dataset}.zip") as genuine:
        made = make_fingerprint(dataset, genuine, 96 if dataset == "muxspace" else None)
        assert to_text(made) == (FOLDER / f"{dataset}.csv").read_text(encoding="utf-8")
        fingerprint = read_known()[dataset]
        assert compare(fingerprint, genuine).as_published
        assert (finding := recognise(read_known(), genuine)) is not None
        assert finding.dataset == dataset
        names = [f"{i}.png" for i in range(len(genuine.names))]
        assert compare(fingerprint, replace(genuine, names=names)).changes == {
            copies.RENAMED: len(fingerprint.names)
        }
