"""python -m stages.evaluate, whole: outputs, equal bytes, views, provenance, and what it refuses."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from candid.data.faces import load_images
from candid.evaluation.predictions import read_predictions
from candid.evaluation.provenance import revision
from candid.evaluation.report import evaluate, headline
from candid.training.lineage import ANCESTORS, TRAINED_ON, lineage
from stages.evaluate import main
from tests.conftest import refusal
from tests.gate.project import Project

PICTURES = ("classes", "confusion", "confusion_precision", "curves", "mistakes", "reliability", "roc")
METRICS = ("metrics/report.json", "metrics/metrics.json", "metrics/provenance.json")
TABLES = ("plots/predictions.csv", "plots/roc.csv", "plots/calibration.csv")
OUTPUTS = (*METRICS, *TABLES, *(f"plots/{name}.png" for name in PICTURES))


@pytest.fixture
def no_pictures(monkeypatch):
    """Leave out what takes the longest."""
    monkeypatch.setattr("stages.evaluate.write_plots", lambda *_: None)


def contents() -> dict[str, bytes]:
    return {name: Path(name).read_bytes() for name in OUTPUTS}


def summary(name: str = "report") -> Any:
    return json.loads(Path(f"metrics/{name}.json").read_text())


def test_the_command_writes_its_outputs_and_nothing_else_twice_the_same(make_project, run_stage):
    make_project()
    before = {path for path in Path().rglob("*") if path.is_file()}
    main()
    first = contents()
    assert {path for path in Path().rglob("*") if path.is_file()} - before == {Path(name) for name in first}
    done = run_stage("stages.evaluate", PYTHONHASHSEED="7", TZ="Asia/Tokyo", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    assert contents() == first


def test_every_number_comes_from_the_table(make_project, no_pictures):
    make_project()
    main()
    table = read_predictions()
    first = "group,leaked,copied,validated,actual,predicted,id,source,digest,dataset"
    assert ",".join(map(str, table)) == f"{first},p_angry,p_happy,p_sad"
    assert table["id"].tolist() == [str(number) for number in range(30, 75)]
    assert table["source"][0] == "a/30.png"
    assert evaluate(table, 200, 0) == summary()
    assert headline(summary()) == summary("metrics")


def test_faces_that_an_earlier_model_was_trained_on_are_leaks(make_project, no_pictures, capsys):
    start = {"file": "old.keras", "md5": "0" * 32, "faces": "unknown"}
    folder = make_project(started_from=start)
    _, entries = lineage({}, load_images(folder / "data/faces.npy")[30:40], None)
    with zipfile.ZipFile(folder / "models/model.keras", "a") as archive:
        archive.writestr(ANCESTORS, entries[TRAINED_ON])
    main()
    assert summary()["leaky"] is True
    assert summary()["copied_test_faces"] >= 10
    assert summary("provenance")["started_from"] == start
    assert "old.keras, which doesn't say what faces it was trained on" in capsys.readouterr().err


def test_views_are_averaged(make_project, no_pictures):
    def probabilities() -> np.ndarray:
        main()
        return pd.read_csv("plots/predictions.csv")[["p_angry", "p_happy", "p_sad"]].to_numpy()

    make_project()
    plain = probabilities()
    faces = np.load("data/faces.npy")
    np.save("data/faces.npy", faces[:, :, ::-1])
    mirrored = probabilities()
    np.save("data/faces.npy", faces)
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace('"tta": "none"', '"tta": "flip"'))
    np.testing.assert_allclose(probabilities(), (plain + mirrored) / 2, rtol=1e-5)
    Path("params.yaml").write_text(text.replace('"tta": "none"', '"tta": "ten_crop"'))
    assert np.abs(probabilities() - plain).max() > 0.01


def test_a_net_of_crops(make_project, no_pictures):
    make_project(tta="ten_crop", size=20, image_size=24)
    main()
    assert summary()["faces"] == 45


def test_provenance_says_what_made_it(make_project, no_pictures):
    make_project()
    main()
    made = summary("provenance")
    assert made["best_epoch"] == 2, "as the model's file has it"
    assert made["seeds"] == {"split": 3, "train": 7, "evaluate": 0}
    assert made["backend"] == "tensorflow"
    assert {"python", "keras", "tensorflow", "numpy"} <= set(made["versions"])
    assert set(made["md5"]) >= {"data/faces.npy", "data/splits.csv", "models/model.keras"}
    assert made["device"]["devices"]
    assert "revision" not in made, "there is no git here"


@pytest.mark.parametrize(
    ("path", "old", "new", "words"),
    [
        ("params.yaml", '"bootstrap": 200', '"bootstrap": 0', "evaluate.bootstrap = 0"),
        ("data/splits.csv", "test", "train", "no face in the test part"),
        ("data/splits.csv", "sad", "surprise", "has angry, happy, surprise"),
        ("data/splits.csv", "group", "grope", "no column 'group'"),
        ("data/faces.csv", "74,", "75,", "column 'id'"),
        ("data/kept.csv", "true", "yes", "'yes' is not true or false"),
    ],
)
def test_bad_inputs_end_in_one_line_and_leave_earlier_results(make_project, path, old, new, words):
    make_project()
    Path("metrics").mkdir()
    Path("metrics/report.json").write_text("earlier")
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))
    assert words in refusal(main)
    assert Path("metrics/report.json").read_text() == "earlier"


@pytest.fixture
def repository(tmp_path):
    made = Project(tmp_path)
    made.git("init")
    for name in ("params.yaml", "dvc.lock", "metrics/report.json", "plots/roc.png"):
        made.write(name, "first")
    made.commit()
    return made


def test_a_clean_tree_and_outputs_that_changed(repository):
    expected = {"revision": repository.git("rev-parse", "HEAD"), "dirty": False}
    assert revision(repository.root) == expected
    for name in ("dvc.lock", "metrics/report.json", "metrics/new.json", "plots/roc.png"):
        repository.write(name, "second")
    assert revision(repository.root) == expected, "the run's own results are not a change of what made them"


@pytest.mark.parametrize("name", ["params.yaml", "stages.py"])
def test_a_changed_or_new_file_makes_the_tree_dirty(repository, name):
    repository.write(name, "second")
    assert revision(repository.root)["dirty"] is True


def test_without_git_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert revision(tmp_path) == {}
    monkeypatch.setenv("PATH", "")
    assert revision(tmp_path) == {}
