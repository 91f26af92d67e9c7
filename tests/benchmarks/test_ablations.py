"""One change each against the first run, on the same validation faces."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from benchmarks.ablations import Done, Share, difference, is_done, look, share, table, train
from benchmarks.gpu.runs import Run, read_runs
from stages.errors import CandidError
from stages.settings import read_yaml

ROOT = Path(__file__).parents[2]
PARAMS: dict[str, Any] = read_yaml(ROOT / "params.yaml")


def small(**changes: Any) -> dict[str, Any]:
    params = copy.deepcopy(PARAMS)
    params["model"] = {"arch": "self_built", "weights": None}
    params["archs"]["self_built"] |= {"widths": [2, 2]}
    params["train"] |= {"epochs": 1, "batch_size": 16, **changes}
    return params


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_interval_of_a_difference_is_that_of_paired_t(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    ours, theirs = ([rng.random(200) < share for _ in range(seeds)] for share in (0.6, 0.5))
    expected = ttest_rel(np.mean(ours, axis=0), np.mean(theirs, axis=0))
    interval = expected.confidence_interval(0.95)
    found = difference(ours, theirs)
    assert found == pytest.approx((np.mean(ours) - np.mean(theirs), interval.low, interval.high))


def test_sets_share_their_training_faces_and_are_validated_alike(data: Path, tmp_path: Path) -> None:
    """A set with copies removed takes the same faces as one with them, but for those it lacks."""
    whole = share(data, 20)
    assert whole.data.train == 20
    assert len(whole.validation) == 15
    assert not whole.copied.any()
    fewer = tmp_path / "fewer"
    shutil.copytree(data, fewer)
    splits = pd.read_csv(fewer / "data/splits.csv")
    gone = whole.rows[:3]
    splits[~splits["id"].isin(gone)].to_csv(fewer / "data/splits.csv", index=False)
    found = share(fewer, 20, whole.validation)
    assert set(whole.rows[3:20]) <= set(found.rows[:20])
    assert found.validation.tolist() == whole.validation.tolist()
    assert found.data.labels[20:].tolist() == whole.data.labels[20:].tolist()


def test_a_validation_face_with_a_copy_in_training_is_told_apart(data: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(data, copied)
    first = share(data, 20)
    kept = pd.read_csv(copied / "data/kept.csv", dtype={"kept": str})
    kept.loc[kept["id"].isin([first.rows[0], first.validation[4]]), "group"] = 70
    left_out = np.setdiff1d(np.arange(40), first.rows)[0]
    kept.loc[kept["id"].isin([left_out, first.validation[5]]), "group"] = 71
    kept.to_csv(copied / "data/kept.csv", index=False)
    assert np.flatnonzero(share(copied, 20).copied).tolist() == [4]


def test_too_few_faces_are_told(data: Path) -> None:
    with pytest.raises(CandidError, match="40 training faces, 15 validation faces; expected 41 and 15"):
        share(data, 41)
    with pytest.raises(CandidError, match="0 validation faces; expected 20 and 1"):
        share(data, 20, np.array([0]))


def kept(run: Run, given: Share, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a training leaves behind, without training."""

    def trained(*_: Any, cwd: Path, **__: Any) -> subprocess.CompletedProcess[bytes]:
        (cwd / "result.json").write_text("{}")
        return subprocess.CompletedProcess([], 0)

    monkeypatch.setattr("benchmarks.ablations.subprocess.run", trained)
    train(run, 0, given, Path("faces.npy"), folder)


