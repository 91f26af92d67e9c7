"""candid audit on whole sets, as a user runs it."""

from __future__ import annotations

import csv
import json
import re
import unicodedata

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from candid.errors import CandidError
from tests.audit.sets import encoded, known_set, packed, photo, save
from tests.conftest import refusal
from tests.data.made import folder as write_all
from tests.page import read_page


def test_a_set_with_known_copies_is_told_as_it_is(tmp_path, audit):
    known_set(tmp_path / "set")
    out = tmp_path / "report"
    _, said, told, _ = audit(tmp_path / "set", plant=5)
    expected = {
        **{"images": 20, "unreadable": 1, "other_files": 1, "classes": 2, "low_contrast": 1},
        **{"exact_copies": 1, "near_pairs": 2, "groups": 3, "grouped_images": 6, "surplus_images": 3},
        **{"largest_group": 2, "conflicting_groups": 1, "conflicting_images": 2},
        **{"parts": {"train": 14, "test": 6}, "with_copy_in_train": {"test": 2}},
    }
    assert {name: said[name] for name in expected} == expected
    assert re.search(r"^images +20  in 2 classes$", told, re.M)
    assert re.search(r"^too little contrast +1  not compared$", told, re.M)
    assert re.search(r"^recall: .* % of 40 planted copies; least: ", told, re.M)
    assert re.search(r"^test leaks +2  of 6 images \(33\.3 %\)", told, re.M)

    pairs = pd.read_csv(out / "duplicates.csv").sort_values("file_a")
    assert [*zip(pairs["file_a"], pairs["file_b"], pairs["kind"], strict=True)] == [
        ("test/sad/again.jpg", "train/sad/s1.jpg", "near"),
        ("test/sad/exact.png", "train/happy/h0.png", "exact"),
        ("train/happy/h2.png", "train/happy/small.png", "near"),
    ]
    conflicts = pd.read_csv(out / "conflicts.csv")
    assert conflicts["file"].tolist() == ["test/sad/exact.png", "train/happy/h0.png"]
    assert conflicts["label"].tolist() == ["sad", "happy"]
    assert pd.read_csv(out / "groups.csv")["size"].tolist() == [2] * 6
    issues = pd.read_csv(out / "issues.csv")
    assert issues.loc[issues["is_low_information_issue"], "file"].tolist() == ["train/sad/grey.png"]
    truth = pd.read_csv(out / "truth.csv", index_col="file")
    assert list(truth) == ["happy", "sad"]
    assert truth.loc[["test/sad/again.jpg", "train/happy/h0.png"]].to_numpy().tolist() == [[0, 1], [1, 0]]
    unreadable = pd.read_csv(out / "unreadable.csv")
    assert unreadable["file"].tolist() == ["train/sad/cut.jpg"]
    assert unreadable["reason"].str.len().min() > 3


def test_the_page_stands_alone_and_shows_every_pair(tmp_path, audit):
    known_set(tmp_path / "set")
    audit(tmp_path / "set")
    reader = read_page(tmp_path / "report/index.html")
    addresses = [tag[name] or "" for _, tag in reader.tags for name in ("src", "href") if name in tag]
    fetched = [each for each in addresses if not each.startswith(("data:image/", "data:,", "#content"))]
    assert addresses
    assert fetched == []
    for words in (
        "Copies with different labels: 1 group",
        "again.jpg",
        "small.png",
        "cut.jpg",
        "grey.png",
        "Too little contrast",
        "33.3 %",
    ):
        assert words in reader.text


def test_a_group_is_shown_once_with_all_its_pictures(tmp_path, audit):
    sizes = [photo(1).resize((120 + 20 * i, 100), Image.Resampling.BICUBIC) for i in range(4)]
    save(tmp_path, {f"{i}.png": picture for i, picture in enumerate(sizes)})
    audit(tmp_path)
    text = (tmp_path / "report/index.html").read_text(encoding="utf-8").partition("<h2>Blurred")[0]
    assert text.count('class="group"') == 1
    assert [text.count(f'alt="{i}.png"') for i in range(4)] == [1] * 4


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_gives_the_tables_of_its_folder(tmp_path, audit, kind):
    known_set(tmp_path / "set")
    names = ("duplicates.csv", "groups.csv", "conflicts.csv", "unreadable.csv")
    tables = [tmp_path / "report" / name for name in names]
    audit(tmp_path / "set")
    expected = [table.read_text() for table in tables]
    audit(packed(tmp_path / "set", kind, tmp_path / f"set.{kind}"))
    assert [table.read_text().replace("set/", "") for table in tables] == expected


