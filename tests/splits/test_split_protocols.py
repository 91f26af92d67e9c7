"""What a split promises: groups whole, parts in proportion, the same answer every time."""

import networkx  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candid.data.faces import PARTS
from candid.errors import CandidError
from candid.splits.assign import random_keys
from candid.splits.groups import components
from candid.splits.params import KINDS
from candid.splits.protocols import split_faces
from tests.splits.split_tables import related_faces, split_settings, tables

SEVEN = {
    "angry": 6_900,
    "disgust": 740,
    "fear": 7_140,
    "happy": 12_400,
    "sad": 8_330,
    "surprise": 5_540,
    "neutral": 8_250,
}


def relations(faces, kept, kinds):
    """The relation graph by an independent library, for comparison."""
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(faces)))
    values = {
        "subject": faces["subject"],
        "sequence": faces["sequence"],
        "duplicate": kept["group"].replace(-1, ""),
    }
    for kind in kinds:
        for face, value in enumerate(values[kind]):
            if value != "":
                graph.add_edge(face, (kind, value))
    return [
        {node for node in part if not isinstance(node, tuple)}
        for part in networkx.connected_components(graph)
    ]


def test_a_split_of_49300_faces_has_exactly_the_papers_parts():
    labels = np.repeat(list(SEVEN), list(SEVEN.values()))
    splits = split_faces(*tables(labels), split_settings())
    assert splits["part"].value_counts().to_dict() == {"train": 44_370, "validation": 2_465, "test": 2_465}
    for name, count in SEVEN.items():
        part = splits["part"][splits["label"] == name].value_counts()
        for ratio, key in zip((0.9, 0.05, 0.05), PARTS, strict=True):
            assert abs(part[key] - count * ratio) <= 1


@settings(deadline=None, max_examples=40)
@given(
    related_faces(), st.sampled_from(["random", "folds"]), st.sets(st.sampled_from(KINDS)), st.integers(0, 99)
)
def test_groups_never_span_parts(data, protocol, kinds, seed):
    faces, kept = data
    splits = split_faces(
        faces, kept, split_settings(protocol=protocol, folds=4, groups=sorted(kinds), seed=seed)
    )
    assert splits["id"].tolist() == kept["id"][kept["kept"]].tolist()
    part = splits.set_index("id")["part"]
    for members in relations(faces, kept, kinds):
        assert part.reindex(sorted(members)).dropna().nunique() <= 1


@settings(deadline=None, max_examples=40)
@given(related_faces())
def test_group_column_is_the_component_over_all_kinds_whatever_is_kept_together(data):
    faces, kept = data
    splits = split_faces(faces, kept, split_settings(groups=[])).set_index("id")
    for members in relations(faces, kept, KINDS):
        here = sorted(members & set(splits.index))
        assert set(splits["group"].reindex(here)) == set(here[:1])


@settings(deadline=None, max_examples=20)
@given(related_faces(), st.integers(3, 6), st.integers(0, 2))
def test_folds_partition_the_faces_as_test_and_as_validation(data, folds, repeat):
    faces, kept = data
    runs = [
        split_faces(faces, kept, split_settings(protocol="folds", folds=folds, fold=fold, repeat=repeat))
        for fold in range(folds)
    ]
    for part in ("test", "validation"):
        ids = np.concatenate([run["id"][run["part"] == part] for run in runs])
        assert sorted(ids) == kept["id"][kept["kept"]].tolist()
    for fold, run in enumerate(runs):
        following = runs[(fold + 1) % folds]
        assert (
            run["id"][run["part"] == "validation"].tolist()
            == following["id"][following["part"] == "test"].tolist()
        )


def test_folds_without_groups_are_stratified_to_one_face():
    labels = ["happy"] * 203 + ["sad"] * 51
    sizes = []
    for fold in range(10):
        splits = split_faces(*tables(labels), split_settings(protocol="folds", fold=fold))
        test = splits["label"][splits["part"] == "test"].value_counts()
        assert test["happy"] in (20, 21)
        assert test["sad"] in (5, 6)
        sizes.append(int(test.sum()))
    assert sorted(set(sizes)) == [25, 26]
    assert sum(sizes) == 254


