"""Every policy and every rule for conflicts, on small tables and as laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candid.data.catalogue import Dataset
from candid.duplicates.policy import CONFLICT, MINORITY, conflicting, decide, resolve
from candid.duplicates.settings import DedupSettings
from candid.errors import CandidError


def table(rows: list[tuple[str, str, int]]) -> tuple[pd.DataFrame, np.ndarray]:
    """(label, part, group) -> faces whose sources sort against their ids, and the groups."""
    faces = pd.DataFrame(rows, columns=["label", "part", "group"])
    sources = [f"file{len(rows) - i:03d}" for i in range(len(rows))]
    groups = faces.pop("group").to_numpy(np.int64)
    return faces.assign(id=np.arange(len(rows)), source=sources), groups


def reasons(rows, policy="remove", protect=("test",), conflicts="report") -> list[str]:
    faces, groups = table(rows)
    kept = decide(faces, groups, policy, protect, conflicts)
    assert list(kept.columns) == ["id", "group", "kept", "reason"]
    assert kept["kept"].tolist() == [not reason for reason in kept["reason"]]
    return kept["reason"].tolist()


def test_the_majority_label_stays_and_the_name_decides_last():
    rows = [("sad", "", 0), ("happy", "", 0), ("happy", "", 0), ("sad", "", -1)]
    assert reasons(rows) == ["copy of 2", "copy of 2", "", ""]


def test_protected_faces_stay_and_their_copies_go():
    rows = [("sad", "train", 0), ("sad", "test", 0), ("sad", "test", 0), ("sad", "validation", 0)]
    assert reasons(rows) == ["copy of 2", "", "", "copy of 2"]
    assert reasons(rows, protect=("test", "validation")) == ["copy of 2", "", "", ""]
    assert reasons(rows, protect=()) == ["copy of 2", "copy of 2", "", "copy of 2"]


def test_decontaminate_without_a_protected_part_is_refused():
    with pytest.raises(ValueError, match="expected one or more in"):
        DedupSettings(policy="decontaminate", protect=[])


def test_decontaminate_removes_copies_of_protected_faces_and_no_others():
    rows = [
        ("sad", "train", 0),
        ("sad", "test", 0),
        ("sad", "train", 2),
        ("sad", "train", 2),
        ("sad", "", -1),
    ]
    assert reasons(rows, "decontaminate") == ["copy of 1", "", "", "", ""]
    assert reasons(rows, "decontaminate", protect=("validation",)) == ["", "", "", "", ""]


@pytest.mark.parametrize("parts", [("train", "validation"), ("validation", "train")])
def test_a_part_to_be_measured_on_stays_whatever_files_are_called(parts):
    """FER2013 as folders and as a table name the same faces in other orders."""
    stays = parts.index("validation")
    found = reasons([("sad", part, 0) for part in parts])
    assert found[stays] == ""
    assert found[1 - stays] == f"copy of {stays}"


def test_majority_drops_other_labels():
    rows = [
        ("sad", "train", 0),
        ("sad", "train", 0),
        ("happy", "train", 0),
        ("happy", "test", 0),
        ("sad", "", 0),
    ]
    assert reasons(rows, "group", conflicts="majority") == ["", "", MINORITY, "", ""]
    assert reasons(rows, "group", protect=(), conflicts="majority") == ["", "", MINORITY, MINORITY, ""]
    kept = reasons([("sad", "", 0), ("happy", "", 0), ("happy", "", 0)], "remove", conflicts="majority")
    assert kept == [MINORITY, "copy of 2", ""]


def test_majority_without_a_most_frequent_label_drops_all():
    rows = [("sad", "", 0), ("happy", "", 0), ("sad", "", 2), ("sad", "", 2)]
    assert reasons(rows, "group", conflicts="majority") == [CONFLICT, CONFLICT, "", ""]


def test_drop_drops_conflicting_groups():
    rows = [("sad", "train", 0), ("happy", "test", 0), ("happy", "", 0), ("sad", "", 3), ("sad", "", 3)]
    assert reasons(rows, "group", conflicts="drop") == [CONFLICT, "", CONFLICT, "", ""]
    assert reasons(rows, "remove", conflicts="drop") == [CONFLICT, "", CONFLICT, "copy of 4", ""]


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["sad", "happy", "fear"]),
        st.sampled_from(["train", "validation", "test", ""]),
        st.integers(-1, 4),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=60)
@given(
    ROWS,
    st.sampled_from(["remove", "decontaminate", "group", "off"]),
    st.sampled_from(["report", "majority", "drop"]),
    st.sets(st.sampled_from(["train", "validation", "test"])),
)
def test_laws(rows, policy, conflicts, protect):
    faces, groups = table(rows)
    kept = decide(faces, groups, policy, protect, conflicts)
    stays = kept["kept"].to_numpy()
    guarded = faces["part"].isin(list(protect)).to_numpy()
    assert stays[guarded].all()
    assert stays[groups < 0].all()
    if policy == "off":
        assert stays.all()
    for group in set(groups[groups >= 0].tolist()):
        members = groups == group
        free, protected = members & ~guarded, members & guarded
        if policy == "remove":
            assert stays[free].sum() <= (0 if protected.any() else 1)
            if conflicts == "report" and not protected.any():
                assert stays[members].sum() == 1
        if policy == "decontaminate" and conflicts == "report":
            assert stays[free].sum() == (0 if protected.any() else free.sum())
        if conflicts == "drop" and policy != "off" and faces["label"][members].nunique() > 1:
            assert not stays[free].any()
    for row, reason in enumerate(kept["reason"]):
        if reason.startswith("copy of "):
            original = int(reason.removeprefix("copy of "))
            assert stays[original]
            assert groups[original] == groups[row] >= 0


@settings(deadline=None, max_examples=30)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_decide(rows, random):
    faces, groups = table(rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    one = decide(faces, groups, "remove", ["test"], "majority")
    two = decide(faces.iloc[order].reset_index(drop=True), groups[order], "remove", ["test"], "majority")
    pd.testing.assert_frame_equal(two.sort_values("id", ignore_index=True), one)


def test_conflicting_is_by_group():
    labels = np.array(["sad", "sad", "happy", "sad", "happy"], object)
    assert conflicting(labels, np.array([0, 0, -1, 3, 3])).tolist() == [False, False, False, True, True]


def test_auto_is_the_catalogues_choice():
    about = dict.fromkeys(("title", "homepage", "licence", "citation"), "")
    choices = {"a": "remove", "b": "remove", "c": "group", "d": "off"}
    catalogue = {name: Dataset.model_validate({**about, "dedup": each}) for name, each in choices.items()}
    for names, policy in (("a", "remove"), ("ab", "remove"), ("c", "group"), ("d", "off"), ("ac", "group")):
        assert resolve([*names], catalogue) == policy
    with pytest.raises(CandidError, match="'x'; expected one of a, b, c, d"):
        resolve(["a", "x"], catalogue)