def test_names_can_hold_anything(tmp_path, audit):
    name = "<script>alert('x')<∕script> & \"ä\" 名.png"
    audit(save(tmp_path / "<b>set", dict.fromkeys([name, "b.png"], photo(1))))
    text = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<b>set" not in text
    assert "&lt;script&gt;" in text
    groups = read_page(tmp_path / "report/index.html").text.partition("Blurred: ")[0]
    assert groups.count("alert('x')") == 1


def test_names_forge_no_line_and_no_formula(tmp_path, audit):
    files = [f"{name}/=1+1\r.png" for name in ("=cmd()", "b\r0,1,x", "c\x1b[2J\n100 % fine")]
    audited = audit(save(tmp_path / "set", dict.fromkeys(files, photo(1))))
    assert "\x1b" not in audited.out + audited.err
    with (tmp_path / "report/groups.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["'=cmd()/=1+1\\r.png", "b\\r0,1,x/=1+1\\r.png",
                                             "c\\x1b[2J\\n100 % fine/=1+1\\r.png"]  # fmt: skip
    assert [row["label"] for row in rows] == ["'=cmd()", "b\\r0,1,x", "c\\x1b[2j\\n100 % fine"]
    assert b"\r" not in (tmp_path / "report/groups.csv").read_bytes()


def test_a_second_audit_replaces_the_first_and_leaves_its_own_pictures_alone(tmp_path, candid, monkeypatch):
    known_set(tmp_path)
    monkeypatch.chdir(tmp_path)
    first = candid("audit", ".", "--plant", "0").out
    before = {path.name: path.read_bytes() for path in (tmp_path / "audit").iterdir()}
    assert candid("audit", ".", "--plant", "0").out == first
    assert {path.name: path.read_bytes() for path in (tmp_path / "audit").iterdir()} == before
    candid("audit", ".", "--plant", "0", "--min-similarity", "1.0")
    assert json.loads(before["audit.json"])["near_pairs"] == 2
    assert json.loads((tmp_path / "audit/audit.json").read_text())["near_pairs"] == 0


def test_images_without_folders_have_no_labels(tmp_path, audit):
    named(tmp_path, "0.png", "1.png", "2.png")
    assert "conflicting" not in audit(tmp_path).out
    assert "Conflicting labels" not in read_page(tmp_path / "report/index.html").text


def test_what_the_options_do(tmp_path, audit):
    known_set(tmp_path / "set")
    save(tmp_path / "set/train/happy", {"mirrored.png": photo(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT)})

    def counts(*options):
        return audit(tmp_path / "set", *options).numbers

    assert counts()["near_pairs"] == 2
    assert counts("--mirror")["near_pairs"] == 3
    assert "mirrored" in read_page(tmp_path / "report/index.html").text
    assert counts("--no-labels")["conflicting_groups"] == 0
    assert counts("--method", "hash")["near_pairs"] == 2
    page = read_page(tmp_path / "report/index.html").text
    assert "hash phash; hash_size 8; max_distance_bits 4" in page


def test_an_implausible_group_is_a_warning_not_the_end(tmp_path, audit):
    for i in range(120):
        image = photo(1)
        image.putpixel((i, 0), (255, 255, 255))
        image.putpixel((i, 50), (0, 0, 0))
        (tmp_path / f"{i}.png").write_bytes(encoded(image))
    assert audit(tmp_path, "--method", "hash").out.startswith(tmp_path.name)
    page = read_page(tmp_path / "report/index.html").text
    assert "Warning: one group holds 120 different images of 120" in page


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (lambda folder: None, [], ["no such file or folder", "folder, zip or tar"]),
        (lambda folder: folder.mkdir(), [], ["no image among 0 files"]),
        (lambda folder: folder.write_bytes(b""), [], ["0 bytes"]),
        (lambda folder: folder.write_bytes(b"PK\x03\x04 cut"), [], ["neither a zip nor a tar archive"]),
        (known_set, ["--min-similarity", "1.5"], ["min_similarity = 1.5", "less than or equal to 1"]),
        (
            known_set,
            ["--method", "hash", "--min-similarity", "0.9"],
            ["min_similarity has no effect with hash"],
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, audit, make, options, words):
    make(tmp_path / "set")
    line = refusal(audit, tmp_path / "set", *options)
    assert all(word in line for word in words), line
    assert not (tmp_path / "report").exists()


def test_a_folder_of_texts_holds_no_image(tmp_path, audit):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "a.png").write_text("x")
    with pytest.raises(CandidError, match=r"no image among 2 files; 'a\.png': no picture in a known format"):
        audit(tmp_path)


