"""Every published layout is read as its publishers mean it."""

from __future__ import annotations

import pytest

from candid.data.catalogue import DataSettings
from candid.data.faces import LABELS
from candid.data.readers import Skipped, Wanted
from candid.errors import CandidError
from tests.data.made import CATALOGUE, EVERYTHING, SETTINGS, face, read, records, rejected, skipped, zipped


@pytest.mark.parametrize(
    ("dataset", "faces"),
    [
        (
            "fer2013",
            {
                "test/happy/PublicTest_2.jpg": ("happy", "validation", "", ""),
                "test/sad/PrivateTest_3.png": ("sad", "test", "", ""),
                "train/angry/Training_1.jpg": ("angry", "train", "", ""),
            },
        ),
        (
            "ck48",
            {
                "CK+48/anger/S005_001_00000009.png": ("angry", "", "ck48:S005", "ck48:S005_001"),
                "CK+48/contempt/S138_008_00000007.png": ("contempt", "", "ck48:S138", "ck48:S138_008"),
                "CK+48/sadness/S005_002_00000001.png": ("sad", "", "ck48:S005", "ck48:S005_002"),
            },
        ),
        ("sample", {"happy/p007_0001.png": ("happy", "", "sample:p007", "")}),
    ],
)
def test_names_and_folders_say_label_part_subject_and_sequence(tmp_path, dataset, faces):
    files = dict.fromkeys(reversed(faces), face()) | {"planted.csv": b"a,b,kind\n"}
    read_in_order = records(read(dataset, [zipped(tmp_path / "a.zip", files)]))
    assert {r.source: (r.label, r.part, r.subject, r.sequence) for r in read_in_order} == faces
    assert [record.source for record in read_in_order] == [*faces]


LEGEND = b"""user.id,image,emotion
302,a.jpg,HAPPINESS
302,b.jpg,neutral
dwdii,b.jpg,NEUTRAL
jhamski,c.jpg,SURPRISE
jhamski,c.jpg,SADNESS
302,gone.jpg,anger
302,e.jpg,
302,George_W_Bush_0001.jpg,contempt
"""


def muxspace(tmp_path, root="", wanted=EVERYTHING):
    names = [f"images/{stem}.jpg" for stem in [*"abcde", "George_W_Bush_0001"]]
    files = {root + name: face(i) for i, name in enumerate(names)}
    files |= {f"{root}data/legend.csv": LEGEND, f"{root}test/1.jpg": face(9), f"{root}README.md": b"text"}
    return read("muxspace", [zipped(tmp_path / "m.zip", files)], wanted)


@pytest.mark.parametrize("root", ["", "facial_expressions-master/"])
def test_muxspace_reads_its_legend(tmp_path, root):
    items = muxspace(tmp_path, root)
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


def test_fergit_counts_rows_of_muxspace_without_contempt_and_its_sadness(tmp_path):
    wanted = Wanted.of(SETTINGS.model_copy(update={"dataset": "fergit"}), CATALOGUE["fergit"])
    items = muxspace(tmp_path, wanted=wanted)
    assert [(record.label, record.source) for record in records(items)] == [
        ("happy", "images/a.jpg"),
        ("neutral", "images/b.jpg"),
        ("neutral", "images/b.jpg#2"),
        ("surprise", "images/c.jpg"),
    ]
    assert skipped(items)["images/George_W_Bush_0001.jpg"] == "class"
    assert wanted.skips("sad", "", "muxspace") == "class"
    assert wanted.skips("sad", "", "fer2013") == ""
    union = Wanted.of(SETTINGS.model_copy(update={"dataset": "fergit_sad"}), CATALOGUE["fergit_sad"])
    assert union.skips("sad", "", "muxspace") == ""


def test_a_legend_with_a_byte_order_mark_other_line_ends_columns_and_quotes_is_read(tmp_path):
    legend = b'\xef\xbb\xbfemotion,image,x\r\n"anger","a, b.jpg","1"\r\n'
    path = zipped(tmp_path / "m.zip", {"data/legend.csv": legend, "images/a, b.jpg": face()})
    assert [record.label for record in read("muxspace", [path])] == ["angry"]


def rafdb(tmp_path, listing, files):
    path = tmp_path / "list_patition_label.txt"
    path.write_bytes(listing)
    return read("rafdb", [path, zipped(tmp_path / "aligned.zip", files)])


