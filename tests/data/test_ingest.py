"""From records to the array and the tables: in the order of the files, with every loss counted or refused."""

from __future__ import annotations

import numpy as np
import pytest

from candid.data.images import decode
from candid.data.ingest import assemble, counts, planted_table, refuse, summary
from candid.data.readers import Record, Rejected, Skipped, Wanted
from candid.errors import CandidError
from candid.files import read_csv, write_csv
from tests.conftest import refusal
from tests.data.made import CATALOGUE, encoded, face, pixels, read, zipped


def items(count):
    """Faces of two datasets, with faults among them."""
    row = " ".join(["7"] * 2304)
    for i in range(count):
        name = "ck48" if i < count // 2 else "muxspace"
        if i % 11 == 3:
            yield name, Record(b"no picture", "happy", f"f{i}")
        elif i % 11 == 5:
            yield name, Rejected(f"f{i}", "a reason, with a comma")
        elif i % 11 == 7:
            yield name, Skipped(f"f{i}", "class", "contempt")
        elif i % 11 == 9:
            yield name, Record(row, "happy", f"f{i}", "train")
        else:
            yield name, Record(encoded(pixels(i % 13, 20, 20), "BMP"), "happy", f"f{i}", "test", "s:1", "q:1")


def assembled(*records, size=8):
    return assemble((("folder", record) for record in records), size, "grey")


@pytest.mark.parametrize("color", ["grey", "rgb"])
def test_rows_and_faces_stand_in_the_order_of_the_files(color):
    ingested = assemble(items(60), 20, color)
    table = ingested.faces
    assert ingested.images.shape == ((len(table), 20, 20) if color == "grey" else (len(table), 20, 20, 3))
    assert ingested.images.dtype == np.uint8
    assert table["id"].tolist() == list(range(len(table)))
    for image, source in zip(ingested.images, table["source"], strict=True):
        i = int(source[1:])
        if i % 11 != 9:
            assert np.array_equal(image, decode(encoded(pixels(i % 13, 20, 20), "BMP"), 20, color))
    numbers = [int(file[1:]) for file in ingested.rejected["file"]]
    assert numbers == [i for i in range(60) if i % 11 in (3, 5)]
    assert len(ingested.skipped) == 5
    assert assemble([], 8, "rgb").images.shape == (0, 8, 8, 3)


def test_a_carriage_return_in_a_class_or_file_name_is_visible_and_breaks_no_table(tmp_path):
    files = dict.fromkeys(["sm\rirk/a\r\nb.png", "happy/c.png", 'sad/a"b,c.png', "sad/=1+1.png"], face())
    ingested = assembled(*read("folder", [zipped(tmp_path / "f.zip", files)]))
    write_csv(tmp_path / "faces.csv", ingested.faces)
    table = read_csv(tmp_path / "faces.csv", ["label", "source"])
    assert table[["label", "source"]].values.tolist() == [
        ["happy", "happy/c.png"],
        ["sad", "sad/=1+1.png"],
        ["sad", 'sad/a"b,c.png'],
        ["sm\\rirk", "sm\\rirk/a\\r\\nb.png"],
    ]


def test_counts_separate_classes_parts_and_datasets_and_the_summary_names_them():
    datasets = {name: CATALOGUE[name] for name in ("ck48", "muxspace")}
    ingested = assemble(items(110), 8, "grey")
    counted = counts(ingested, datasets)
    assert (counted["faces"], counted["rejected"], counted["skipped"]) == (80, 20, 10)
    assert counted["per_class"] == {"happy": 80}
    assert counted["per_part"] == {"train": 10, "test": 70}
    assert counted["per_dataset"]["ck48"] == {"faces": 40, "rejected": 10, "skipped": 5}
    assert (counted["subjects"], counted["sequences"]) == (1, 1)
    assert counted["skipped_for"] == {"class": 10}
    first, _, classes = summary(ingested, datasets)
    assert first == "ck48: 40 faces, 10 rejected, 5 skipped (class 5) (with a label: 45; published: 981)"
    assert classes == "classes: happy 80"


