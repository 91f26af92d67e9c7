"""Altered copies of drawn sets are named as what they are, harmless ones are not reported."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from candid.data import copies, figures
from candid.data.copies import compare, recognise
from candid.data.figures import SIDE
from candid.data.fingerprints import (
    FOLDER,
    Fingerprint,
    ImageSet,
    make_fingerprint,
    read_archive,
    read_fingerprint,
    read_known,
    write_fingerprint,
)
from candid.data.images import decode
from candid.errors import CandidError

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


def encode(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def image_set(files: list[bytes], size: int = SIDE, color="grey") -> ImageSet:
    """The files as ingest reads them."""
    return ImageSet(
        [f"set/{LABELS[i % 3]}/face_{i:04}.png" for i in range(len(files))],
        [LABELS[i % 3] for i in range(len(files))],
        [PARTS[i % 5] for i in range(len(files))],
        np.stack([decode(data, size, color) for data in files]),
        files.__getitem__,
    )


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [draw(seed) for seed in range(FACES)]


@pytest.fixture(scope="module")
def genuine(pictures) -> ImageSet:
    return image_set([encode(picture) for picture in pictures])


@pytest.fixture(scope="module")
def fingerprint(genuine) -> Fingerprint:
    return make_fingerprint("drawn", genuine)


def levels(change):
    return lambda picture: picture.point([int(np.clip(round(change(v)), 0, 255)) for v in range(256)])


def there_and_back(factor: int, resample: Image.Resampling):
    def change(picture: Image.Image) -> bytes:
        return encode(picture.resize((SIDE * factor, SIDE * factor), resample).resize((SIDE, SIDE), resample))

    return change


ALTERATIONS = {
    "x 1.2, clipped, equalised": (
        lambda picture: ImageOps.equalize(levels(lambda v: v * 1.2)(picture)),
        {"equalised"},
        {"clipped"},
    ),
    "brightened": (levels(lambda v: v + 25), {"brightened"}, set()),
    "darkened": (levels(lambda v: v * 0.8), {"darkened"}, set()),
    "clipped": (levels(lambda v: min(max(v, 80), 170)), {"clipped"}, set()),
    "equalised": (ImageOps.equalize, {"equalised"}, set()),
    "blurred": (lambda picture: picture.filter(ImageFilter.GaussianBlur(1.2)), {"blurred"}, set()),
    "half the rows": (lambda picture: picture.crop((0, 0, SIDE, SIDE // 2)), {"cut"}, set()),
    "margins cut off": (lambda picture: picture.crop((5, 5, 43, 43)).resize((SIDE, SIDE)), {"cut"}, set()),
    "mirrored": (ImageOps.mirror, {"mirrored"}, set()),
    "turned": (lambda picture: picture.rotate(90), {"turned"}, set()),
    "enlarged": (lambda picture: picture.resize((112, 112)), {"enlarged"}, set()),
    "reduced": (lambda picture: picture.resize((24, 24)), {"reduced"}, {"blurred"}),
}


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_alteration_is_named(name, share, pictures, fingerprint):
    change, must, may = ALTERATIONS[name]
    altered = [change(each) if i % 10 < 10 * share else each for i, each in enumerate(pictures)]
    finding = compare(fingerprint, image_set([encode(each) for each in altered]))
    assert must <= finding.changes.keys() <= must | may, finding.line
    assert not finding.as_published
    for kind in must:
        assert finding.changes[kind] == pytest.approx(share * FACES, rel=0.2)


HARMLESS = {
    "PNG in colour": lambda picture: encode(picture.convert("RGB")),
    "BMP": lambda picture: encode(picture, "BMP"),
    "JPEG 75": lambda picture: encode(picture, "JPEG", quality=75),
    "JPEG 85": lambda picture: encode(picture, "JPEG", quality=85),
    "JPEG 95": lambda picture: encode(picture, "JPEG", quality=95),
    "colour JPEG 75": lambda picture: encode(picture.convert("RGB"), "JPEG", quality=75),
    **{
        f"x {factor} {resample.name} and back": there_and_back(factor, resample)
        for factor in (2, 3)
        for resample in (Image.Resampling.NEAREST, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    },
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_difference_is_not_reported(name, pictures, fingerprint):
    finding = compare(fingerprint, image_set([HARMLESS[name](each) for each in pictures]))
    assert finding.as_published, finding.line
    assert finding.compared == finding.probes == len(fingerprint.names)


def test_the_genuine_set_is_as_published(fingerprint, genuine):
    finding = compare(fingerprint, genuine)
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


def test_missing_files(fingerprint, genuine):
    half = ImageSet(
        genuine.names[:75], genuine.labels[:75], genuine.parts[:75], genuine.images[:75], genuine.read
    )
    assert compare(fingerprint, half).changes == {"files missing": FACES - 75}


def test_pictures_under_the_names_of_others(fingerprint, genuine):
    names = [*genuine.names[1:], genuine.names[0]]
    finding = compare(fingerprint, replace(genuine, names=names, parts=None))
    assert finding.changes == {"files renamed": FACES}


def test_other_pictures_under_the_names_of_the_set(fingerprint):
    finding = compare(fingerprint, image_set([encode(draw(1000 + i)) for i in range(FACES)]))
    assert finding.changes == {"replaced by other pictures": FACES}


def test_classes_and_parts_that_are_not_in_use_are_not_missing(fingerprint, genuine):
    kept = [
        i
        for i in range(FACES)
        if genuine.labels[i] in ("angry", "happy") and genuine.parts[i] in ("train", "test")
    ]
    some = ImageSet(
        [genuine.names[i] for i in kept],
        [genuine.labels[i] for i in kept],
        [genuine.parts[i] for i in kept],
        genuine.images[kept],
        lambda i: genuine.read(kept[i]),
    )
    finding = compare(fingerprint, some, classes=["angry", "happy"], parts=["train", "test"])
    assert finding.as_published
    assert finding.probes == finding.compared == len(kept)
    assert compare(fingerprint, some).changes == {"files missing": FACES - len(kept)}


@pytest.mark.parametrize(("size", "color"), [(32, "grey"), (64, "rgb"), (100, "grey")])
def test_the_size_and_colour_of_ingest_do_not_matter(size, color, pictures, fingerprint):
    files = [encode(picture, "JPEG", quality=90) for picture in pictures]
    assert compare(fingerprint, image_set(files, size, color)).as_published
    renamed = replace(image_set(files, size, color), names=[str(i) for i in range(FACES)])
    assert compare(fingerprint, renamed).changes == {"files renamed": FACES}


def test_a_table_of_pixels_has_no_names_to_miss(fingerprint, genuine):
    table = replace(genuine, names=[""] * FACES, read=None)
    assert compare(fingerprint, table).as_published
    labels = ["happy" if i < 6 else label for i, label in enumerate(genuine.labels)]
    assert compare(fingerprint, replace(table, labels=labels)).changes == {"labels changed": 4}


def test_a_known_set_is_recognised_by_names_or_by_pictures(fingerprint, genuine):
    known = {"drawn": fingerprint, "other": replace(fingerprint, names=("x",) * FACES, dataset="other")}
    known["other"] = make_fingerprint("other", image_set([encode(draw(2000 + i)) for i in range(60)]))
    renamed = replace(genuine, names=[f"{i}.png" for i in range(FACES)])
    strangers = image_set([encode(draw(3000 + i)) for i in range(60)])
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
    kept = [i for i in range(FACES) if genuine.labels[i] == "happy"]
    joy = ImageSet(
        [genuine.names[i] for i in kept],
        ["joy"] * len(kept),
        None,
        genuine.images[kept],
        lambda i: genuine.read(kept[i]),
    )
    finding = recognise({"drawn": fingerprint}, joy)
    assert finding is not None
    assert finding.as_published, finding.line


def test_every_class_of_every_part_has_probes_and_near_duplicates_have_none():
    files = [encode(draw(seed, 16).resize((SIDE, SIDE))) for seed in range(1200)]
    files[7] = encode(ImageOps.mirror(Image.open(io.BytesIO(files[3]))))
    files[8] = files[4]
    fingerprint = make_fingerprint("drawn", image_set(files))
    cells = set(zip(fingerprint.labels, fingerprint.parts, strict=True))
    assert len(cells) == 9
    assert fingerprint.faces == 1200
    assert 800 < len(fingerprint.names) < 1000
    assert not {f"face_{i:04}" for i in (3, 4, 7, 8)} & {*fingerprint.names}


def test_a_fingerprint_is_read_as_it_was_written(tmp_path, fingerprint, genuine):
    write_fingerprint(tmp_path / "a.csv", fingerprint)
    again = read_fingerprint(tmp_path / "a.csv")
    write_fingerprint(tmp_path / "b.csv", again)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    write_fingerprint(tmp_path / "c.csv", make_fingerprint("drawn", genuine))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()
    assert compare(again, genuine).as_published


@pytest.mark.parametrize("text", ["", "name,label\n", '# {"format": 2}\n', '# {"format": 1}\nname\nx\n'])
def test_a_file_that_is_no_fingerprint_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(CandidError, match=r"x\.csv: .*expected") as error:
        read_fingerprint(path)
    assert "\n" not in str(error.value)
    with pytest.raises(CandidError, match="no such file"):
        read_fingerprint(tmp_path / "none.csv")


def test_the_hash_of_the_mirror_image_differs_in_known_bits(genuine):
    mirrored = genuine.images[:, :, ::-1]
    hashes = figures.hash_faces(genuine.images)
    assert (figures.hash_faces(mirrored) == hashes ^ figures.MIRROR_BITS).all()
    assert (figures.hash_turned(mirrored)["mirrored"][0] == hashes).all()


def test_figures_of_a_known_picture():
    half = np.zeros((1, SIDE, SIDE), np.uint8)
    half[:, :, SIDE // 2 :] = 200
    seen = figures.measure(half)
    assert seen.mean[0] == 100
    assert seen.quantiles[0].tolist() == [0, 0, 0, 200, 200, 200, 200]
    assert (seen.low[0], seen.high[0]) == (0.5, 0.5)
    assert seen.fine[0] == 200**2 / (SIDE - 1)


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
def test_the_fingerprint_is_that_of_the_genuine_archive(dataset, mirror, tmp_path):
    genuine = read_archive(dataset, mirror / f"{dataset}.zip")
    made = make_fingerprint(dataset, genuine, 96 if dataset == "muxspace" else None)
    write_fingerprint(tmp_path / "made.csv", made)
    assert (tmp_path / "made.csv").read_bytes() == (FOLDER / f"{dataset}.csv").read_bytes()
    fingerprint = read_known()[dataset]
    assert compare(fingerprint, genuine).as_published
    assert (finding := recognise(read_known(), genuine)) is not None
    assert finding.dataset == dataset
    names = [f"{i}.png" for i in range(len(genuine.names))]
    assert compare(fingerprint, replace(genuine, names=names)).changes == {
        copies.RENAMED: len(fingerprint.names)
    }
