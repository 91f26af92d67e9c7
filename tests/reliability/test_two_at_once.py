"""Two runs in one checkout: the second says why not, or waits, and nothing is mixed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages import errors
from tests.reliability.forked import Forked
from tests.reliability.tiny import ROOT

HOLD = """
import sys
from stages.errors import run
def main():
    print("at work", flush=True)
    sys.stdin.readline()
run("train", main)
"""


@pytest.fixture
def at_work(tmp_path: Path):
    """A stage that runs in tmp_path until it is told a line."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        yield process
        process.kill()


def tried(folder: Path, monkeypatch: pytest.MonkeyPatch, **options) -> int:
    """The status of a second run in `folder`."""
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        errors.run("split", lambda: None, **options)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_second_stage_says_why_not_and_touches_nothing(at_work, forked: Forked, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    done = forked.run("split", tmp_path)
    assert done.status == 1
    assert done.told() == (
        "candid split: another stage is at work in this folder: wait until it is done, or stop it\n"
    )
    assert sorted(tmp_path.iterdir()) == before


def test_another_folder_is_free(at_work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    assert tried(tmp_path / "other", monkeypatch) == 0


def test_what_touches_no_results_is_not_held_up(
    at_work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tools, and the processes of one distributed training that leave the writing to the first."""
    assert tried(tmp_path, monkeypatch, hint="") == 0
    assert tried(tmp_path, monkeypatch, alone=False) == 0
    assert tried(tmp_path, monkeypatch) == 1


def test_a_stage_that_was_killed_lets_go(at_work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work.kill()
    at_work.wait(30)
    assert tried(tmp_path, monkeypatch) == 0
    assert tried(tmp_path, monkeypatch) == 0


def test_where_folders_cannot_be_locked_stages_run_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("fcntl.flock", no_locks)
    assert tried(tmp_path, monkeypatch) == 0
