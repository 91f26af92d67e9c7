"""The contest's table of pixels, alone or wrapped, and what may be wrong with it."""

from __future__ import annotations

import gzip
import io
import tarfile

import numpy as np
import pytest

from candid.data.ingest.decode import decode_row
from candid.data.ingest.records import Record, Rejected, Skipped, Wanted
from candid.errors import CandidError
from tests.data.made import pixels, read, zipped

PARTS = ("Training", "PublicTest", "PrivateTest")


def row(i):
    return " ".join(map(str, pixels(i).ravel().tolist()))


def table(rows=6, header="emotion,pixels,Usage"):
    lines = [f"{i % 7},{row(i)},{PARTS[i % 3]}" for i in range(rows)]
    return "\n".join([header, *lines, ""]).encode()


def tarred(path, name, data, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for member, content in (("fer2013/README", b"text"), (name, data)):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def written(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("wrapping", ["plain", "zip", "tar.gz", "tar"])
def test_the_table_is_read_in_any_wrapping(tmp_path, wrapping):
    path = {
        "plain": lambda: written(tmp_path / "fer2013.csv", table()),
        "zip": lambda: zipped(tmp_path / "fer2013.csv.zip", {"x/fer2013.csv": table(), "fer2013.bib": b"-"}),
        "tar.gz": lambda: tarred(tmp_path / "fer2013.tar.gz", "fer2013/fer2013.csv", table()),
        "tar": lambda: tarred(tmp_path / "fer2013.tar", "fer2013.csv", table(), "w"),
    }[wrapping]()
    items = read("fer2013_csv", [path])
    assert [item.label for item in items] == ["angry", "disgust", "fear", "happy", "sad", "surprise"]
    assert [item.part for item in items] == ["train", "validation", "test"] * 2
    assert [item.source.rpartition("/")[2] for item in items] == [f"fer2013.csv:{i + 2}" for i in range(6)]
    for i, item in enumerate(items):
        assert np.array_equal(decode_row(item.data, 48, "grey"), pixels(i))


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + table(),
        table().replace(b"\n", b"\r\n"),
        table().replace(b"\n", b"\n\n"),
        table(header=" Emotion , PIXELS,usage"),
        b"\n".join(b'"%s","%s","%s"' % tuple(line.split(b",")) for line in table().splitlines()),
    ],
    ids=["byte-order mark", "CRLF", "empty lines", "other case and spaces", "quotes"],
)
def test_other_ways_to_write_the_same_table(tmp_path, data):
    plain = read("fer2013_csv", [written(tmp_path / "a.csv", table())])
    items = read("fer2013_csv", [written(tmp_path / "b.csv", data)])
    assert [item[:2] + item[3:] for item in items] == [item[:2] + item[3:] for item in plain]


def test_columns_may_be_reordered_and_more_or_fewer(tmp_path):
    data = f"x, Usage, pixels,emotion\n-,PublicTest,{row(1)},3\n".encode()
    (item,) = read("fer2013_csv", [written(tmp_path / "icml_face_data.csv", data)])
    assert (item.label, item.part) == ("happy", "validation")
    (item,) = read("fer2013_csv", [written(tmp_path / "train.csv", f"emotion,pixels\n3,{row(1)}\n".encode())])
    assert (item.label, item.part) == ("happy", "")


def test_rows_of_another_length_are_rejected_and_the_rest_read(tmp_path):
    wide = b"3," + b"1," * 1_000_000 + b"Training\n"
    items = read(
        "fer2013_csv", [written(tmp_path / "a.csv", table(2) + b"3,1 2 3\n" + wide + b"3,1 2,Training\n")]
    )
    assert [type(item) for item in items] == [Record, Record, Rejected, Rejected, Record]
    assert items[2] == Rejected("a.csv:4", "2 cells; expected 3")
    assert items[3].reason == "1,000,002 cells; expected 3"


def test_classes_and_parts_are_chosen_before_pixels_are_looked_at(tmp_path):
    wanted = Wanted(frozenset({"disgust"}), frozenset({"validation"}))
    items = read("fer2013_csv", [written(tmp_path / "a.csv", table())], wanted)
    assert [item.reason for item in items if isinstance(item, Skipped)] == ["class"] * 5
    assert [item.label for item in items if isinstance(item, Record)] == ["disgust"]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "expected emotion,pixels,Usage"),
        (b"emotion,Usage\n0,Training\n", "columns 'emotion,usage'; expected emotion,pixels,Usage"),
        (b"emotion,pixels,Usage\n7,1 2,Training\n", "line 2: label '7' is unknown"),
        (b"emotion,pixels,Usage\nNaN,1 2,Training\n", "line 2: label 'NaN' is unknown"),
        (b"emotion,pixels,Usage\n-1,1 2,Training\n", "line 2: label '-1' is unknown"),
        (b"emotion,pixels,Usage\n1,1 2,Test\n", "line 2: Usage 'Test'"),
        (b"emotion,pixels,Usage\n1,\xff\xff,Training\n", "not UTF-8"),
        (b'emotion,pixels,Usage\n1,"' + b"1 " * 100_000, "line 2: not CSV"),
        (bytes(range(256)) * 20, "not UTF-8"),
    ],
)
def test_a_table_that_is_wrong_as_a_whole_stops_the_run(tmp_path, data, match):
    with pytest.raises(CandidError, match=match) as caught:
        read("fer2013_csv", [written(tmp_path / "a.csv", data)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
def test_a_wrapped_table_that_is_cut_stops_the_run(tmp_path, share):
    whole = tarred(tmp_path / "whole.tar.gz", "fer2013.csv", table(40)).read_bytes()
    path = written(tmp_path / "fer2013.tar.gz", whole[: int(len(whole) * share)])
    with pytest.raises(CandidError, match=r"fer2013\.tar\.gz.*cut short"):
        read("fer2013_csv", [path])


def test_a_wrapped_table_that_is_damaged_stops_the_run(tmp_path):
    path = zipped(tmp_path / "fer2013.zip", {"fer2013.csv": table(40)})
    data = bytearray(path.read_bytes())
    data[200_000] ^= 1
    path.write_bytes(data)
    with pytest.raises(CandidError, match="cut short or damaged"):
        read("fer2013_csv", [path])


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "not a tar.gz"])
def test_an_archive_without_the_table_says_what_it_wants(tmp_path, kind):
    path = {
        "zip": lambda: zipped(tmp_path / "a.zip", {"other.csv": b"x"}),
        "tar.gz": lambda: tarred(tmp_path / "a.tar.gz", "other.csv", b"x"),
        "not a tar.gz": lambda: written(tmp_path / "b.tar.gz", gzip.compress(b"text")),
    }[kind]()
    with pytest.raises(CandidError, match=r"holds neither fer2013\.csv nor|not a tar archive"):
        read("fer2013_csv", [path])


def test_a_missing_table_names_the_stage_that_gets_it(tmp_path):
    with pytest.raises(CandidError, match="download"):
        read("fer2013_csv", [tmp_path / "fer2013.csv"])