def test_rafdb_joins_list_and_aligned_pictures(tmp_path):
    labels = ["surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"]
    listing = "".join(f"train_{i:05d}.jpg {i}\n" for i in range(1, 8)) + "test_0001.jpg 4\ntest_0009.jpg 1\n"
    files = {f"aligned/train_{i:05d}_aligned.jpg": face(i) for i in range(1, 8)}
    files |= dict.fromkeys(["aligned/test_0001_aligned.jpg", "aligned/test_0002_aligned.jpg"], face(8))
    files["notes.txt"] = b"-"
    items = rafdb(tmp_path, listing.encode(), files)
    assert {r.source.rpartition("/")[2]: (r.label, r.part) for r in records(items)} == {
        "test_0001_aligned.jpg": ("happy", "test"),
        **{f"train_{i:05d}_aligned.jpg": (label, "train") for i, label in enumerate(labels, start=1)},
    }
    assert rejected(items).keys() == {"aligned/test_0002_aligned.jpg", "test_0009.jpg"}
    assert skipped(items) == {"notes.txt": "not_a_picture"}


def test_what_is_no_face_is_skipped_or_rejected_with_its_reason(tmp_path):
    files = {
        **{"happy/1.png": face(), "2.png": face(), "happy/3.png": b"", "README.md": b"-"},
        **{
            "happy/.DS_Store": b"-",
            "happy/4.dng": b"-",
            "sad/5.mts": b"-",
            "sad/6.png": face(),
            "fear/": b"",
        },
    }
    items = read("folder", [zipped(tmp_path / "f.zip", files)])
    assert [record.source for record in records(items)] == ["happy/1.png", "sad/6.png"]
    assert rejected(items) == {"2.png": "not in the folder of a class", "happy/3.png": "0 bytes"}
    assert skipped(items) == {
        "README.md": "not_a_picture",
        "happy/.DS_Store": "not_a_picture",
        "happy/4.dng": "raw_photograph",
        "sad/5.mts": "video",
        "fear/": "empty_folder",
    }


@pytest.mark.parametrize("name", ["fer2013", "ck48"])
def test_a_label_nobody_knows_stops_the_run(tmp_path, name):
    path = zipped(tmp_path / "a.zip", {"x/happy/1.png": face(), "x/bored/2.png": face()})
    match = r"a\.zip: x/bored/: label 'bored' is unknown; expected one of .*happy"
    with pytest.raises(CandidError, match=match):
        read(name, [path])


def test_classes_and_parts_choose_before_anything_is_read(tmp_path):
    files = {"train/happy/Training_1.jpg": face()}
    files |= dict.fromkeys(["train/sad/Training_2.jpg", "test/happy/PublicTest_3.jpg"], b"")
    wanted = Wanted({"happy": "happy"}, frozenset({"train"}))
    items = read("fer2013", [zipped(tmp_path / "f.zip", files)], wanted)
    assert [record.source for record in records(items)] == ["train/happy/Training_1.jpg"]
    assert skipped(items) == {"test/happy/PublicTest_3.jpg": "part", "train/sad/Training_2.jpg": "class"}
    assert not [item for item in items if isinstance(item, Skipped) and not item.label]


@pytest.mark.parametrize(
    ("classes", "match"),
    [
        (["a", "b", "a"], "names 'a' twice"),
        (["Smirk", "smirk"], "names 'smirk' twice"),
        (["anger", "angry"], "names 'angry' twice"),
    ],
)
def test_impossible_classes_are_refused_before_anything_is_read(classes, match):
    settings: DataSettings = SETTINGS.model_copy(update={"classes": classes})
    with pytest.raises(CandidError, match=match):
        Wanted.of(settings, CATALOGUE["folder"])


def test_contempt_is_left_out_unless_it_is_named():
    assert Wanted.of(SETTINGS, CATALOGUE["fergit"]).skips("contempt", "") == "class"
    assert Wanted.of(SETTINGS, CATALOGUE["ck48"]).skips("contempt", "") == ""
    assert Wanted.of(SETTINGS, CATALOGUE["folder"]).skips("contempt", "") == ""
    named = SETTINGS.model_copy(update={"classes": ["contempt", "happy"]})
    assert Wanted.of(named, CATALOGUE["muxspace"]).skips("contempt", "") == ""
    assert Wanted.of(named, CATALOGUE["muxspace"]).skips("sad", "") == "class"


def test_every_entry_of_the_catalogue_can_be_had_and_names_labels_and_datasets_that_there_are():
    for name, entry in CATALOGUE.items():
        assert {*entry.labels.values(), *(label.rpartition(":")[2] for label in entry.drop)} <= {*LABELS}
        assert {*entry.union} <= CATALOGUE.keys()
        assert entry.union or entry.archives, name
        ways = [archive.kaggle or archive.url or archive.get for archive in entry.archives]
        assert all(ways) or name in ("sample", "folder"), name