def test_foreign_files_are_never_touched(tmp_path, monkeypatch, candid):
    known_set(tmp_path / "set")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/index.html").write_text("my own page")
    monkeypatch.chdir(tmp_path)
    status, _, error = candid("audit", "set", "--out", "mine")
    assert (status, error.count("\n")) == (2, 1)
    assert error.startswith("candid audit: mine: holds files that no audit wrote ('index.html'")
    assert (tmp_path / "mine/index.html").read_text() == "my own page"
    assert len(list((tmp_path / "mine").iterdir())) == 1


def named(folder, *names, start=0):
    """Pictures by name, the same for the same number."""
    save(folder, {name: photo(start + i) for i, name in enumerate(names)})


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train/" + unicodedata.normalize("NFD", "wütend"), "test/wütend"),
        ("train/anger", "test/angry"),
        ("images_train/Happy", "images_test/happiness"),
    ],
)
def test_one_class_in_two_spellings_is_no_conflict(tmp_path, audit, train, test):
    named(tmp_path / "set", f"{train}/1.png", f"{test}/1.png", "train_images/other/3.png")
    named(tmp_path / "set", f"{test}/2.png", start=0)
    said = audit(tmp_path / "set").numbers
    assert (said["exact_copies"], said["conflicting_groups"], said["classes"]) == (1, 0, 2)
    assert said["parts"] == {"train": 2, "test": 2}
    assert said["with_copy_in_train"] == {"test": 1}


def test_animations_that_begin_alike_are_no_exact_copies(tmp_path, audit):
    for i in range(3):
        rest = [photo(100 + 10 * i + k, 96, 96) for k in range(3)]
        (tmp_path / f"{i}.gif").write_bytes(
            encoded(photo(1, 96, 96), "GIF", save_all=True, append_images=rest)
        )
    (tmp_path / "again.gif").write_bytes((tmp_path / "0.gif").read_bytes())
    said = audit(tmp_path).numbers
    assert (said["images"], said["exact_copies"], said["several_frames"]) == (4, 1, 4)
    page = read_page(tmp_path / "report/index.html").text
    assert "Of 4 files of several frames the first is compared" in page


def test_drawings_on_transparency_and_deep_pixels_are_told_apart(tmp_path, audit):
    """Black drawings differ in alpha alone; cameras of 12 bits and sensors of 7 use a part of 16 bits."""
    for i in range(3):
        drawing = Image.new("LA", (96, 96), (0, 0))
        drawing.putalpha(photo(i, 96, 96).convert("L").point(lambda value: 255 * (value > 128)))
        (tmp_path / f"drawing{i}.png").write_bytes(encoded(drawing))
        for name, factor in (("seven", 0.5), ("twelve", 16)):
            values = (np.asarray(photo(10 + i, 96, 96).convert("L")) * factor).astype(np.uint16)
            (tmp_path / f"{name}{i}.png").write_bytes(encoded(Image.fromarray(values)))
    said = audit(tmp_path).numbers
    assert (said["images"], said["exact_copies"], said["low_contrast"]) == (9, 0, 0)
    pairs = pd.read_csv(tmp_path / "report/duplicates.csv")
    assert {frozenset((a[:6], b[:6])) for a, b in zip(pairs["file_a"], pairs["file_b"], strict=True)} <= {
        frozenset(("seven" + str(i), "twelve")) for i in range(3)
    }


def test_what_lies_beside_pictures_is_passed_over(tmp_path, audit):
    named(tmp_path / "set", "happy/1.png", "sad/2.png")
    rest = ("happy/1.xmp", "happy/Icon\r", "LICENSE", "@eaDir/happy/1.png", "sad/film.MTS", "sad/raw.dng")
    write_all(tmp_path / "set", dict.fromkeys(rest, b"x"))
    said = audit(tmp_path / "set").numbers
    assert (said["images"], said["unreadable"], said["classes"]) == (2, 2, 2)
    skipped = pd.read_csv(tmp_path / "report/unreadable.csv")
    assert dict(zip(skipped["file"], skipped["reason"], strict=True)) == {
        "sad/film.MTS": "video", "sad/raw.dng": "raw photograph",
    }  # fmt: skip


@pytest.mark.data
def test_a_known_set_is_recognised(tmp_path, audit, mirror):
    line = "ck48: as published (981 of 981 probes compared)"
    assert f"known set: {line}" in audit(mirror / "ck48.zip").out
    assert f"A known set, {line}" in read_page(tmp_path / "report/index.html").text
