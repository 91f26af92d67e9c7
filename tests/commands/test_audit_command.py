"""candid audit on whole sets, as a user runs it."""

from __future__ import annotations

import html.parser
import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from candid.audit.command import main
from candid.errors import CandidError
from tests.commands.audit_sets import encoded, known_set, packed, photo

VOID = {"meta", "img", "br", "line", "link"}


@pytest.fixture
def audit(monkeypatch, capsys):
    """Run the audit in this process; gives what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["audit", *map(str, arguments)])
        main()
        return capsys.readouterr().out

    return run


class Reader(html.parser.HTMLParser):
    """Reads a page: the text, the addresses it names, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_startendtag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read_page(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


def test_a_set_with_known_copies_is_told_as_it_is(tmp_path, audit):
    known_set(tmp_path / "set")
    out = tmp_path / "report"
    told = audit(tmp_path / "set", "--out", out)
    said = json.loads((out / "audit.json").read_text())
    assert said["images"] == 20
    assert said["unreadable"] == 1
    assert said["other_files"] == 1
    assert said["classes"] == 2
    assert said["flat"] == 1
    assert said["exact_copies"] == 1
    assert said["near_pairs"] == 2
    assert (said["groups"], said["grouped_images"], said["surplus_images"], said["largest_group"]) == (
        3,
        6,
        3,
        2,
    )
    assert (said["conflicting_groups"], said["conflicting_images"]) == (1, 2)
    assert said["parts"] == {"train": 14, "test": 6}
    assert said["with_copy_in_train"] == {"test": 2}
    assert re.search(r"^images +20  in 2 classes$", told, re.M)
    assert re.search(r"^test leaks +2  of 6 images \(33\.3%\)", told, re.M)

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
    assert pd.read_csv(out / "flat.csv")["file"].tolist() == ["train/sad/grey.png"]
    unreadable = pd.read_csv(out / "unreadable.csv")
    assert unreadable["file"].tolist() == ["train/sad/cut.jpg"]
    assert unreadable["reason"].str.len().min() > 3


def test_the_page_stands_alone_and_shows_every_pair(tmp_path, audit):
    known_set(tmp_path / "set")
    audit(tmp_path / "set", "--out", tmp_path / "report")
    reader = read_page(tmp_path / "report/index.html")
    assert reader.addresses
    assert all(address.startswith("data:image/") for address in reader.addresses)
    for words in (
        "Copies with different labels: 1 pair",
        "again.jpg",
        "small.png",
        "cut.jpg",
        "grey.png",
        "33.3%",
    ):
        assert words in reader.text
    for sheet in (tmp_path / "report").glob("sheet-*.png"):
        with Image.open(sheet) as picture:
            assert min(picture.size) > 100
    assert (tmp_path / "report/sheet-conflicts.png").exists()


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_gives_the_tables_of_its_folder(tmp_path, audit, kind):
    known_set(tmp_path / "set")
    audit(tmp_path / "set", "--out", tmp_path / "a")
    audit(packed(tmp_path / "set", kind, tmp_path / f"set.{kind}"), "--out", tmp_path / "b")
    for table in ("duplicates.csv", "groups.csv", "conflicts.csv", "flat.csv", "unreadable.csv"):
        assert (tmp_path / "b" / table).read_text().replace("set/", "") == (
            tmp_path / "a" / table
        ).read_text()


def test_names_can_hold_anything(tmp_path, audit):
    name = "<script>alert('x')</script> & \"ä\" 名.png"
    folder = tmp_path / "<b>set"
    folder.mkdir()
    (folder / name.replace("/", "∕")).write_bytes(encoded(photo(1)))
    (folder / "b.png").write_bytes(encoded(photo(1)))
    audit(folder, "--out", tmp_path / "report")
    text = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<b>set" not in text
    assert "&lt;script&gt;" in text
    assert read_page(tmp_path / "report/index.html").text.count("alert('x')") == 1


def test_a_second_audit_replaces_the_first_and_leaves_its_own_pictures_alone(tmp_path, audit, monkeypatch):
    known_set(tmp_path)
    monkeypatch.chdir(tmp_path)
    first = audit(".")
    before = {path.name: path.read_bytes() for path in (tmp_path / "audit").iterdir()}
    assert audit(".") == first
    assert {path.name: path.read_bytes() for path in (tmp_path / "audit").iterdir()} == before
    audit(".", "--min-similarity", "1.0")
    assert not (tmp_path / "audit/sheet-accepted-0.950.png").exists()


def test_images_without_folders_have_no_labels(tmp_path, audit):
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(encoded(photo(i)))
    told = audit(tmp_path, "--out", tmp_path / "report")
    assert "conflicting" not in told
    assert "Conflicting labels" not in read_page(tmp_path / "report/index.html").text


def test_what_the_options_do(tmp_path, audit):
    known_set(tmp_path / "set")
    (tmp_path / "set/train/happy/mirrored.png").write_bytes(
        encoded(photo(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    )

    def counts(*options):
        audit(tmp_path / "set", "--out", tmp_path / "report", *options)
        return json.loads((tmp_path / "report/audit.json").read_text())

    assert counts()["near_pairs"] == 2
    assert counts("--mirror")["near_pairs"] == 3
    assert "mirrored" in read_page(tmp_path / "report/index.html").text
    assert counts("--no-labels")["conflicting_groups"] == 0
    assert counts("--no-verify", "--max-distance-bits", "0")["near_pairs"] < 2


def test_an_implausible_group_is_a_warning_not_the_end(tmp_path, audit):
    for i in range(120):
        image = photo(1)
        image.putpixel((i, 0), (255, 255, 255))
        image.putpixel((i, 50), (0, 0, 0))
        (tmp_path / f"{i}.png").write_bytes(encoded(image))
    told = audit(tmp_path, "--out", tmp_path / "report", "--no-verify")
    assert "warning: one group holds 120 images" in told
    assert "one group holds 120 images" in read_page(tmp_path / "report/index.html").text


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (lambda folder: None, [], ["no such file or folder", "folder, zip or tar"]),
        (lambda folder: folder.mkdir(), [], ["no image among 0 files"]),
        (lambda folder: folder.write_bytes(b""), [], ["0 bytes"]),
        (lambda folder: folder.write_bytes(b"PK\x03\x04 cut"), [], ["neither a zip nor a tar archive"]),
        (known_set, ["--min-similarity", "1.5"], ["min_similarity = 1.5", "less than or equal to 1"]),
        (known_set, ["--hash", "md5"], ["hash = 'md5'", "phash"]),
        (known_set, ["--hash-size", "16", "--max-distance-bits", "200"], ["200"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, audit, make, options, words):
    make(tmp_path / "set")
    with pytest.raises(CandidError) as caught:
        audit(tmp_path / "set", "--out", tmp_path / "report", *options)
    assert all(word in str(caught.value) for word in words), caught.value
    assert not (tmp_path / "report").exists()


def test_a_folder_of_texts_holds_no_image(tmp_path, audit):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "a.png").write_text("x")
    with pytest.raises(CandidError, match=r"no image among 2 files; 'a\.png': no picture in a known format"):
        audit(tmp_path, "--out", tmp_path / "report")


def test_foreign_files_are_never_touched(tmp_path, run_stage):
    known_set(tmp_path / "set")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/index.html").write_text("my own page")
    done = run_stage("candid", "audit", "set", "--out", "mine")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("candid audit: mine: holds files that no audit wrote ('index.html'")
    assert (tmp_path / "mine/index.html").read_text() == "my own page"
    assert len(list((tmp_path / "mine").iterdir())) == 1
