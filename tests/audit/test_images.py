"""The audit's pieces: folders read, exact copies, groups chosen, reports kept apart from other files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageOps

from candid.audit.command import check_folder, write_report
from candid.audit.findings import audit_images
from candid.audit.images import read_images, thumbnails
from candid.audit.measure import drawn_pairs
from candid.audit.page import sections
from candid.audit.sources import labels_and_parts, open_source
from candid.duplicates.settings import DedupSettings
from candid.duplicates.views import SIZE
from candid.errors import CandidError
from tests.audit.sets import encoded, photo, save
from tests.data.made import exif


def read_all(folder):
    with open_source(folder) as source:
        return read_images(source)


@pytest.mark.parametrize(
    ("files", "labels", "parts"),
    [
        (["d/train/happy/a.jpg", "d/test/sad/b.jpg"], ["happy", "sad"], ["train", "test"]),
        (["train/a.jpg", "test/b.jpg"], ["", ""], ["train", "test"]),
        (["a.jpg", "b.jpg"], ["", ""], ["", ""]),
        (["only/a.jpg", "only/b.jpg"], ["", ""], ["", ""]),
        (["a.jpg", "happy/b.jpg"], ["", "happy"], ["", ""]),
        (
            ["train/h/a.jpg", "test/h/b.jpg", "test/s/c.jpg", "cover.jpg"],
            ["h", "h", "s", ""],
            ["train", "test", "test", ""],
        ),
    ],
)
def test_labels_and_parts_are_read_from_folders(files, labels, parts):
    assert labels_and_parts(files, True) == {"label": labels, "part": parts}
    assert labels_and_parts(files, False)["label"] == [""] * len(files)


def test_images_are_decoded_to_the_working_size_and_shown_in_their_proportions(tmp_path):
    save(tmp_path, {"wide.png": photo(1, 800, 300), "tiny.png": photo(2, 20, 30)})
    with open_source(tmp_path, tmp_path / "out") as source:
        read = read_images(source)
        shown = thumbnails(source.files, ["wide.png", "tiny.png"])
    assert read.pixels.shape == (2, SIZE, SIZE)
    assert read.images["file"].tolist() == ["tiny.png", "wide.png"]
    assert shown["wide.png"].size == (192, 72)
    assert shown["tiny.png"].size == (20, 30)


def test_exact_copies_are_equal_in_size_and_colour(tmp_path):
    image = photo(1, 96, 96)
    red, green = (image.convert("L").convert("RGB") for _ in range(2))
    red.putpixel((0, 0), (200, 0, 0))
    copies = {"a.png": image, "b.bmp": image, "double.png": image.resize((192, 192), 0)}
    save(tmp_path, copies | {"red.png": red, "green.png": green})
    read = read_all(tmp_path)
    digest = dict(zip(read.images["file"], read.digests.tolist(), strict=True))
    assert digest["a.png"] == digest["b.bmp"]
    assert len(set(digest.values())) == 4


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_large_picture_retouched_in_one_place_is_no_exact_copy(tmp_path, kind):
    image = photo(1, 1024, 1024)
    patched = image.copy()
    patched.paste(patched.crop((501, 501, 502, 502)).point(lambda value: value ^ 16), (501, 501))
    for name, picture in {"a": image, "b": image, "patched": patched}.items():
        about = {"comment": name.encode()} if kind == "JPEG" else {"compress_level": 1 + (name == "b")}
        (tmp_path / f"{name}.{kind.lower()}").write_bytes(encoded(picture, kind, **about))
    read = read_all(tmp_path)
    np.testing.assert_array_equal(read.pixels[0], read.pixels[2])
    assert read.digests[0] == read.digests[1] != read.digests[2]
    found = audit_images(read, DedupSettings())
    assert found.pairs[["a", "b", "kind"]].to_numpy().tolist() == [
        [0, 1, "exact"],
        [0, 2, "near"],
        [1, 2, "near"],
    ]


def test_a_report_cut_short_is_replaced_by_the_next(tmp_path):
    with pytest.raises(FileExistsError):
        write_report(tmp_path / "out", {}, {"a.txt": "a", "a.txt/b.txt": "b"})
    assert (tmp_path / "out/a.txt").exists()
    write_report(tmp_path / "out", {"images": 3}, {"c.txt": "c"})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["audit.json", "c.txt"]
    assert json.loads((tmp_path / "out/audit.json").read_text())["images"] == 3


@pytest.mark.parametrize(
    "manifest", ["{}", "[]", '{"files": ["mine.txt"]}', '{"made_by": "me", "files": ["mine.txt"]}']
)
def test_a_list_that_no_audit_wrote_gives_no_right_to_files(tmp_path, manifest):
    (tmp_path / "audit.json").write_text(manifest)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CandidError, match="no audit wrote"):
        check_folder(tmp_path)
    with pytest.raises(CandidError, match="is a file"):
        check_folder(tmp_path / "mine.txt")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_large_jpeg_is_read_quickly_and_seen_as_the_same_picture(tmp_path, mode):
    image = photo(1, 1200, 900).convert(mode)
    turned = image.transpose(Image.Transpose.ROTATE_90)
    (tmp_path / "large.jpg").write_bytes(encoded(image, "JPEG", quality=95))
    (tmp_path / "turned.jpg").write_bytes(encoded(turned, "JPEG", exif=exif(6)))
    (tmp_path / "plain.png").write_bytes(encoded(image.convert("RGB")))
    read = read_all(tmp_path)
    large, plain, upright = read.pixels.astype(int)
    assert np.abs(large - plain).mean() < 2
    assert np.abs(upright - plain).mean() < 2


def test_a_cut_large_jpeg_is_unreadable(tmp_path):
    (tmp_path / "cut.jpg").write_bytes(encoded(photo(1, 1200, 900), "JPEG")[:9000])
    (tmp_path / "whole.jpg").write_bytes(encoded(photo(1, 1200, 900), "JPEG"))
    read = read_all(tmp_path)
    assert read.images["file"].tolist() == ["whole.jpg"]
    assert read.skipped["file"].tolist() == ["cut.jpg"]


@pytest.mark.parametrize("turn", [1, 6])
def test_a_large_jpeg_and_its_pixels_as_png_are_exact_copies(tmp_path, turn):
    (tmp_path / "a.jpg").write_bytes(encoded(photo(1, 900, 800), "JPEG", quality=90, exif=exif(turn)))
    (tmp_path / "b.jpg").write_bytes(encoded(photo(1, 900, 800), "JPEG", quality=60))
    with Image.open(tmp_path / "a.jpg") as image:
        pixels = ImageOps.exif_transpose(image)
    (tmp_path / "c.png").write_bytes(encoded(pixels))
    digests = read_all(tmp_path).digests
    assert digests[0] == digests[2] != digests[1]


def test_conflicts_of_every_pair_of_labels_come_before_any_twice(tmp_path):
    labels = [("happy", "sad")] * 3 + [("happy", "fear")]
    for number, pair in enumerate(labels):
        save(tmp_path, {f"{label}/{number}.png": photo(number) for label in pair})
    findings = audit_images(read_all(tmp_path), DedupSettings())
    conflicts = sections(findings, drawn_pairs(findings, {}), 2)[0]
    assert (conflicts.title, conflicts.total) == ("Copies with different labels", 4)
    shown = [{findings.images["label"][row] for row in group.ids} for group in conflicts.groups]
    assert sorted(shown, key=sorted) == [{"fear", "happy"}, {"happy", "sad"}]
