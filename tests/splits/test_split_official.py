"""Protocol official: the published parts decide, and their leaks are counted."""

import numpy as np
import pytest

from candid.errors import CandidError
from candid.splits.groups import kind_codes
from candid.splits.protocols import split_faces
from candid.splits.summary import summary
from tests.splits.split_tables import split_settings, tables

LABELS = ["happy", "sad"] * 100
PARTS = ["train"] * 160 + ["validation"] * 20 + ["test"] * 20


def official(**parts):
    whole = {"train": ["train"], "validation": ["validation"], "test": ["test"], **parts}
    return split_settings(protocol="official", official=whole, ratios=[0.8, 0.1, 0.1])


def test_published_parts_are_taken_as_they_are():
    splits = split_faces(*tables(LABELS, part=PARTS), official())
    assert splits["part"].tolist() == PARTS


def test_a_paper_that_tests_on_both_held_out_parts():
    splits = split_faces(*tables(LABELS, part=PARTS), official(validation=[], test=["validation", "test"]))
    assert splits["part"].value_counts().to_dict() == {"train": 142, "validation": 18, "test": 40}
    assert (splits["part"][160:] == "test").all()


@pytest.mark.parametrize("validation", [[], ["validation"]])
def test_validation_is_carved_out_of_train_in_proportion_and_in_groups(validation):
    parts = ["train"] * 180 + ["test"] * 20
    subject = [f"s{i // 3}" for i in range(200)]
    splits = split_faces(*tables(LABELS, subject, part=parts), official(validation=validation))
    counts = splits["part"].value_counts()
    assert counts["test"] == 20
    assert abs(counts["validation"] - 20) <= 1
    part = splits["part"][:180].to_numpy().reshape(-1, 3)
    assert (part == part[:, :1]).all()


def test_faces_without_a_published_part_can_train():
    parts = ["train"] * 100 + [""] * 60 + ["validation"] * 20 + ["test"] * 20
    splits = split_faces(*tables(LABELS, part=parts), official(train=["train", "none"]))
    assert splits["part"].value_counts().to_dict() == {"train": 160, "validation": 20, "test": 20}


def test_leaks_of_the_published_parts_are_counted():
    duplicate, subject = np.full(200, -1), [""] * 200
    duplicate[[0, 180, 181]] = 0  # two test faces with a copy in train
    duplicate[[182, 183]] = 182  # copies within the test part: no leak
    subject[1] = subject[181] = subject[184] = subject[160] = "a"  # 181 by subject too; 160 validates
    faces, kept = tables(LABELS, subject, "", duplicate, part=PARTS)
    splits = split_faces(faces, kept, official())
    said = summary(splits, kind_codes(faces, kept))
    assert said["leaky"] is True
    assert said["leaked_test_faces"] == 3
    assert said["leaked_test_faces_by"] == {"subject": 2, "sequence": 0, "duplicate": 2}
    assert said["leaked_validation_faces"] == 1
    assert (said["groups"], said["grouped_faces"], said["largest_group"]) == (2, 8, 6)
    assert said["test"] == {
        "faces": 20,
        "share": 0.1,
        "per_class": {"happy": {"faces": 10, "share": 0.5}, "sad": {"faces": 10, "share": 0.5}},
    }


def test_a_split_without_leaks_says_so():
    faces, kept = tables(LABELS, [f"s{i // 2}" for i in range(200)])
    said = summary(split_faces(faces, kept, split_settings()), kind_codes(faces, kept))
    assert said["leaky"] is False
    assert said["leaked_test_faces"] == said["leaked_validation_faces"] == 0
    said = summary(split_faces(faces, kept, split_settings(groups=["duplicate"])), kind_codes(faces, kept))
    assert said["leaky"] is True
    assert said["leaked_test_faces"] == said["leaked_test_faces_by"]["subject"] > 0


@pytest.mark.parametrize(
    ("parts", "changes", "words"),
    [
        ([""] * 200, {}, ["no such parts", "random or folds"]),
        (["train"] * 200, {}, ["split.official.test", "train 200"]),
        (["test"] * 200, {}, ["split.official.train", "test 200"]),
        (PARTS, {"validation": [], "test": ["test"]}, ["20 faces", "'validation'", "data.parts"]),
        ([""] * 20 + PARTS[20:], {}, ["20 faces", "'none'"]),
    ],
)
def test_missing_or_unused_parts_are_one_clear_error(parts, changes, words):
    with pytest.raises(CandidError) as caught:
        split_faces(*tables(LABELS, part=parts), official(**changes))
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_class_that_nothing_trains_is_an_error():
    labels = ["happy"] * 199 + ["sad"]
    with pytest.raises(CandidError, match="'sad' has no face in the train part"):
        split_faces(*tables(labels, part=PARTS), official())
