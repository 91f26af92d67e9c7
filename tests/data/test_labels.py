"""Which folder is a class, which a part, and where nobody can know."""

from __future__ import annotations

import unicodedata

import pytest

from candid.data.labels import label_key, label_name, part_of, parts_of
from candid.data.readers import Wanted
from tests.conftest import refusal
from tests.data.made import face, read, records, rejected, skipped, zipped


@pytest.mark.parametrize(
    ("spellings", "key"),
    [
        (["angry", "Anger", " ANGRY "], "angry"),
        (["happiness", "Happy"], "happy"),
        (["afraid", "Fearful"], "fear"),
        (["Smirk", "smirk"], "smirk"),
        (["wütend", unicodedata.normalize("NFD", "wütend"), "WÜTEND"], "wütend"),
        (["a\nb"], "a\\nb"),
    ],
)
def test_one_class_in_several_spellings_has_one_key(spellings, key):
    assert {label_key(name) for name in spellings} == {key}
    assert label_name(" Smirk\r") == "Smirk\\r"


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("train", ["train", "Training", "TRAIN", "images_train", "train_set", "seg_train", "train2017"]),
        ("train", ["TrainImages", "publictrain"]),
        ("validation", ["val", "valid", "Validation", "dev", "PublicTest", "Public_Test", "val_images"]),
        ("test", ["test", "Testing", "PrivateTest", "images-test", "eval", "test_set"]),
        ("", ["happy", "Tester", "trainer", "train_happy", "images", "set", "", "protest", "p01"]),
    ],
)
def test_words_for_parts_are_known_and_others_are_not(part, names):
    assert {name: part_of(name) for name in names} == dict.fromkeys(names, part)


def test_eval_is_the_test_set_unless_there_is_one_beside_it():
    assert parts_of(["train", "dev", "eval"]) == {"train": "train", "dev": "validation", "eval": "test"}
    assert parts_of(["train", "eval", "test"]) == {"train": "train", "eval": "validation", "test": "test"}


def own(tmp_path, *files, classes=None, **changes):
    wanted = Wanted({label_key(name): name for name in classes} if classes else None)
    return read("folder", [zipped(tmp_path / "f.zip", dict.fromkeys(files, face()))], wanted, **changes)


SAD_IN_ALL = [("sad", "test"), ("sad", "train"), ("sad", "validation")]


def of(items):
    return sorted({(record.label, record.part) for record in records(items)})


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["happy/1", "smirk/2"], [("happy", ""), ("smirk", "")]),
        (["a/b/Happiness/1", "a/b/smirk/x/2"], [("happy", ""), ("smirk", "")]),
        (["happy/1"], [("happy", "")]),
        (["set/smirk/1"], [("smirk", "")]),
        (["Train/happy/1", "val/smirk/2"], [("happy", "train"), ("smirk", "validation")]),
        (["Training/sad/1", "PublicTest/sad/2", "PrivateTest/sad/3"], SAD_IN_ALL),
        (["train/sad/1", "dev/sad/2", "eval/sad/3"], SAD_IN_ALL),
        (["seg_train/seg_train/sea/1", "seg_test/seg_test/ice/2"], [("ice", "test"), ("sea", "train")]),
        (["happy/train/1", "sad/test/2"], [("happy", "train"), ("sad", "test")]),
        (["happy/ada/1", "sad/ada/2"], [("happy", ""), ("sad", "")]),
        (["HAPPY/1", "happy/2", "Happiness/3"], [("happy", "")]),
        (["fro\u0308h/1", "fr\u00f6h/2"], [("fröh", "")]),
    ],
)
def test_classes_and_parts_are_found(tmp_path, files, expected):
    assert of(own(tmp_path, *files)) == expected


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["Bored/1", "bored/2", "happy/3"], ["'Bored', 'bored' differ only in case", "data.classes"]),
        (["train/Bored/1", "test/bored/2"], ["'Bored', 'bored' differ only in case"]),
        (["s01/happy/1", "s01/sad/2", "s02/happy/3"], ["'s01', 's02'", "'happy'", "data.classes"]),
        (["ada/frown/1", "ada/smirk/2", "bob/smirk/3"], ["'ada', 'bob'", "'smirk'", "data.classes"]),
        (["train/happy/1", "test/happy/2", "samples/3"], ["'samples'", "parts", "'happy'", "data.classes"]),
        (["train/happy/1", "extra/happy/2"], ["'extra'"]),
        (["train/happy/1", "seg_pred/seg_pred/2"], ["'seg_pred'"]),
        (["happy/sad/1", "angry/sad/2"], ["'angry', 'happy'", "'sad'"]),
    ],
)
def test_ambiguous_folders_stop_the_run_and_the_setting_that_resolves_them_is_named(tmp_path, files, words):
    line = refusal(own, tmp_path, *files)
    assert all(word in line for word in [*words, "f.zip", "data.classes"]), line


@pytest.mark.parametrize(
    ("files", "classes", "expected"),
    [
        (["Bored/1", "bored/2", "happy/3"], ["bored"], [("bored", "")]),
        (["s01/happy/1", "s02/sad/2"], ["happy", "sad"], [("happy", ""), ("sad", "")]),
        (["train/s01/happy/1", "test/s02/sad/2"], ["happy", "sad"], [("happy", "train"), ("sad", "test")]),
        (["train/happy/1", "test/happy/2", "samples/3"], ["happy"], [("happy", "test"), ("happy", "train")]),
        (["frown/ada/1", "smirk/ada/2"], ["frown", "smirk"], [("frown", ""), ("smirk", "")]),
    ],
)
def test_the_classes_of_the_settings_resolve_them(tmp_path, files, classes, expected):
    assert of(own(tmp_path, *files, classes=classes)) == expected


def test_an_unlabelled_part_is_skipped_and_a_stray_picture_rejected(tmp_path):
    items = own(tmp_path, "train/happy/1", "train/smirk/2", "test/3", "cover")
    assert of(items) == [("happy", "train"), ("smirk", "train")]
    assert skipped(items) == {"test/3": "unlabelled"}
    assert rejected(items) == {"cover": "not in the folder of a class"}


@pytest.mark.parametrize(
    ("files", "stray"),
    [
        (["set/happy/1", "set/smirk/2", "set/cover"], "set/cover"),
        (["a/b/train/happy/1", "a/b/test/smirk/2", "a/b/sample"], "a/b/sample"),
    ],
)
def test_a_stray_picture_does_not_make_the_enclosing_folder_the_class(tmp_path, files, stray):
    items = own(tmp_path, *files)
    assert {record.label for record in records(items)} == {"happy", "smirk"}
    assert rejected(items) == {stray: "not in the folder of a class"}


BELOW = ["set/train/happy/p1_0.png", "set/train/happy/x/p2_7.png", "set/val/sad/ada/3.png"]
ABOVE = ["s01/happy/1.png", "s02/happy/1.png", "s02/sad/2.png"]


@pytest.mark.parametrize(
    ("files", "classes", "pattern", "subjects"),
    [
        (BELOW, None, "(p[0-9]+)_", ["folder:p1", "folder:p2", ""]),
        (BELOW, None, "([a-z]+)/", ["", "folder:x", "folder:ada"]),
        (ABOVE, ["happy", "sad"], "(s[0-9]+)/", ["folder:s01", "folder:s02", "folder:s02"]),
    ],
)
def test_persons_are_found_in_the_name_or_in_a_folder(tmp_path, files, classes, pattern, subjects):
    items = own(tmp_path, *files, classes=classes, subject_pattern=pattern)
    assert [record.subject for record in records(items)] == subjects
