"""A run that is cut short and started again ends with the bits of an undisturbed one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import keras
import numpy as np
import pandas as pd
import pytest

from candid.training import checkpoints
from candid.training.checkpoints import Checkpoint, Checkpoints, run_folder
from candid.training.save import write_model
from tests.conftest import REPOSITORY
from tests.training import tiny_net

EVERY_STATE = {  # moments, averages, counters, streams, two phases
    "augment": {"flip": 0.5, "rotation": {"degrees": 20.0, "probability": 1.0}},
    "epochs": 6,
    "schedule": {"name": "plateau", "patience": 1, "factor": 0.5},
    "early_stopping": {"monitor": "val_accuracy", "patience": 4},
    "mixup": 0.2,
    "averaging": 0.8,
    "freeze": {"epochs": 2, "thaw_learning_rate": 0.02},
    "learning_rate": 0.03,
}
COSINE = {"schedule": {"name": "cosine", "warmup_epochs": 1}, "epochs": 4}
COSINE |= {"optimizer": "adamw", "weight_decay": 0.01}
STANDSTILL = {  # with a rate of nearly nothing no epoch is better than the first
    "epochs": 12,
    "learning_rate": 1e-6,
    "early_stopping": {"monitor": "val_accuracy", "patience": 4},
    "schedule": {"name": "plateau", "patience": 2, "factor": 0.5},
}


def run(
    folder: Path, changes: dict[str, Any], cut_after: int | None = None
) -> tuple[bytes, pd.DataFrame] | None:
    """The model's bytes and the history; None when it was cut short."""
    folder.mkdir(exist_ok=True)
    data = tiny_net.faces(wrong=4)
    try:
        net, history = tiny_net.fit(folder, tiny_net.settings(**changes), data, cut_after=cut_after)
    except tiny_net.CutShort:
        return None
    write_model(folder / "model.keras", net, {})
    return (folder / "model.keras").read_bytes(), history


@pytest.mark.parametrize(
    ("changes", "cuts"),
    [(EVERY_STATE, [1, 2, 4]), (COSINE, [2]), (STANDSTILL, [3]), ({"epochs": 2}, [2])],
    ids=["frozen, between and thawed", "cosine", "patience", "after the last epoch"],
)
def test_cut_and_resumed_it_ends_with_equal_bits(tmp_path, changes, cuts):
    undisturbed = run(tmp_path / "whole", changes)
    assert undisturbed is not None
    for cut in cuts:
        assert run(tmp_path / "cut", changes, cut) is None
    resumed = run(tmp_path / "cut", changes)
    assert resumed is not None
    pd.testing.assert_frame_equal(resumed[1], undisturbed[1])
    assert resumed[0] == undisturbed[0]
    if "patience" in str(changes.get("schedule")):
        assert undisturbed[1]["learning_rate"].nunique() > 1  # the plateau acted
    if changes is STANDSTILL:
        assert len(undisturbed[1]) < 12


def test_the_seed_and_nothing_else_decides_initial_weights_and_all_that_follows(tmp_path):
    def trained(name: str, seed: int, drawn_before: int) -> bytes:
        keras.utils.set_random_seed(drawn_before)
        changes = {"augment": EVERY_STATE["augment"], "mixup": 0.2, "epochs": 2, "seed": seed}
        result = run(tmp_path / name, changes)
        assert result is not None
        return result[0]

    first = trained("a", 0, 1)
    assert first == trained("b", 0, 2)
    assert first != trained("c", 1, 1)


def checkpoint(epoch: int) -> Checkpoint:
    arrays: list[Any] = [[np.full((3, 2), value, np.float32), np.array(7, np.int64)] for value in (1, 2, 3)]
    return Checkpoint([{"epoch": epoch, "loss": 0.1 + 0.2}], *arrays)


