"""The rehearsal: packed here, run where there is no pandas, scikit-learn or DVC, read back here."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.gpu.pack import left, pack, read_earlier
from benchmarks.gpu.results import Results
from benchmarks.gpu.runs import Run, read_runs
from benchmarks.gpu.sets import fingerprint
from benchmarks.gpu.unpack import table, unpack
from stages.errors import CandidError
from stages.settings import read_yaml

ROOT = Path(__file__).parents[2]
PARAMS: dict[str, Any] = read_yaml(ROOT / "params.yaml")
BARE = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"pandas", "sklearn", "dvc", "matplotlib", "PIL", "numba"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def settings(**train: Any) -> dict[str, Any]:
    params = copy.deepcopy(PARAMS)
    params["model"] = {"arch": "self_built", "weights": None}
    params["archs"]["self_built"] |= {"widths": [2, 2]}
    params["train"] |= {"epochs": 2, "batch_size": 16, "plateau": {**params["train"]["plateau"]}, **train}
    params["evaluate"] |= {"bootstrap": 100}
    return params


def run_bare(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    blocked = folder / "blocked"
    blocked.mkdir(exist_ok=True)
    (blocked / "sitecustomize.py").write_text(BARE)
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_runs", "--run", "pack", "--out", "out", *options],
        cwd=folder,
        env={**kept, "PYTHONPATH": os.pathsep.join([str(blocked), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_packed_run_bare_and_unpacked(data: Path, tmp_path: Path) -> None:
    """Two seeds, the second from the first one's model; folds; one that fails; nothing left."""
    runs = [
        Run("small-seed0", settings(seed=0), ["none", "flip"], keep=True),
        Run("chosen", settings(epochs=1), ["flip"], test=False),
        Run("folds-f0", settings(epochs=1), ["none"]),
        Run("folds-f1", settings(epochs=1), ["none"]),
        Run("fails", settings(backend="torch", distribution="devices"), ["none"], pretrained="nowhere"),
        Run("small-seed1", settings(seed=1), ["none", "flip"], pretrained="small-seed0"),
    ]
    sizes = pack(runs, lambda run: data, tmp_path / "pack")
    assert sorted(name.partition("-")[0] for name in sizes) == ["faces", "runs.json", "set"]
    done = run_bare(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "fails: left out: the model of nowhere is not here" in done.stdout
    assert "5 of 6 runs are in out" in done.stdout, done.stdout + done.stderr
    assert max(path.stat().st_size for path in (tmp_path / "out").iterdir()) < 16 << 20

    rows = unpack(tmp_path / "out", lambda run: data, tmp_path / "back")
    assert [(row["name"], row["view"]) for row in rows] == [
        ("small-seed0", "none"),
        ("small-seed0", "flip"),
        ("chosen", "flip"),
        ("folds-f0", "none"),
        ("folds-f1", "none"),
        ("small-seed1", "none"),
        ("small-seed1", "flip"),
        ("small-ensemble", "none"),
        ("small-ensemble", "flip"),
        ("folds-2-folds", "none"),
    ]
    asked = [row for row in rows if row["name"] != "chosen"]
    assert all(row["leaky"] for row in asked)  # 65, in test, is a copy of 3, in train
    assert "| small-seed1 | self_built | flip |" in table(rows)
    assert [row["faces"] for row in rows if row["name"].startswith("folds")] == [15, 15, 30]
    # Of a run that is only compared with others nobody learns how it does on the test part.
    assert {path.name for path in (tmp_path / "back/chosen").iterdir()} == {"history.csv", "result.json"}
    assert "test_flip" not in (tmp_path / "back/chosen/result.json").read_text()
    assert [line for line in table(rows).splitlines() if "| chosen | self_built | flip |  |  | " in line]
    back = tmp_path / "back/small-seed0"
    predictions = pd.read_csv(back / "predictions.csv")
    assert predictions["id"].tolist() == list(range(55, 70))
    metrics = json.loads((back / "metrics.json").read_text())
    assert metrics["accuracy"] == pytest.approx(
        (predictions["actual"] == predictions["predicted"]).mean(), abs=1e-6
    )
    assert metrics["faces"] == 15
    result = json.loads((back / "result.json").read_text())
    assert result["scores"]["test_none"]["val_accuracy"] == pytest.approx(metrics["accuracy"], abs=1e-6)
    assert pd.read_csv(back / "history.csv")["epoch"].tolist() == [1, 2]
    assert (back / "model.keras").read_bytes()[:2] == b"PK"
    earlier = read_earlier(runs, tmp_path / "back")
    assert set(earlier.results) == {run.name for run in runs} - {"fails"}
    assert [run.name for run in left(runs, None, earlier.results)] == ["fails"]

    moved = tmp_path / "moved"
    shutil.copytree(data, moved)
    splits = pd.read_csv(moved / "data/splits.csv")
    splits["part"] = splits["part"].replace({"test": "validation", "validation": "test"})
    splits.to_csv(moved / "data/splits.csv", index=False)
    with pytest.raises(CandidError, match=r"^small-seed0: ran on a set .*; expected the same"):
        unpack(tmp_path / "out", lambda run: moved, tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()

    again = pack(
        [Run("later", settings(epochs=1), ["none"])], lambda run: data, tmp_path / "later", tmp_path / "pack"
    )
    assert sorted(name.partition("-")[0] for name in again) == ["runs.json", "set"]  # no face travels twice
    later = run_bare(tmp_path, "--run", "later", "--beside", "pack", "--out", "out-later")
    assert "1 of 1 runs are in out-later" in later.stdout, later.stdout + later.stderr

    again_bare = run_bare(tmp_path, "--seconds", "0")
    assert again_bare.returncode == 1
    assert "5 of 6 runs are in out" in again_bare.stdout


def changed(data: Path, folder: Path, name: str, old: str, new: str) -> Path:
    """A copy of a set with one thing changed in one of its files."""
    shutil.copytree(data, folder)
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    return folder


def test_a_set_is_known_by_what_a_run_sees_of_it(data: Path, tmp_path: Path) -> None:
    own = fingerprint(data)
    splits = pd.read_csv(data / "data/splits.csv").sort_values("id")
    (tmp_path / "sorted/data").mkdir(parents=True)
    shutil.copytree(data / "data", tmp_path / "sorted/data", dirs_exist_ok=True)
    splits.to_csv(tmp_path / "sorted/data/splits.csv", index=False)
    assert fingerprint(tmp_path / "sorted") == own, "the order of rows is nobody's business"
    others = [
        changed(data, tmp_path / "part", "data/splits.csv", ",test,", ",train,"),
        changed(data, tmp_path / "label", "data/splits.csv", ",happy,", ",sad,"),
        changed(data, tmp_path / "weights", "data/class_weights.json", "2.0", "2.5"),
    ]
    pixels = tmp_path / "pixels"
    shutil.copytree(data, pixels)
    faces = np.load(pixels / "data/faces.npy")
    faces[60, 0, 0] ^= 1
    np.save(pixels / "data/faces.npy", faces)
    found = {fingerprint(folder) for folder in (*others, pixels)}
    assert len(found) == 4
    assert own not in found


def test_predictions_are_put_to_the_faces_that_they_were_made_of(data: Path, tmp_path: Path) -> None:
    """What comes back holds neither ids nor labels."""

    def back(told: dict[str, str] | None) -> Path:
        run = Run("one", settings(), ["none"])
        made = {
            "result.json": {
                "scores": {"validation_none": {"val_accuracy": 0.5}},
                "history": [],
                "seconds": 1,
            },
            "params.yaml": run.params,
            **({} if told is None else {"run.json": told}),
        }
        shutil.rmtree(tmp_path / "made", ignore_errors=True)
        (tmp_path / "made").mkdir()
        for name, value in made.items():
            (tmp_path / "made" / name).write_text(json.dumps(value))
        even = np.full((15, 3), 1 / 3)
        np.savez(tmp_path / "made/predictions.npz", validation_none=even, test_none=even)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        Results(tmp_path / "out").add("one", sorted((tmp_path / "made").iterdir()))
        return tmp_path / "out"

    (row,) = unpack(back({"set": fingerprint(data)}), lambda run: data, tmp_path / "back")
    assert row["faces"] == 15
    for told in ({"set": "0" * 32}, None):
        with pytest.raises(CandidError, match=r"^one: ran on a set .*; expected the same: unpack"):
            unpack(back(told), lambda run: data, tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()


def test_results_are_cut_into_files_of_a_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.gpu.results.PIECE", 1000)
    results = Results(tmp_path / "out")
    for number in range(4):
        file = tmp_path / "result.json"
        file.write_text(json.dumps(np.random.default_rng(number).bytes(200).hex()))
        results.add(f"run{number}", [file, tmp_path / "missing"])
    assert set(results.finished()) == {"run0", "run1", "run2", "run3"}
    assert len(list((tmp_path / "out").glob("results-*.zip"))) > 1
    model = tmp_path / "model.keras"
    model.write_bytes(bytes(range(256)) * 50)
    results.add_model("run0", model)
    assert results.model("run0") == model.read_bytes()
    assert results.model("run1") is None
    assert max(path.stat().st_size for path in (tmp_path / "out").glob("*.keras-*")) == 1000
    model.write_bytes(b"a smaller one")
    results.add_model("run0", model)
    assert results.model("run0") == b"a smaller one", "no piece of the larger one is left"


def test_what_a_run_left_before_goes_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.gpu.results.PIECE", 300)
    results = Results(tmp_path / "out")

    def add(name: str, size: int) -> None:
        file = tmp_path / "result.json"
        file.write_text(json.dumps("x" * size))
        results.add(name, [file])

    add("one", 1000)
    add("two", 1000)
    add("two", 250)  # now there is room for it beside the first
    add("one", 20)
    found = {name: len(one.result) for name, one in results.finished().items()}
    assert found == {"one": 20, "two": 250}
    log = tmp_path / "log.txt"
    log.write_text("it failed")
    results.add("one", [log])
    assert set(results.finished()) == {"two"}
    assert results.broken() == {"one": {"log.txt": b"it failed"}}


def test_the_list_names_runs_that_can_be() -> None:
    """Each net of the registry is there with and without copies; what is read from recipes is theirs."""
    runs = {run.name: run for run in read_runs(ROOT / "benchmarks/gpu_runs.yaml", ROOT / "params.yaml")}
    nets = [run.params["model"]["arch"] for name, run in runs.items() if name.startswith("qutub2023")]
    assert sorted(nets) == sorted(list(PARAMS["archs"]) * 2)
    assert runs["qutub2023-vgg19"].params["dedup"]["policy"] == "off"
    assert runs["qutub2023-vgg19-honest"].params["dedup"]["policy"] == "remove"
    assert runs["qutub2023-vgg19"].data != runs["qutub2023-vgg19-honest"].data
    assert runs["qutub2023-vgg19"].data == runs["qutub2023-resnet50"].data
    assert len({run.data for name, run in runs.items() if name.startswith("ck48-pretrained")}) == 10
    assert {run.params["model"]["weights"] for run in runs.values()} == {None}
    assert not any(run.test for name, run in runs.items() if name.startswith(("choose", "ablation")))
    assert {run.params["train"]["backend"] for run in runs.values()} == {"jax"}
    candidates = {name for name in runs if name.startswith("choose-")}
    best = [run for name, run in runs.items() if name.startswith("best-")]
    assert len(best) == 6
    assert all(set(run.chosen) == candidates and run.test for run in best)
    assert runs["pretrain-residual"].keep, "others start from its model"


def test_seeds_of_the_split_are_told_from_those_of_training(tmp_path: Path) -> None:
    """Runs whose names differ in -seed<number> alone are averaged: they have to be of one test part."""
    path = tmp_path / "runs.yaml"
    over = "{split.seed: [0, 1], train.seed: [0]}"
    path.write_text(f"common: {{}}\nruns: [{{name: a, over: {over}}}]\n")
    names = [run.name for run in read_runs(path, ROOT / "params.yaml")]
    assert names == ["a-split_seed0-seed0", "a-split_seed1-seed0"]
    path.write_text("common: {}\nruns: [{name: a, over: {split.seed: [0, 1]}}]\n")
    assert not any(re.search(r"-seed\d", run.name) for run in read_runs(path, ROOT / "params.yaml"))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{name: a, settings: {train.epoch: 2}}", "train.epoch: params.yaml has no such key"),
        ("{name: a, settings: {train.epochs: 0}}", r"train\.epochs = 0"),
        ("{name: a, pretrained: b}", "pretrained = 'b': expected an earlier run"),
        ("{name: a, recipe: bah2022/none}", "no such run in recipes/bah2022.yaml"),
        ("{name: a b}", r"name = 'a b'"),
        ("{name: a, setting: {}}", "unknown key"),
        ("{name: a, chosen: b}", "chosen = 'b': expected an earlier entry"),
        ("{name: a, benchmark: [fuzz]}", "expected train or train_profile"),
        ("{name: a}, {name: a}", "a second run 'a'"),
    ],
    ids=["key", "value", "order", "recipe", "name", "entry", "choice", "script", "twice"],
)
def test_a_wrong_list_is_refused(entry: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.yaml"
    path.write_text(f"common: {{}}\nruns: [{entry}]\n")
    with pytest.raises(CandidError, match=told):
        read_runs(path, ROOT / "params.yaml")