def test_a_result_of_other_settings_or_faces_is_none(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, given = Run("base", small(), ["none"]), share(data, 20)
    folder = tmp_path / "base-seed0"
    kept(run, given, folder, monkeypatch)
    assert look([run], {"base": given}, tmp_path) == [Done(run, {0: folder})]
    own = small()
    own["archs"]["self_built"] = {**own["archs"]["self_built"], "widths": [4, 4]}
    relabelled = replace(given, data=replace(given.data, labels=given.data.labels[::-1].copy()))
    others = [
        (Run("base", small(epochs=2), ["none"]), given),
        (Run("base", own, ["none"]), given),
        (Run("base", {**small(), "data": {**PARAMS["data"], "image_size": 64}}, ["none"]), given),
        (Run("base", small(), ["none", "flip"]), given),
        (run, share(data, 19)),
        (run, relabelled),
    ]
    for other, faces in others:
        assert look([other], {"base": faces}, tmp_path) == [Done(other, {})]
    unread = {**small(), "gate": {}, "archs": {**small()["archs"], "vgg19": {}}}
    assert is_done(Run("base", unread, ["none"]), 0, given, folder), "no setting of these is read"
    assert not is_done(run, 1, given, folder)


def test_a_run_begun_anew_leaves_nothing_of_the_last(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, given = Run("base", small(), ["none"]), share(data, 20)
    kept(run, given, tmp_path / "base-seed0", monkeypatch)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.ablations.subprocess.run", killed)
    with pytest.raises(KeyboardInterrupt):
        train(run, 0, given, Path("faces.npy"), tmp_path / "base-seed0")
    assert not is_done(run, 0, given, tmp_path / "base-seed0")


@pytest.mark.slow
def test_runs_are_held_against_the_first(data: Path, tmp_path: Path) -> None:
    runs = [Run("base", small(), ["none", "flip"]), Run("mixed", small(mixup=0.2), ["none"])]
    given = share(data, 20)
    for run in runs:
        train(run, 0, given, data / "data/faces.npy", tmp_path / f"{run.name}-seed0")
    train(runs[0], 1, given, data / "data/faces.npy", tmp_path / "base-seed1")
    result = json.loads((tmp_path / "base-seed1/result.json").read_text())
    assert set(result["scores"]) == {"validation_none", "validation_flip"}
    assert result["made"]["seeds"] == {"train": 1}
    found = look(runs, {"base": given, "mixed": given}, tmp_path)
    assert found == [
        Done(runs[0], {0: tmp_path / "base-seed0", 1: tmp_path / "base-seed1"}),
        Done(runs[1], {0: tmp_path / "mixed-seed0"}),
    ]
    one = f"{100 * result['scores']['validation_none']['val_accuracy']:.1f}"
    shown = table(found, {"base": given.copied, "mixed": given.validation > 50})
    first, flipped, mixed = shown.splitlines()[2:5]
    assert first.endswith(f", {one} |")
    assert first.startswith("| base | none |")
    assert flipped.startswith("| base | flip |")
    assert mixed.startswith("| mixed | none |")
    assert f"mixed: {(given.validation > 50).sum()} faces with a copy" in shown


@pytest.mark.parametrize("copies", [0, 1, 14, 15])
def test_accuracy_is_split_by_copies_where_there_are_some(data: Path, tmp_path: Path, copies: int) -> None:
    """A part of no face has no accuracy, one of a single face no interval; no number is made up for them."""
    given, folder = share(data, 20), tmp_path / "base-seed0"
    folder.mkdir()
    labels = given.data.labels[20:]
    np.savez(folder / "set.npz", labels=given.data.labels, train=np.array(20))
    np.savez(folder / "predictions.npz", validation_none=np.eye(3)[np.where(np.arange(15) < 9, labels, 0)])
    (folder / "result.json").write_text(json.dumps({"made": {"revision": "0123456789abcdef", "dirty": True}}))
    shown = table([Done(Run("base", small(), ["none"]), {0: folder})], {"base": np.arange(15) < copies})
    assert "nan" not in shown
    assert ("base: " in shown) == (copies > 0)
    assert ("with a copy" in shown) == (copies > 1)
    assert ("with no copy" in shown) == (0 < copies < 14)
    assert shown.endswith("Trained at 0123456789ab+.")


def test_the_list_differs_from_its_first_run_in_what_a_name_says() -> None:
    first, *others = read_runs(ROOT / "benchmarks/ablations.yaml", ROOT / "params.yaml")
    for run in others:
        one, other = pd.json_normalize(first.params), pd.json_normalize(run.params)
        changed = {key for key in one if one[key].tolist() != other[key].tolist()}
        parts = {".".join(str(key).split(".")[:2]) for key in changed}
        assert 1 <= len(parts) <= 2, (run.name, changed)