def test_too_many_rejected_files_stop_the_run_and_as_many_as_allowed_do_not():
    ingested = assemble(items(110), 8, "grey")
    refuse(ingested, 0.2, None)
    with pytest.raises(CandidError, match=r"20 of 100 files \(20.00%\).*the first f3: no picture.*0.19"):
        refuse(ingested, 0.19, None)


GOOD = [Record(face(i), label, f"{label}/{i}.png") for i, label in enumerate(["happy", "sad"] * 60)]


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (
            [Record(b"\0\0\0\x18ftypheic" + bytes(99), "fear", "fear/1.heic")],
            ["1 of its files or folders can't be used", "HEIC"],
        ),
        ([Skipped("fear/1.dng", "raw_photograph", "fear")], ["fear/1.dng: raw photograph"]),
        ([Skipped("fear/", "empty_folder", "fear")], ["fear/: empty folder"]),
        ([Rejected("fear/1.png", "0 bytes", "fear")], ["fear/1.png: 0 bytes"]),
    ],
)
def test_a_class_that_vanishes_stops_the_run_and_is_named(lost, words):
    line = refusal(refuse, assembled(*GOOD, *lost), 0.01, None)
    assert all(word in line for word in (*words, "class 'fear' has no face", "data.classes: [happy, sad]"))
    refuse(assembled(*GOOD, *lost, Record(face(), "fear", "fear/2.png")), 0.01, None)


def test_a_class_left_out_by_the_settings_may_be_empty(tmp_path):
    path = zipped(tmp_path / "f.zip", {record.source: face() for record in GOOD} | {"fear/": b""})
    for wanted, stops in ((Wanted(), True), (Wanted({"happy": "happy"}), False)):
        ingested = assembled(*read("folder", [path], wanted))
        if stops:
            with pytest.raises(CandidError, match="class 'fear' has no face"):
                refuse(ingested, 0.01, None)
        else:
            refuse(ingested, 0.01, ["happy"])


def test_nothing_left_says_what_was_left_out(tmp_path):
    path = zipped(tmp_path / "f.zip", {"train/happy/Training_1.jpg": face(), "notes.txt": b"-"})
    ingested = assembled(*read("fer2013", [path], Wanted(None, frozenset({"test"}))))
    with pytest.raises(CandidError, match="no face is left: not a picture 1, part 1"):
        refuse(ingested, 1, None)


def test_a_class_without_a_face_names_those_there_are():
    with pytest.raises(CandidError, match="no face is labelled 'fear'; expected some of contempt, happy"):
        refuse(assemble(items(20), 8, "grey"), 1, ["happy", "fear"])


def test_planted_pairs_become_ids_and_lose_those_left_out(tmp_path):
    faces = assembled(*(Record(face(i), "happy", name) for i, name in enumerate("abc"))).faces
    text = b"a,b,kind\nc,a,exact\nb,gone,zoomed\na,b,shifted+zoomed\n"
    table = planted_table(zipped(tmp_path / "sample.zip", {"planted.csv": text}), "planted.csv", faces)
    assert table.values.tolist() == [[0, 1, "shifted+zoomed"], [0, 2, "exact"]]
    assert planted_table(tmp_path, None, faces).columns.tolist() == ["a", "b", "kind"]


def test_votes_are_a_table_of_ids_in_the_order_of_the_vocabulary():
    votes = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    table = assembled(Record(face(), "sad", "a"), Record(face(), "happy", "b", votes=votes)).votes
    assert table.to_dict("records") == [
        {
            **{"id": 1, "angry": 5, "disgust": 6, "fear": 7, "happy": 2, "sad": 4, "surprise": 3},
            **{"neutral": 1, "contempt": 8, "unknown": 9, "not_a_face": 10},
        }
    ]
    assert len(assembled(*GOOD[:2]).votes) == 0
