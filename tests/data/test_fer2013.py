"""The contest's table of pixels, alone or wrapped, what may be wrong with it, and FER+'s votes."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from candid.data.fer2013 import VOTES, majority
from candid.data.images import decode_row
from candid.data.readers import Record, Rejected, Wanted
from candid.errors import CandidError
from tests.data.made import face, pixels, read, records, rejected, skipped, tarred, written, zipped

PARTS = ("Training", "PublicTest", "PrivateTest")


def row(i):
    return " ".join(map(str, pixels(i).ravel().tolist()))


def table(rows=6, header="emotion,pixels,Usage"):
    lines = [f"{i % 7},{row(i)},{PARTS[i % 3]}" for i in range(rows)]
    return "\n".join([header, *lines, ""]).encode()


def wrapped(tmp_path, kind, data, name="fer2013.csv"):
    """The table by itself, or in an archive beside other files."""
    if kind == "plain":
        return written(tmp_path / name, data)
    if kind == "zip":
        return zipped(tmp_path / "fer2013.csv.zip", {f"x/{name}": data, "fer2013.bib": b"-"})
    mode = "w" if kind == "tar" else "w:gz"
    return tarred(tmp_path / f"fer2013.{kind}", {"fer2013/README": b"text", f"fer2013/{name}": data}, mode)


@pytest.mark.parametrize("kind", ["plain", "zip", "tar.gz", "tar"])
def test_the_table_is_read_in_any_wrapping(tmp_path, kind):
    items = read("fer2013_csv", [wrapped(tmp_path, kind, table())])
    assert [item.label for item in items] == ["angry", "disgust", "fear", "happy", "sad", "surprise"]
    assert [item.part for item in items] == ["train", "validation", "test"] * 2
    assert [item.source.rpartition("/")[2] for item in items] == [f"fer2013.csv:{i + 2}" for i in range(6)]
    for i, item in enumerate(items):
        assert np.array_equal(decode_row(item.data, 48, "grey"), pixels(i))


def test_rows_of_another_length_are_rejected_and_classes_and_parts_chosen_unseen(tmp_path):
    wide = b"3," + b"1," * 1_000_000 + b"Training\n"
    data = table(2) + b"3,1 2 3\n" + wide + b"3,1 2,Training\n"
    items = read("fer2013_csv", [written(tmp_path / "a.csv", data)])
    assert [type(item) for item in items] == [Record, Record, Rejected, Rejected, Record]
    assert rejected(items) == dict.fromkeys(
        ["a.csv:4", "a.csv:5"], "another number of cells than in the header"
    )
    wanted = Wanted({"disgust": "disgust"}, frozenset({"validation"}))
    items = read("fer2013_csv", [written(tmp_path / "a.csv", table())], wanted)
    assert list(skipped(items).values()) == ["class"] * 5
    assert [item.label for item in records(items)] == ["disgust"]


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ((0, 8, 1, 0, 1, 0, 0, 0, 0, 0), "happy"),
        ((5, 5, 0, 0, 0, 0, 0, 0, 0, 0), ""),
        ((5, 4, 1, 0, 0, 0, 0, 0, 0, 0), "neutral"),  # the single vote doesn't count
        ((4, 3, 3, 0, 0, 0, 0, 0, 0, 0), ""),
        ((0, 0, 0, 0, 0, 0, 0, 2, 8, 0), ""),
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 10), ""),
        ((1,) * 10, ""),
        ((0, 0, 0, 0, 0, 0, 0, 6, 2, 1), "contempt"),
        ((), ""),
    ],
)
def test_the_majority_is_that_of_ferplus(votes, label):
    assert majority(votes) == label


CHOICES = {"happy": (0, 9, 1, 0, 0, 0, 0, 0, 0, 0), "nobody": (5, 5, 0, 0, 0, 0, 0, 0, 0, 0)}


BY_FILE = ("file", "fer2013_row")


def votes_csv(*rows, first=("Usage", "Image name")):
    lines = [",".join([*first, *VOTES]), *(",".join([*start, *map(str, votes)]) for *start, votes in rows)]
    return "\n".join([*lines, ""]).encode()


def test_votes_by_row_are_the_labels_of_the_contest_s_table(tmp_path):
    votes = votes_csv(
        ("Training", "fer0000000.png", CHOICES["happy"]),
        ("PublicTest", "", CHOICES["nobody"]),
        ("PrivateTest", "fer0000002.png", CHOICES["happy"]),
    )
    paths = [written(tmp_path / "fer2013.csv", table(4)), written(tmp_path / "fer2013new.csv", votes)]
    items = read("ferplus_csv", paths)
    assert [(record.label, record.part, record.votes) for record in records(items)] == [
        ("happy", "train", CHOICES["happy"]),
        ("happy", "test", CHOICES["happy"]),
    ]
    assert skipped(items) == {"fer2013.csv:3": "no_majority", "fer2013.csv:5": "no_majority"}


@pytest.mark.parametrize("packed", [True, False])
def test_votes_by_file_are_the_labels_of_the_folders(tmp_path, packed):
    names = ["train/sad/Training_1.jpg", "test/sad/PublicTest_2.jpg", "test/fear/PrivateTest_3.jpg"]
    path = zipped(tmp_path / "fer2013.zip", {name: face(i) for i, name in enumerate(names)})
    votes = votes_csv(
        (names[0].replace("jpg", "png"), "0", CHOICES["happy"]),
        (names[1], "1", CHOICES["nobody"]),
        first=BY_FILE,
    )
    table_path = written(tmp_path / "fer2013plus.csv.gz", gzip.compress(votes, mtime=0) if packed else votes)
    items = read("ferplus", [path, table_path])
    assert [(r.label, r.part, r.source) for r in records(items)] == [("happy", "train", names[0])]
    assert skipped(items) == dict.fromkeys(names[1:], "no_majority")
    assert not records(read("ferplus", [path, table_path], Wanted({"sad": "sad"})))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"file,neutral\na,1\n", "expected neutral,happiness"),
        (votes_csv(("a", "0", ("x",) * 10), first=BY_FILE), "line 2: 'x,x.*votes of ten raters"),
        (votes_csv(("a", "0", (99,) * 10), first=BY_FILE), "votes of ten raters"),
        (gzip.compress(b"file,", mtime=0)[:-6], "cut short or damaged"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_table_of_votes_that_is_wrong_stops_the_run(tmp_path, data, match):
    path = zipped(tmp_path / "fer2013.zip", {"train/sad/Training_1.jpg": face()})
    with pytest.raises(CandidError, match=match):
        read("ferplus", [path, written(tmp_path / "fer2013plus.csv.gz", data)])
