"""The audit's pieces: folders read, bands cut, reports kept apart from other files."""

from __future__ import annotations

import io
import json
import os
import tarfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from candid.audit.bands import bands, conflict_band
from candid.audit.findings import find
from candid.audit.folder import check_folder, write_report
from candid.audit.images import read_images, thumbnails
from candid.audit.layout import read_layout
from candid.data.archives import open_files
from candid.duplicates.params import DedupSettings
from candid.duplicates.views import SIZE
from candid.errors import CandidError
from tests.commands.audit_sets import encoded, photo
from tests.reliability.corpus_archives import tar_of, zip_of


@pytest.mark.parametrize(
    ("files", "labels", "parts"),
    [
        (["happy/a.jpg", "sad/b.jpg"], ["happy", "sad"], ["", ""]),
        (["set/img/Happy/a.jpg", "set/img/sad/x/b.jpg"], ["happy", "sad"], ["", ""]),
        (["d/train/happy/a.jpg", "d/test/sad/b.jpg"], ["happy", "sad"], ["train", "test"]),
        (["Training/a/1.jpg", "PublicTest/b/2.jpg"], ["a", "b"], ["train", "validation"]),
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
    layout = read_layout(files)
    assert layout.labels == labels
    assert layout.parts == parts
    assert read_layout(files, use_labels=False).labels == [""] * len(files)


def pairs_of(similarities, kind="near"):
    count = len(similarities)
    return pd.DataFrame({"a": range(count), "b": range(count, 2 * count), "distance_bits": 0}).assign(
        similarity=sorted(similarities, reverse=True), kind=kind
    )


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(5000, 10_000), max_size=60),
    st.sampled_from([0.5, 0.7812, 0.8, 0.92, 1.0]),
    st.integers(1, 9),
)
def test_every_pair_of_interest_is_in_one_band(values, threshold, most):
    similarities = [value / 10_000 for value in values]
    accepted = pairs_of([s for s in similarities if s >= threshold])
    rejected = pairs_of([s for s in similarities if s < threshold])
    made = bands(accepted, rejected, threshold, most)
    assert sum(band.total for band in made if not band.rejected) == len(accepted)
    floor = threshold - (1 - threshold) / 2
    just = [s for s in similarities if round(floor, 4) <= s < threshold]
    assert sum(band.total for band in made if band.rejected) == len(just)
    for band in made:
        assert len(band.pairs) == min(most, band.total)
        assert len({pair.a for pair in band.pairs}) == len(band.pairs)
    assert len({band.name for band in made}) == len(made)


def test_conflicts_show_every_pair_of_labels_before_any_twice():
    labels = ["happy"] * 6 + ["sad"] * 5 + ["fear"]
    seen = np.zeros(12, bool)
    band = conflict_band(pairs_of([0.9] * 6), labels, seen, 2)
    assert band.total == 6
    assert sorted(labels[pair.b] for pair in band.pairs) == ["fear", "sad"]
    assert conflict_band(pairs_of([0.9] * 6), ["x"] * 12, seen, 2).total == 0
    assert conflict_band(pairs_of([0.9] * 2), ["", "a", "b", ""], seen, 2).total == 0
    assert conflict_band(pairs_of([1.0] * 6), labels, ~seen, 2).total == 0


def test_images_are_decoded_to_the_working_size_and_shown_in_their_proportions(tmp_path):
    (tmp_path / "wide.png").write_bytes(encoded(photo(1, 800, 300)))
    (tmp_path / "tiny.png").write_bytes(encoded(photo(2, 20, 30)))
    with open_files(tmp_path, tmp_path / "out") as source:
        read = read_images(source)
        shown = thumbnails(source, ["wide.png", "tiny.png"])
    assert read.pixels.shape == (2, SIZE, SIZE)
    assert read.images["file"].tolist() == ["tiny.png", "wide.png"]
    assert shown["wide.png"].shape == (84, 224, 3)
    assert shown["tiny.png"].shape == (30, 20, 3)


def test_exact_copies_are_equal_in_size_and_colour(tmp_path):
    image = photo(1, 96, 96)
    red, green = (image.convert("L").convert("RGB") for _ in range(2))
    red.putpixel((0, 0), (200, 0, 0))
    for name, picture in {
        "a.png": image,
        "b.bmp": image,
        "double.png": image.resize((192, 192), 0),
        "red.png": red,
        "green.png": green,
    }.items():
        (tmp_path / name).write_bytes(encoded(picture, name[-3:].upper()))
    with open_files(tmp_path, tmp_path / "out") as source:
        read = read_images(source)
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
    with open_files(tmp_path, tmp_path / "out") as source:
        read = read_images(source)
    np.testing.assert_array_equal(read.pixels[0], read.pixels[2])
    assert read.digests[0] == read.digests[1] != read.digests[2]
    found = find(read, DedupSettings.model_construct())
    assert found.pairs[["a", "b", "kind"]].to_numpy().tolist() == [
        [0, 1, "exact"],
        [0, 2, "near"],
        [1, 2, "near"],
    ]


