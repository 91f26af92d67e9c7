"""The stage as a command: its files, its metrics, its one-line errors."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from candid.data.faces import KEPT_COLUMNS, read_kept
from candid.duplicates.find import find_duplicates
from candid.duplicates.measure import measure
from candid.duplicates.policy import decide
from candid.settings import read_yaml
from tests.conftest import REPOSITORY
from tests.duplicates.made import cut, made_pictures


@pytest.fixture
def project(tmp_path):
    """40 faces, the last ten of them copies of the first ten, in official parts, two with another label."""
    faces = made_pictures(30)
    images = np.concatenate([faces, np.stack([cut(face, 1, 0, 46) for face in faces[:10]])])
    part = ["train"] * 20 + ["validation"] * 10 + ["test"] * 10
    label = ["happy"] * 38 + ["sad"] * 2
    table = pd.DataFrame({"id": range(40), "label": label, "source": [f"{i:02d}.png" for i in range(40)]})
    table = table.assign(dataset="fer2013", part=part, subject="", sequence="")
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data/faces.npy", images)
    table.to_csv(tmp_path / "data/faces.csv", index=False)
    (tmp_path / "data/planted.csv").write_text("a,b,kind\n0,30,zoomed\n1,31,zoomed\n2,3,shifted\n")
    return tmp_path


def test_files_and_metrics(project, run_stage):
    done = run_stage("stages.dedup")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.count("\n") == 1
    assert "warning: 25% of the faces are removed; consider dedup.policy: group" in done.stderr
    pairs = pd.read_csv(project / "data/duplicates.csv")
    assert list(pairs.columns) == ["a", "b", "similarity", "kind"]
    assert pairs[["a", "b"]].to_numpy().tolist() == [[i, i + 30] for i in range(10)]
    kept = read_kept(project / "data/kept.csv")
    assert list(kept.columns) == list(KEPT_COLUMNS)
    assert kept["reason"].tolist()[:10] == [f"copy of {i + 30}" for i in range(10)]
    assert kept["kept"].tolist() == [False] * 10 + [True] * 30
    text = (project / "metrics/dedup.json").read_text()
    assert "[" not in text, "dvc metrics diff drops lists"
    assert "NaN" not in text
    metrics = json.loads(text)
    assert metrics["policy"] == "remove"
    assert (metrics["images"], metrics["images_with_copy"], metrics["groups"]) == (40, 20, 10)
    assert (metrics["near_pairs"], metrics["exact_pairs"], metrics["flat"]) == (10, 0, 0)
    assert (metrics["conflicting_groups"], metrics["conflicting_images"]) == (2, 4)
    assert metrics["removed_as"] == {"copy": 10, "conflict": 0, "minority_label": 0}
    assert (metrics["removed"], metrics["share_removed"]) == (10, 0.25)
    assert metrics["pairs_between"]["train_test"] == sum(metrics["pairs_between"].values()) == 10
    assert metrics["copies"]["test_in_train"] == {"images": 10, "share": 1.0}
    assert metrics["copies"]["train_in_test"] == {"images": 10, "share": 0.5}
    assert metrics["copies"]["validation_in_train"] == {"images": 0, "share": 0.0}
    assert metrics["planted"]["recall"] == pytest.approx(2 / 3, abs=1e-6)
    assert metrics["planted"]["precision"] == pytest.approx(2 / 10)
    assert metrics["planted"]["recall_of"] == {"shifted": 0.0, "zoomed": 1.0}


@pytest.mark.parametrize("policy", ["group", "off"])
def test_policies_that_keep_every_face(project, run_stage, policy):
    params = read_yaml(REPOSITORY / "params.yaml")
    params["dedup"]["policy"] = policy
    (project / "params.yaml").write_text(json.dumps(params), encoding="utf-8")
    done = run_stage("stages.dedup")
    assert (done.returncode, done.stderr) == (0, "")
    assert read_kept(project / "data/kept.csv")["kept"].all()
    metrics = json.loads((project / "metrics/dedup.json").read_text())
    assert (metrics["policy"], metrics["near_pairs"], metrics["removed"]) == (policy, 10, 0)


def test_again_gives_the_same_bytes(project, run_stage):
    names = ("data/duplicates.csv", "data/kept.csv", "metrics/dedup.json")
    run_stage("stages.dedup")
    first = [(project / name).read_bytes() for name in names]
    run_stage("stages.dedup", PYTHONHASHSEED="7", OMP_NUM_THREADS="1", LC_ALL="C")
    assert [(project / name).read_bytes() for name in names] == first


def test_measure_without_parts_or_copies():
    images = made_pictures(5)
    faces = pd.DataFrame({"id": range(5), "label": "sad", "source": "", "part": ""})
    found = find_duplicates(images)
    kept = decide(faces, found.groups, "remove", ["test"], "drop")
    metrics = measure(found, faces, kept, "remove", pd.DataFrame({"a": [], "b": []}))
    assert (metrics["groups"], metrics["largest_group"], metrics["removed"]) == (0, 0, 0)
    assert not {"pairs_between", "copies", "planted"} & set(metrics)
