"""The gate's own check of dvc.lock against DVC's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from candid.gate.freshness import stale
from candid.gate.revisions import WorkingTree, resolve
from tests.commands.gate_project import GIT, Project

PIPELINE = """
stages:
  make:
    cmd: mkdir -p data/many/b && cp params.yaml data/one && cp params.yaml data/many/a.x
         && cp params.yaml data/many/b/c && echo ${size.small}
    deps: [code]
    params: [size]
    outs: [data/one, data/many]
  score:
    cmd: mkdir -p plots && cat data/many/a.x code/b/c.txt > plots/score.csv
    deps: [data/many, code/b]
    metrics:
      - plots/score.csv: {cache: false}
"""


@pytest.fixture(scope="module")
def run_with_dvc(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that DVC itself ran and locked."""
    project = Project(tmp_path_factory.mktemp("dvc"))
    project.git("init", "-q", "-b", "main")
    for path in ("code/a.txt", "code/b/c.txt", "code/b-c.txt", "code/b.txt", "code/ü.txt"):
        project.write(path, path)
    project.write("code/b/__pycache__/c.pyc", "ignored")
    project.write("params.yaml", "size: {small: 1, rate: 1e-05, name: null}\n")
    project.write("dvc.yaml", PIPELINE)
    for command in (["init", "-q"], ["repro", "-q"]):
        project.write(".dvcignore", "__pycache__\n*.pyc\n")
        subprocess.run(
            ["dvc", *command],
            cwd=project.root,
            env={**os.environ, **GIT, "DVC_NO_ANALYTICS": "1"},
            check=True,
            capture_output=True,
        )
    project.commit()
    return project


CHANGES = {
    "code/b/c.txt": ["stage make: code has changed", "stage score: code/b has changed"],
    "code/b/new.txt": ["stage make: code has changed", "stage score: code/b has changed"],
    "code/b/__pycache__/d.pyc": [],
    "data/one": ["stage make: data/one is not what it wrote"],
    "data/many/b/c": ["stage make: data/many is not what it wrote", "stage score: data/many has changed"],
    "plots/score.csv": ["stage score: plots/score.csv is not what it wrote"],
    "README.md": [],
}


def test_what_dvc_locked_is_current_in_the_tree_and_in_the_commit(run_with_dvc: Project) -> None:
    assert stale(WorkingTree(run_with_dvc.root)) == []
    assert stale(resolve(run_with_dvc.root, "main")) == []


@pytest.mark.parametrize("path", CHANGES)
def test_a_changed_file_is_found_where_dvc_finds_it(run_with_dvc: Project, path: str) -> None:
    file = run_with_dvc.root / path
    before = file.read_bytes() if file.exists() else None
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)  # DVC may have linked it to its cache
    file.write_text("changed")
    try:
        assert stale(WorkingTree(run_with_dvc.root)) == CHANGES[path]
    finally:
        file.unlink()
        if before is not None:
            file.write_bytes(before)


@pytest.mark.parametrize(
    ("path", "old", "new", "found"),
    [
        (
            "params.yaml",
            "1e-05",
            "1e-04",
            "stage make: params.yaml has size.rate 0.0001, it",
        ),
        (
            "params.yaml",
            "small: 1, ",
            "",
            "stage make: params.yaml has size.small nothing, it",
        ),
        ("dvc.yaml", "code/b]", "code/b, code/a.txt]", "stage score: code/a.txt is a new dependency"),
        ("dvc.yaml", "[data/many, code/b]", "[data/many]", "stage score: code/b is no dependency any more"),
        ("dvc.yaml", "[size]", "[size, rate]", "stage make: rate is a new setting"),
        ("dvc.yaml", "    params: [size]\n", "", "stage make: size is no setting any more"),
        (
            "dvc.yaml",
            "data/many]\n  score",
            "data/many, data/x]\n  score",
            "stage make: data/x is a new output",
        ),
        ("dvc.yaml", "[data/one, data/many]", "[data/many]", "stage make: data/one is no output any more"),
        ("dvc.yaml", "cat data", "tac data", "stage score: dvc.yaml runs `mkdir -p plots && tac"),
        ("dvc.yaml", "  score:", "  extra: {cmd: ls}\n  score:", "stage extra was never run"),
    ],
)
def test_a_changed_definition_is_told(
    run_with_dvc: Project, path: str, old: str, new: str, found: str
) -> None:
    file = run_with_dvc.root / path
    before = file.read_text()
    assert old in before
    file.write_text(before.replace(old, new))
    try:
        assert any(reason.startswith(found) for reason in stale(WorkingTree(run_with_dvc.root)))
    finally:
        file.write_text(before)


def test_an_experiment_of_dvc_s_is_found_by_its_name(run_with_dvc: Project) -> None:
    subprocess.run(
        ["dvc", "exp", "run", "-q", "--temp", "-n", "tidy-newt", "-S", "size.small=2"],
        cwd=run_with_dvc.root,
        env={**os.environ, **GIT, "DVC_NO_ANALYTICS": "1"},
        check=True,
        capture_output=True,
    )
    experiment = resolve(run_with_dvc.root, "tidy-newt")
    assert stale(experiment) == []
    assert b"small: 2" in (experiment.read("params.yaml") or b"")
    assert experiment.read("plots/score.csv") is not None


def test_a_stage_that_reads_what_was_made_again_is_stale_though_the_data_is_not_here(
    run_with_dvc: Project, tmp_path: Path
) -> None:
    run_with_dvc.git("worktree", "add", "-q", str(tmp_path / "clone"), "main", "--detach")
    clone = WorkingTree(tmp_path / "clone")
    assert stale(clone) == []
    lock = clone.root / "dvc.lock"
    one = next(line for line in lock.read_text().splitlines() if ".dir" in line and "md5: " in line)
    assert one
    text = lock.read_text()
    entry = text[text.index("- path: data/many") :]
    md5 = entry[entry.index("md5: ", entry.index("hash")) :].split()[1]
    lock.write_text(text.replace(md5, "0" * 32 + ".dir", 1))
    assert stale(clone) == ["stage score: data/many was made again after it"]