def test_folders_with_links_and_hidden_files_are_walked_once(tmp_path):
    inside = tmp_path / "set/class"
    inside.mkdir(parents=True)
    (inside / "a.png").write_bytes(b"x")
    (inside / ".hidden.png").write_bytes(b"x")
    (tmp_path / "set/__MACOSX").mkdir()
    (tmp_path / "set/__MACOSX/a.png").write_bytes(b"x")
    (inside / "back").symlink_to(tmp_path / "set")
    (tmp_path / "elsewhere.png").write_bytes(b"y")
    (inside / "link.png").symlink_to(tmp_path / "elsewhere.png")
    (inside / "dead.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "set/report").mkdir()
    (tmp_path / "set/report/sheet.png").write_bytes(b"z")
    with open_files(tmp_path / "set", tmp_path / "set/report") as source:
        assert source.names == ["class/a.png", "class/link.png"]
        assert dict(source.read_all(source.names)) == {"class/a.png": b"x", "class/link.png": b"y"}


def test_a_name_in_another_encoding_is_shown_in_codes(tmp_path):
    with open(os.fsencode(tmp_path) + b"/b\xe4r.png", "wb") as file:  # noqa: PTH123 - bytes are no Path
        file.write(encoded(photo(1)))
    with open_files(tmp_path, tmp_path / "out") as source:
        assert source.names == ["b\\udce4r.png"]
        assert len(read_images(source).pixels) == 1


def test_links_in_a_tar_are_not_followed(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        link = tarfile.TarInfo("a/passwd.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        data = encoded(photo(1))
        member = tarfile.TarInfo("./a//b.png")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    with open_files(tmp_path / "set.tar", tmp_path / "out") as source:
        read = read_images(source)
    assert read.images["file"].tolist() == ["a/b.png"]
    assert read.unreadable.to_numpy().tolist() == [
        ["a/passwd.png", "a link in the archive; expected files (tar -h follows links)"]
    ]


@pytest.mark.parametrize("name", ["../b.png", "a/../../b.png", "/b.png", "a\\..\\..\\b.png", "C:/b.png"])
def test_a_tar_that_leads_outside_is_refused_as_a_zip_is(tmp_path, name):
    for path, data in (("set.tar", tar_of((name, b"x"), mode="w")), ("set.zip", zip_of({name: b"x"}))):
        (tmp_path / path).write_bytes(data)
        with (
            pytest.raises(CandidError, match="leads outside the archive"),
            open_files(tmp_path / path, tmp_path / "out"),
        ):
            pass


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_cut_tar_is_one_line(tmp_path, suffix):
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    with tarfile.open(whole, "w:gz" if suffix.endswith("gz") else "w") as archive:
        for i in range(4):
            member = tarfile.TarInfo(f"{i}.png")
            data = np.random.default_rng(i).bytes(20_000)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    cut.write_bytes(whole.read_bytes()[:50_000])
    with (
        pytest.raises(CandidError, match=r"not a whole tar|no image among"),
        open_files(cut, tmp_path) as source,
    ):
        read_images(source)


def test_a_report_below_is_neither_in_the_way_nor_lost(tmp_path):
    write_report(tmp_path / "audit/near_duplicates", {}, {"a.png": lambda path: path.write_text("a")})
    write_report(tmp_path / "audit", {}, {"b.txt": lambda path: path.write_text("b")})
    write_report(tmp_path / "audit", {}, {"c.txt": lambda path: path.write_text("c")})
    assert (tmp_path / "audit/near_duplicates/a.png").read_text() == "a"
    (tmp_path / "audit/near_duplicates/mine.txt").write_text("mine")
    with pytest.raises(CandidError, match=r"near_duplicates/mine\.txt"):
        check_folder(tmp_path / "audit")


def test_a_report_cut_short_is_replaced_by_the_next(tmp_path):
    def fail(path):
        raise RuntimeError

    writers = {"a.txt": lambda path: path.write_text("a"), "b.txt": fail}
    with pytest.raises(RuntimeError):
        write_report(tmp_path / "out", {}, writers)
    assert (tmp_path / "out/a.txt").exists()
    write_report(tmp_path / "out", {"images": 3}, {"c.txt": lambda path: path.write_text("c")})
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
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.transpose(Image.Transpose.ROTATE_90)
    (tmp_path / "large.jpg").write_bytes(encoded(image, "JPEG", quality=95))
    (tmp_path / "turned.jpg").write_bytes(encoded(turned, "JPEG", exif=exif))
    (tmp_path / "plain.png").write_bytes(encoded(image.convert("RGB")))
    with open_files(tmp_path, tmp_path / "out") as source:
        read = read_images(source)
    large, plain, upright = read.pixels.astype(int)
    assert np.abs(large - plain).mean() < 2
    assert np.abs(upright - plain).mean() < 2


def test_a_cut_large_jpeg_is_unreadable(tmp_path):
    (tmp_path / "cut.jpg").write_bytes(encoded(photo(1, 1200, 900), "JPEG")[:9000])
    (tmp_path / "whole.jpg").write_bytes(encoded(photo(1, 1200, 900), "JPEG"))
    with open_files(tmp_path, tmp_path / "out") as source:
        read = read_images(source)
    assert read.images["file"].tolist() == ["whole.jpg"]
    assert read.unreadable["file"].tolist() == ["cut.jpg"]


def test_a_tar_is_read_to_its_end_once_however_its_files_are_asked_for(tmp_path, monkeypatch):
    """Each time more would unpack all of a compressed one again."""
    path = tmp_path / "faces.tar.gz"
    path.write_bytes(tar_of(*((f"happy/{i}.png", bytes([i])) for i in range(5))))
    ends = []
    monkeypatch.setattr("candid.data.archives._read_to_end", lambda *given: ends.append(given))
    with open_files(path, tmp_path / "report") as source:
        read = [data for name in source.names for _, data in source.read_all([name])]
    assert len(read) == 5
    assert len(ends) == 1
