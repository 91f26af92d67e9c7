"""What a split promises: groups whole, parts exact, the same answer every time, leaks counted."""

from __future__ import annotations

import json
from typing import Any

import networkx  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candid.data.faces import PARTS
from candid.errors import CandidError
from candid.files import write_csv
from candid.settings import check
from candid.splits.assign import random_keys
from candid.splits.params import KINDS, SplitSettings
from candid.splits.split import split, split_faces, summary
from stages.split import main
from tests.conftest import refusal

SECTION: dict[str, Any] = {
    "protocol": "random",
    "ratios": [0.9, 0.05, 0.05],
    "official": {"train": ["train"], "validation": ["validation"], "test": ["test"]},
    "groups": ["subject", "sequence", "duplicate"],
    "folds": 10,
    "fold": 0,
    "repeat": 0,
    "seed": 0,
}


def split_settings(**changes: Any) -> SplitSettings:
    return check("split", SplitSettings, {**SECTION, **changes})


def tables(
    labels, subject="", sequence="", duplicate=-1, part="", kept=True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """data/faces.csv and data/kept.csv of faces with these labels; the rest one value or one a face."""
    ids = np.arange(len(labels))
    faces = pd.DataFrame({"id": ids, "label": list(labels), "source": "x", "dataset": "made"})
    faces = faces.assign(part=part, subject=subject, sequence=sequence)
    return faces, pd.DataFrame({"id": ids}).assign(group=duplicate, kept=kept, reason="")


@st.composite
def related_faces(draw, least=60, most=250):
    """Faces of three classes of which some share subject, sequence or duplicate group; some are not kept."""
    count = draw(st.integers(least, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    labels = rng.choice(["angry", "happy", "sad"], count, p=[0.2, 0.5, 0.3])

    def some(share: float, none: Any) -> Any:
        return np.where(
            rng.random(count) < share, rng.integers(0, count // 3, count).astype(type(none)), none
        )

    share = draw(st.sampled_from([0.0, 0.1, 0.3]))
    subject, sequence, duplicate = some(share, ""), some(share / 2, ""), some(share, -1)
    return tables(labels, subject, sequence, duplicate, kept=rng.random(count) < 0.95)


SEVEN = {
    **{"angry": 6_900, "disgust": 740, "fear": 7_140, "happy": 12_400, "sad": 8_330, "surprise": 5_540},
    "neutral": 8_250,
}


def relations(faces, kept, kinds):
    """The relation graph by an independent library, for comparison."""
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(faces)))
    values = faces[["subject", "sequence"]].assign(duplicate=kept["group"].replace(-1, ""))
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
    for run, following in zip(runs, [*runs[1:], runs[0]], strict=True):
        assert [*run["id"][run["part"] == "validation"]] == [*following["id"][following["part"] == "test"]]


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


@pytest.mark.parametrize(
    ("labels", "changes", "words"),
    [
        (["happy"] * 50 + ["sad"] * 2, {}, ["'sad'", "2 faces", "3 parts", "data.classes"]),
        (["happy"] * 50 + ["sad"] * 9, {"protocol": "folds"}, ["'sad'", "9 faces", "10 folds"]),
        (["happy"] * 9, {"protocol": "random"}, ["9 faces", "test", "empty"]),
    ],
)
def test_too_few_faces_are_one_clear_error(labels, changes, words):
    line = refusal(split_faces, *tables(labels), split_settings(**changes))
    assert all(word in line for word in words), line


def test_too_few_groups_and_tables_of_different_faces_are_one_clear_error():
    subject = ["a"] * 20 + ["b"] * 20 + [""] * 60
    faces, kept = tables(["sad"] * 40 + ["happy"] * 60, subject)
    with pytest.raises(CandidError, match=r"'sad' has 40 faces in 2 groups that stay together.* 3 groups"):
        split_faces(faces, kept, split_settings())
    with pytest.raises(CandidError, match=r"kept\.csv: 99 ids"):
        split_faces(faces, kept[:-1], split_settings())
    with pytest.raises(CandidError, match="no face is kept"):
        split_faces(faces, kept.assign(kept=False), split_settings())


LABELS = ["happy", "sad"] * 100
OFFICIAL = ["train"] * 160 + ["validation"] * 20 + ["test"] * 20


def official(**parts):
    whole = {"train": ["train"], "validation": ["validation"], "test": ["test"], **parts}
    return split_settings(protocol="official", official=whole, ratios=[0.8, 0.1, 0.1])


@pytest.mark.parametrize(
    ("part", "changes", "train", "validation", "test"),
    [
        (OFFICIAL, {"validation": [], "test": ["validation", "test"]}, 142, 18, 40),  # as some papers test
        (OFFICIAL[:100] + [""] * 60 + OFFICIAL[160:], {"train": ["train", "none"]}, 160, 20, 20),
    ],
)
def test_official_parts_make_ours(part, changes, train, validation, test):
    splits = split_faces(*tables(LABELS, part=part), official(**changes))
    assert splits["part"].value_counts().to_dict() == {"train": train, "validation": validation, "test": test}
    assert (splits["part"][-test:] == "test").all()


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


def test_leaks_of_the_published_parts_are_counted():
    duplicate, subject = np.full(200, -1), [""] * 200
    duplicate[[0, 180, 181]] = 0  # two test faces with a copy in train
    duplicate[[182, 183]] = 182  # copies within the test part: no leak
    subject[1] = subject[181] = subject[184] = subject[160] = "a"  # 181 by subject too; 160 validates
    faces, kept = tables(LABELS, subject, "", duplicate, part=OFFICIAL)
    splits = split_faces(faces, kept, official())
    said = summary(splits, faces, kept)
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
    said = summary(split_faces(faces, kept, split_settings()), faces, kept)
    assert said["leaky"] is False
    assert said["leaked_test_faces"] == said["leaked_validation_faces"] == 0
    said = summary(split_faces(faces, kept, split_settings(groups=["duplicate"])), faces, kept)
    assert said["leaky"] is True
    assert said["leaked_test_faces"] == said["leaked_test_faces_by"]["subject"] > 0


@pytest.mark.parametrize(
    ("parts", "changes", "words"),
    [
        ([""] * 200, {}, ["no such parts", "random or folds"]),
        (["train"] * 200, {}, ["split.official.test", "train 200"]),
        (["test"] * 200, {}, ["split.official.train", "test 200"]),
        (OFFICIAL, {"validation": [], "test": ["test"]}, ["20 faces", "'validation'", "data.parts"]),
        ([""] * 20 + OFFICIAL[20:], {}, ["20 faces", "'none'"]),
    ],
)
def test_missing_or_unused_parts_are_one_clear_error(parts, changes, words):
    line = refusal(split_faces, *tables(LABELS, part=parts), official(**changes))
    assert all(word in line for word in words), line


def test_a_class_that_nothing_trains_is_an_error():
    labels = ["happy"] * 199 + ["sad"]
    with pytest.raises(CandidError, match="'sad' has no face in the train part"):
        split_faces(*tables(labels, part=OFFICIAL), official())


def prepare(folder, monkeypatch, faces, kept, **changes):
    """Write what the stage reads, and go there."""
    write_csv(folder / "data/faces.csv", faces)
    write_csv(folder / "data/kept.csv", kept)
    (folder / "params.yaml").write_text(json.dumps({"split": {**SECTION, **changes}}))
    monkeypatch.chdir(folder)


def test_the_stage_writes_its_table_and_metrics_and_again_the_same(run_stage, tmp_path, monkeypatch):
    subjects = [f"s{i // 2}" for i in range(400)]
    faces, kept = tables(["happy"] * 300 + ["sad"] * 100, subject=subjects)
    prepare(tmp_path, monkeypatch, faces, kept, ratios=[0.8, 0.1, 0.1])
    first = run_stage("stages.split", PYTHONHASHSEED="1")
    assert (first.returncode, first.stderr) == (0, "")
    splits = pd.read_csv(tmp_path / "data/splits.csv")
    assert list(splits) == ["id", "label", "part", "group"]
    metrics = json.loads((tmp_path / "metrics/split.json").read_text())
    assert metrics["faces"] == 400
    assert metrics["train"]["faces"] == (splits["part"] == "train").sum() == 320
    assert metrics["leaky"] is False
    before = (tmp_path / "data/splits.csv").read_bytes()
    main()
    assert (tmp_path / "data/splits.csv").read_bytes() == before


@pytest.mark.parametrize("ratios", [[0.3333333] * 3, [0.7, 0.2, 0.1], [0.999998, 1e-06, 1e-06]])
def test_thirds_and_small_shares_are_taken(ratios):
    assert split_settings(ratios=ratios).ratios == ratios


def test_a_tested_part_that_dedup_has_thinned_is_reported(tmp_path, monkeypatch, capsys):
    faces, kept = tables(["happy"] * 40, part=["train"] * 20 + ["validation"] * 20)
    kept.loc[20, "kept"], kept.loc[20, "reason"] = False, "copy of 3"
    official = {"train": ["train"], "validation": [], "test": ["validation"]}
    prepare(tmp_path, monkeypatch, faces, kept, protocol="official", official=official)
    main()
    (line,) = capsys.readouterr().err.splitlines()
    assert "faces removed as copies: 1 of the published parts that are tested" in line


def test_the_function_splits_plain_lists():
    labels = ["happy"] * 300 + ["sad"] * 100
    subjects = [f"s{i // 2}" for i in range(400)]
    parts = split(labels, subjects, ratios=(0.8, 0.1, 0.1))
    table = split_faces(*tables(labels, subject=subjects), split_settings(ratios=[0.8, 0.1, 0.1]))
    assert parts == table["part"].tolist(), "as the pipeline does"
    assert split(labels) == split(labels, seed=0) != split(labels, seed=1)
    with pytest.raises(CandidError, match=r"'sad' has 1 faces, too few for 3 parts"):
        split(["happy"] * 9 + ["sad"])