def test_big_groups_leave_the_classes_in_proportion():
    rng = np.random.default_rng(1)
    subjects = rng.integers(0, 120, 3_000)
    labels = rng.choice(["angry", "happy", "sad"], 3_000)
    splits = split_faces(
        *tables(labels, subject=[f"s{s}" for s in subjects]), split_settings(ratios=[0.8, 0.1, 0.1])
    )
    share = splits["part"].value_counts(normalize=True)
    assert abs(share["test"] - 0.1) < 0.01
    table = pd.crosstab(splits["label"], splits["part"], normalize="columns")
    assert (table["test"] - table["train"]).abs().max() < 0.04
    assert splits.groupby("group")["part"].nunique().max() == 1


@settings(deadline=None, max_examples=20)
@given(related_faces(), st.randoms(use_true_random=False), st.sampled_from(["random", "folds"]))
def test_the_order_of_rows_does_not_matter(data, random, protocol):
    faces, kept = data
    order = list(range(len(faces)))
    random.shuffle(order)
    wanted = split_settings(protocol=protocol, folds=3)
    assert split_faces(faces, kept, wanted).equals(
        split_faces(faces.iloc[order], kept.iloc[order[::-1]], wanted)
    )


def test_seed_and_repeat_change_the_split_and_nothing_else_does():
    faces, kept = tables(["happy"] * 300 + ["sad"] * 100)

    def test_ids(**changes):
        splits = split_faces(faces, kept, split_settings(**changes))
        return splits["id"][splits["part"] == "test"].tolist()

    assert test_ids() == test_ids(repeat=5) == test_ids(folds=7)
    assert test_ids() != test_ids(seed=1)
    assert test_ids(protocol="folds") != test_ids(protocol="folds", repeat=1)
    assert test_ids(protocol="folds") != test_ids(protocol="folds", seed=1)


def test_the_stream_is_the_one_that_every_machine_draws():
    # Raw PCG64 bits for entropy (0, 0); a change here changes every split that was ever published.
    assert random_keys(3, 0, 0).tolist() == [11749869230777074271, 4976686463289251617, 755828109848996024]


def test_a_removed_face_still_relates_those_it_links():
    # Faces 0 and 40 share nothing, but face 20, which was removed, has the subject of 0 and is a copy of 40.
    subject, duplicate, kept = [""] * 60, [-1] * 60, [True] * 60
    subject[0] = subject[20] = "a"
    duplicate[20] = duplicate[40] = 20
    kept[20] = False
    splits = split_faces(*tables(["sad"] * 60, subject, "", duplicate, kept=kept), split_settings())
    assert splits.set_index("id")["group"].loc[[0, 40, 1]].tolist() == [0, 0, 1]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.integers(-1, 9), min_size=12, max_size=12), max_size=3))
def test_components_are_those_of_the_graph(kinds):
    graph = networkx.empty_graph(12)
    graph.add_edges_from(
        (a, b) for codes in kinds for a in range(12) for b in range(12) if codes[a] == codes[b] != -1
    )
    expected = [0] * 12
    for members in networkx.connected_components(graph):
        for face in members:
            expected[face] = min(members)
    assert components(12, [np.array(codes) for codes in kinds]).tolist() == expected


@pytest.mark.parametrize(
    ("labels", "changes", "words"),
    [
        (["happy"] * 50 + ["sad"] * 2, {}, ["'sad'", "2 faces", "3 parts", "data.classes"]),
        (["happy"] * 50 + ["sad"] * 9, {"protocol": "folds"}, ["'sad'", "9 faces", "10 folds"]),
        (["happy"] * 9, {"protocol": "random"}, ["9 faces", "test", "empty"]),
    ],
)
def test_too_few_faces_are_one_clear_error(labels, changes, words):
    with pytest.raises(CandidError) as caught:
        split_faces(*tables(labels), split_settings(**changes))
    assert all(word in str(caught.value) for word in words), caught.value


def test_too_few_groups_are_one_clear_error():
    subject = ["a"] * 20 + ["b"] * 20 + [""] * 60
    with pytest.raises(CandidError, match=r"'sad' has 40 faces in 2 groups that stay together.* 3 groups"):
        split_faces(*tables(["sad"] * 40 + ["happy"] * 60, subject), split_settings())


def test_tables_of_different_faces_are_refused():
    faces, kept = tables(["sad"] * 60)
    with pytest.raises(CandidError, match=r"kept\.csv: 59 ids"):
        split_faces(faces, kept[:-1], split_settings())
    with pytest.raises(CandidError, match="no face is kept"):
        split_faces(faces, kept.assign(kept=False), split_settings())
