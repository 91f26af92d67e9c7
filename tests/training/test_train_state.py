from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from candid.training import state

PATH = {"PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.fixture(autouse=True)
def _root(tmp_path, monkeypatch):
    monkeypatch.setenv("CANDID_STATE", str(tmp_path / "state"))


def test_the_root_follows_the_environment(tmp_path, monkeypatch):
    assert state.state_root() == tmp_path / "state"
    monkeypatch.delenv("CANDID_STATE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert state.state_root() == tmp_path / "cache" / "candid"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state.state_root() == tmp_path / ".cache" / "candid"


def test_fingerprint_knows_settings_contents_and_versions(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("1")
    second.write_text("2")
    base = state.fingerprint({"seed": 0}, [first, second], {"keras": "3"})
    assert base == state.fingerprint({"seed": 0}, [first, second], {"keras": "3"})
    moved = first.rename(tmp_path / "c")
    assert base == state.fingerprint({"seed": 0}, [moved, second], {"keras": "3"})
    others = [
        state.fingerprint({"seed": 1}, [moved, second], {"keras": "3"}),
        state.fingerprint({"seed": 0}, [second, moved], {"keras": "3"}),
        state.fingerprint({"seed": 0}, [moved], {"keras": "3"}),
        state.fingerprint({"seed": 0}, [moved, second], {"keras": "4"}),
    ]
    second.write_text("3")
    others.append(state.fingerprint({"seed": 0}, [moved, second], {"keras": "3"}))
    assert len({base, *others}) == 6


def test_code_that_matters_is_in_the_fingerprint():
    names = {path.relative_to(Path(state.__file__).parents[1]).as_posix() for path in state.source_files()}
    assert {"train/loop.py", "train/augment.py", "files.py"} <= names
    assert not any(name.startswith(("evaluate", "dedup")) for name in names)


def test_a_folder_is_kept_for_the_next_attempt_and_gone_when_emptied(tmp_path):
    root = tmp_path / "state" / "train"
    with state.run_folder("run") as folder:
        (folder / "state.npz").write_text("x")
    with state.run_folder("run") as folder:
        assert (folder / "state.npz").read_text() == "x"
        (folder / "state.npz").unlink()
    assert list(root.iterdir()) == []


HOLD = """
import sys, time
from candid.training.state import run_folder
with run_folder("run") as folder:
    print("held", flush=True)
    sys.stdin.readline()
    (folder / "order").open("a").write("first ")
"""


def holder():
    return subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **PATH},
    )


def test_a_second_run_waits_and_says_so_until_the_first_is_done(tmp_path):
    with holder() as first:
        assert first.stdout.readline() == "held\n"
        with holder() as second:
            assert "waiting" in second.stderr.readline()
            first.stdin.write("\n")
            first.stdin.flush()
            assert second.stdout.readline() == "held\n"
            assert (tmp_path / "state" / "train" / "run" / "order").read_text() == "first "
            second.stdin.write("\n")
            second.stdin.flush()
            assert second.wait(30) == 0


def test_a_killed_run_lets_go():
    with holder() as first:
        assert first.stdout.readline() == "held\n"
        first.kill()
        first.wait(30)
        with state.run_folder("run") as folder:
            assert folder.is_dir()


def test_a_lock_that_another_run_takes_away_meanwhile_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda folder, _: iter([folder / "gone.lock"]))
    with state.run_folder("here") as folder:
        assert folder.is_dir()


def test_runs_left_behind_long_ago_are_removed_and_held_ones_are_not(tmp_path):
    root = tmp_path / "state" / "train"
    old = time.time() - 31 * 24 * 3600
    for name in ("old", "young", "run"):
        (root / name).mkdir(parents=True)
        for path in (root / f"{name}.lock", root / name / "state.npz"):
            path.write_text("x")
            if name != "young":
                os.utime(path, (old, old))
    with holder() as first:
        assert first.stdout.readline() == "held\n"
        with state.run_folder("mine"):
            assert sorted(path.name for path in root.iterdir() if path.is_dir()) == ["mine", "run", "young"]
        first.stdin.write("\n")
        first.stdin.flush()
        assert first.wait(30) == 0
