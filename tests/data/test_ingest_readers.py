"""Every published layout is read as its publishers mean it."""

from __future__ import annotations

import pytest

from candid.data.ingest.records import Record, Rejected, Skipped, Wanted
from candid.errors import CandidError
from tests.data.made import CATALOGUE, face, read, zipped


def records(items):
    return [item for item in items if isinstance(item, Record)]


def rejected(items):
    return {item.file: item.reason for item in items if isinstance(item, Rejected)}


def skipped(items):
    return {item.file: item.reason for item in items if isinstance(item, Skipped)}


def test_fer2013_takes_the_part_from_the_file_name(tmp_path):
    path = zipped(
        tmp_path / "fer2013.zip",
        {
            "train/angry/Training_1.jpg": face(1),
            "test/happy/PublicTest_2.jpg": face(2),
            "test/sad/PrivateTest_3.jpg": face(3),
        },
    )
    found = {record.source: (record.label, record.part) for record in read("fer2013", [path])}
    assert found == {
        "train/angry/Training_1.jpg": ("angry", "train"),
        "test/happy/PublicTest_2.jpg": ("happy", "validation"),
        "test/sad/PrivateTest_3.jpg": ("sad", "test"),
    }


def test_ck48_knows_subject_and_sequence_and_its_own_words(tmp_path):
    path = zipped(
        tmp_path / "ck48.zip",
        {
            "CK+48/anger/S005_001_00000009.png": face(1),
            "CK+48/contempt/S138_008_00000007.png": face(2),
            "CK+48/sadness/S005_002_00000001.png": face(3),
        },
    )
    found = [record[1:] for record in read("ck48", [path])]
    assert found == [
        ("angry", "CK+48/anger/S005_001_00000009.png", "", "ck48:S005", "ck48:S005_001"),
        ("contempt", "CK+48/contempt/S138_008_00000007.png", "", "ck48:S138", "ck48:S138_008"),
        ("sad", "CK+48/sadness/S005_002_00000001.png", "", "ck48:S005", "ck48:S005_002"),
    ]


def test_the_order_in_the_archive_does_not_matter(tmp_path):
    files = {f"CK+48/happy/S001_001_{i:08d}.png": face(i) for i in range(5)}
    one = read("ck48", [zipped(tmp_path / "1.zip", files)])
    other = read("ck48", [zipped(tmp_path / "2.zip", dict(reversed(files.items())))])
    assert one == other


def test_the_sample_knows_persons_and_leaves_its_list_aside(tmp_path):
    path = zipped(
        tmp_path / "sample.zip", {"happy/p007_0001.pgm": b"P5\n1 1\n255\n0", "planted.csv": b"a,b,kind\n"}
    )
    (record,) = read("sample", [path])
    assert (record.label, record.subject) == ("happy", "sample:p007")


@pytest.mark.parametrize("root", ["", "facial_expressions-master/"])
def test_muxspace_reads_its_legend(tmp_path, root):
    legend = b"""user.id,image,emotion
302,a.jpg,HAPPINESS
302,b.jpg,neutral
dwdii,b.jpg,NEUTRAL
jhamski,c.jpg,SURPRISE
jhamski,c.jpg,SADNESS
302,gone.jpg,anger
302,e.jpg,
302,George_W_Bush_0001.jpg,contempt
"""
    names = [f"images/{stem}.jpg" for stem in [*"abcde", "George_W_Bush_0001"]]
    files = {root + name: face(i) for i, name in enumerate(names)}
    files |= {f"{root}data/legend.csv": legend, f"{root}test/1.jpg": face(9), f"{root}README.md": b"text"}
    items = read("muxspace", [zipped(tmp_path / "m.zip", files)])
    assert [(record.label, record.source, record.subject) for record in records(items)] == [
        ("contempt", f"{root}images/George_W_Bush_0001.jpg", "muxspace:George_W_Bush"),
        ("happy", f"{root}images/a.jpg", ""),
        ("neutral", f"{root}images/b.jpg", ""),
    ]
    assert rejected(items) == {
        f"{root}images/c.jpg": "labels that differ: sad, surprise",
        f"{root}images/d.jpg": "no label in data/legend.csv",
        f"{root}images/e.jpg": "no label in data/legend.csv",
        f"{root}images/gone.jpg": "in data/legend.csv, but not in the archive",
    }
    assert skipped(items) == {f"{root}test/1.jpg": "outside_the_set", f"{root}README.md": "outside_the_set"}


