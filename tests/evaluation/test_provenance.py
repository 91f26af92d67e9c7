"""metrics/provenance.json: git's state, which what the pipeline writes itself does not change."""

from __future__ import annotations

import subprocess

import pytest

from candid.evaluation.provenance import revision


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def git(*words: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init")
    for name in ("params.yaml", "dvc.lock", "metrics/report.json", "plots/roc.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("first")
    git("add", ".")
    git("commit", "-m", "first")
    return tmp_path, git


def test_a_clean_tree_and_outputs_that_changed(repository):
    folder, git = repository
    expected = {"revision": git("rev-parse", "HEAD"), "dirty": False}
    assert revision(folder) == expected
    for name in ("dvc.lock", "metrics/report.json", "metrics/new.json", "plots/roc.png"):
        (folder / name).write_text("second")
    assert revision(folder) == expected, "the run's own results are not a change of what made them"


@pytest.mark.parametrize("name", ["params.yaml", "stages.py"])
def test_a_changed_or_new_file_makes_the_tree_dirty(repository, name):
    folder, _ = repository
    (folder / name).write_text("second")
    assert revision(folder)["dirty"] is True


def test_without_git_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert revision(tmp_path) == {}
    monkeypatch.setenv("PATH", "")
    assert revision(tmp_path) == {}