def test_a_checkpoint_comes_back_as_it_was_and_holds_while_the_next_is_written(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.write(lambda: checkpoint(1))
    with pytest.raises(tiny_net.CutShort):
        kept.write(Mock(side_effect=tiny_net.CutShort))
    saved = Checkpoints(tmp_path).read()
    assert saved is not None
    assert saved.history == checkpoint(1).history
    for name in ("weights", "optimizer", "best"):
        for values, expected in zip(getattr(saved, name), getattr(checkpoint(1), name), strict=True):
            np.testing.assert_array_equal(values, expected, strict=True)


@pytest.mark.parametrize("damage", ["gone", "empty", "short", "flipped", "foreign"])
def test_a_damaged_checkpoint_counts_as_none(tmp_path, damage):
    kept = Checkpoints(tmp_path)
    kept.write(lambda: checkpoint(1))
    content = bytearray(kept.path.read_bytes())
    if damage == "flipped":
        content[content.index(b"\x93NUMPY") + 130] ^= 0xFF  # a byte of the first array; the zip holds its CRC
    kept.path.write_bytes(bytes({"empty": b"", "short": content[: len(content) // 2]}.get(damage, content)))
    if damage == "foreign":
        np.savez(kept.path, other_00000=np.zeros(1))
    elif damage == "gone":
        kept.path.unlink()
    assert Checkpoints(tmp_path).read() is None


def test_dear_checkpoints_are_written_less_often(tmp_path, monkeypatch):
    clock = iter([0.0, 2.0, 2.0, 10.0, 50.0, 50.1])  # start and end of the first; at the second; ...
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    kept = Checkpoints(tmp_path)
    for epoch in (1, 2, 3):  # took 2 s, so none before 40 s have passed
        kept.write(lambda: checkpoint(epoch))  # noqa: B023 - called at once
        saved = kept.read()
        assert saved is not None
        assert saved.history[0]["epoch"] == {1: 1, 2: 1, 3: 3}[epoch]


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("CANDID_STATE", str(tmp_path / "state"))
    return tmp_path / "state" / "train"


def test_the_folder_of_state_follows_the_environment(tmp_path, monkeypatch):
    for name, value in (("CANDID_STATE", "a"), ("XDG_CACHE_HOME", "b"), ("HOME", "c")):
        monkeypatch.setenv(name, str(tmp_path / value))
    for name, expected in (("CANDID_STATE", "a"), ("XDG_CACHE_HOME", "b/candid"), ("", "c/.cache/candid")):
        assert checkpoints.state_root() == tmp_path / expected
        monkeypatch.delenv(name, raising=False)


def test_a_fingerprint_knows_settings_contents_and_versions(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("1")
    second.write_text("2")

    def name(files: list[Path], seed: int = 0, keras: str = "3") -> str:
        return checkpoints.fingerprint({"seed": seed}, files, {"keras": keras})

    base, moved = name([first, second]), tmp_path / "c"
    first.rename(moved)
    assert base == name([moved, second])
    others = [
        name([moved, second], seed=1),
        name([second, moved]),
        name([moved]),
        name([moved, second], keras="4"),
    ]
    second.write_text("3")
    assert len({base, *others, name([moved, second])}) == 6
    names = {path.name for path in checkpoints.source_files()}
    assert {"fit.py", "augment.py", "hub.py", "files.py", "faces.py"} <= names


HOLD = """
import sys
from candid.training.checkpoints import run_folder
with run_folder("run") as folder:
    print("held", flush=True)
    sys.stdin.readline()
    (folder.parent / "order").open("a").write("first ")
"""


def holder() -> Any:
    """Another process in the folder of `run`; it leaves after a line."""
    pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen([sys.executable, "-c", HOLD], text=True, env=environment, **pipes)


def leave(process: Any) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_folder_is_kept_for_the_next_attempt_and_gone_when_all_went_well(root):
    with pytest.raises(tiny_net.CutShort), run_folder("run") as folder:
        (folder / "state.npz").write_text("x")
        raise tiny_net.CutShort
    with run_folder("run") as folder:
        assert (folder / "state.npz").exists()
    assert list(root.iterdir()) == []


def test_a_second_run_waits_and_says_so_until_the_first_is_done_or_killed(root):
    with holder() as first:
        assert first.stdout.readline() == "held\n"
        with holder() as second:
            assert "waiting" in second.stderr.readline()
            leave(first)
            assert second.stdout.readline() == "held\n"
            assert (root / "order").read_text() == "first "
            second.kill()
            second.wait(30)
            with run_folder("run") as folder:
                assert folder.is_dir()


def test_runs_left_behind_long_ago_are_removed_and_held_ones_are_not(root):
    old = time.time() - 31 * 24 * 3600
    for name in ("old", "young", "run"):
        (root / name).mkdir(parents=True)
        for path in (root / f"{name}.lock", root / name / "state.npz"):
            path.write_text("x")
            if name != "young":
                os.utime(path, (old, old))
    with holder() as first:
        assert first.stdout.readline() == "held\n"
        with run_folder("mine"):
            assert sorted(path.name for path in root.iterdir() if path.is_dir()) == ["mine", "run", "young"]
        leave(first)
        assert first.wait(30) == 0