@pytest.mark.parametrize(
    ("legend", "match"),
    [
        (b"user.id,image,emotion\n1,a.jpg,bored\n", "line 2: label 'bored'"),
        (b"user.id,picture,emotion\n1,a.jpg,anger\n", "expected user.id,image,emotion"),
        (b"user.id,image,emotion\n1,a.jpg\n", "line 2: 2 cells"),
        (b"", "0 bytes"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_legend_that_is_wrong_stops_the_run(tmp_path, legend, match):
    path = zipped(tmp_path / "m.zip", {"data/legend.csv": legend, "images/a.jpg": face()})
    with pytest.raises(CandidError, match=match):
        read("muxspace", [path])


def test_a_legend_with_a_byte_order_mark_other_line_ends_columns_and_quotes_is_read(tmp_path):
    legend = b'\xef\xbb\xbfemotion,image,x\r\n"anger","a, b.jpg","1"\r\n'
    path = zipped(tmp_path / "m.zip", {"data/legend.csv": legend, "images/a, b.jpg": face()})
    (record,) = read("muxspace", [path])
    assert record.label == "angry"


def test_muxspace_without_a_legend_says_what_it_wants(tmp_path):
    with pytest.raises(CandidError, match=r"0 files data/legend\.csv; expected one"):
        read("muxspace", [zipped(tmp_path / "m.zip", {"images/a.jpg": face()})])


def rafdb(tmp_path, listing, files):
    path = tmp_path / "list_patition_label.txt"
    path.write_bytes(listing)
    return read("rafdb", [path, zipped(tmp_path / "aligned.zip", files)])


def test_rafdb_joins_list_and_aligned_pictures(tmp_path):
    labels = ["surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"]
    listing = "".join(f"train_{i:05d}.jpg {i}\n" for i in range(1, 8)) + "test_0001.jpg 4\ntest_0009.jpg 1\n"
    files = {f"aligned/train_{i:05d}_aligned.jpg": face(i) for i in range(1, 8)}
    files |= {
        "aligned/test_0001_aligned.jpg": face(8),
        "aligned/test_0002_aligned.jpg": face(9),
        "notes.txt": b"-",
    }
    items = rafdb(tmp_path, listing.encode(), files)
    found = {record.source.rpartition("/")[2]: (record.label, record.part) for record in records(items)}
    assert found == {
        "test_0001_aligned.jpg": ("happy", "test"),
        **{f"train_{i:05d}_aligned.jpg": (label, "train") for i, label in enumerate(labels, start=1)},
    }
    assert rejected(items).keys() == {"aligned/test_0002_aligned.jpg", "test_0009.jpg"}
    assert skipped(items) == {"notes.txt": "not_a_picture"}


@pytest.mark.parametrize(
    ("listing", "match"),
    [
        (b"train_00001.jpg 8\n", "line 1: label '8'"),
        (b"train_00001.jpg\n", "line 1: is 'train_00001.jpg'"),
        (b"train_00001.jpg 1 2\n", "line 1"),
        (b"train_00001.jpg 1\ntrain_00001.jpg 2\n", "line 2: names a picture twice"),
        (b"\n\n", "empty"),
        (b"\xff\xff", "not UTF-8"),
    ],
)
def test_a_list_that_is_wrong_stops_the_run(tmp_path, listing, match):
    with pytest.raises(CandidError, match=match):
        rafdb(tmp_path, listing, {"aligned/train_00001_aligned.jpg": face()})


@pytest.mark.parametrize("root", ["", "set/", "a/b/"])
def test_a_folder_of_ones_own_maps_known_words_and_keeps_others(tmp_path, root):
    files = {
        f"{root}Happiness/1.png": face(1),
        f"{root}smirk/2.png": face(2),
        f"{root}smirk/deeper/3.png": face(3),
    }
    items = read("folder", [zipped(tmp_path / "f.zip", files)])
    assert [record.label for record in items] == ["happy", "smirk", "smirk"]
    assert {record.part for record in items} == {""}


@pytest.mark.parametrize(
    ("pattern", "persons"),
    [
        ("(p[0-9]+)_", ["folder:p1", "folder:p2", ""]),
        ("([a-z]+)/", ["", "folder:x", "folder:ada"]),
    ],
    ids=["name", "folder"],
)
def test_persons_are_found_in_the_name_or_in_a_folder_below_the_class(tmp_path, pattern, persons):
    files = dict.fromkeys(
        ["set/train/happy/p1_0.png", "set/train/happy/x/p2_7.png", "set/val/sad/ada/3.png"], face()
    )
    items = read("folder", [zipped(tmp_path / "f.zip", files)], subject_pattern=pattern)
    assert [record.subject for record in items] == persons


def test_a_folder_of_ones_own_may_have_parts(tmp_path):
    files = ["Train/happy/1.png", "Train/smirk/2.png", "val/happy/3.png", "Testing/smirk/4.png"]
    items = read("folder", [zipped(tmp_path / "f.zip", {f"set/{name}": face() for name in files})])
    assert [(record.part, record.label) for record in items] == [
        ("test", "smirk"),
        ("train", "happy"),
        ("train", "smirk"),
        ("validation", "happy"),
    ]


@pytest.mark.parametrize("files", [["happy/1.png"], ["smirk/1.png", "smirk/2.png"], ["set/smirk/1.png"]])
def test_a_single_class_is_not_taken_for_an_enclosing_folder(tmp_path, files):
    items = read("folder", [zipped(tmp_path / "f.zip", dict.fromkeys(files, face()))])
    assert {record.label for record in items} <= {"happy", "smirk"}
    assert len(records(items)) == len(files)


@pytest.mark.parametrize(
    ("files", "stray"),
    [
        (["set/happy/1.png", "set/smirk/2.png", "set/cover.png"], "set/cover.png"),
        (["set/happy/1.png", "set/smirk/2.png", "cover.png"], "cover.png"),
        (["a/b/train/happy/1.png", "a/b/test/smirk/2.png", "a/b/sample.png"], "a/b/sample.png"),
    ],
)
def test_a_stray_picture_does_not_make_the_enclosing_folder_the_class(tmp_path, files, stray):
    items = read("folder", [zipped(tmp_path / "f.zip", dict.fromkeys(files, face()))])
    assert {record.label for record in records(items)} == {"happy", "smirk"}
    assert rejected(items) == {stray: "not in the folder of a class"}
    assert {bool(record.part) for record in records(items)} == {"train" in files[0]}


def test_files_that_are_no_faces_are_told_apart(tmp_path):
    files = {
        "happy/1.png": face(),
        "2.png": face(),
        "README.md": b"-",
        "happy/.DS_Store": b"-",
        "happy/3.png": b"",
    }
    items = read("folder", [zipped(tmp_path / "f.zip", files)])
    assert [record.source for record in records(items)] == ["happy/1.png"]
    assert rejected(items) == {"2.png": "not in the folder of a class", "happy/3.png": "0 bytes"}
    assert skipped(items) == {"README.md": "not_a_picture", "happy/.DS_Store": "not_a_picture"}


def test_composed_and_decomposed_letters_are_one_class(tmp_path):
    files = {"fro\u0308hlich/1.png": face(1), "fr\u00f6hlich/2.png": face(2)}
    items = read("folder", [zipped(tmp_path / "f.zip", files)])
    assert {record.label for record in items} == {"fr\u00f6hlich"}


@pytest.mark.parametrize("name", ["fer2013", "ck48"])
def test_a_label_nobody_knows_stops_the_run(tmp_path, name):
    path = zipped(tmp_path / "a.zip", {"x/happy/1.png": face(), "x/bored/2.png": face()})
    with pytest.raises(
        CandidError, match=r"a\.zip: x/bored/: label 'bored' is unknown; expected one of .*happy"
    ):
        read(name, [path])


def test_classes_and_parts_choose_before_anything_is_read(tmp_path):
    files = {
        "train/happy/Training_1.jpg": face(),
        "train/sad/Training_2.jpg": b"",
        "test/happy/PublicTest_3.jpg": b"",
    }
    wanted = Wanted(frozenset({"happy"}), frozenset({"train"}))
    items = read("fer2013", [zipped(tmp_path / "f.zip", files)], wanted)
    assert [record.source for record in records(items)] == ["train/happy/Training_1.jpg"]
    assert skipped(items) == {"test/happy/PublicTest_3.jpg": "part", "train/sad/Training_2.jpg": "class"}


def test_every_pattern_and_reader_of_the_catalogue_is_usable():
    for name, entry in CATALOGUE.items():
        assert entry.union or entry.archives, name
        assert all(archive.kaggle or archive.url or archive.get for archive in entry.archives) or name in (
            "sample",
            "folder",
        )
