"""Whether results are those of the tree: what DVC compares, and what it believes."""

from __future__ import annotations

from pathlib import Path

import pytest

from candid.errors import CandidError
from candid.gate.results import Revision, resolve
from candid.gate.verdict import STAGES, refuse_stale
from tests.gate.project import Project, faces, worse


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that DVC itself ran and locked."""
    project = Project(tmp_path_factory.mktemp("dvc")).start().results(faces())
    project.dvc("repro", "-q")
    project.commit()
    return project


@pytest.fixture
def clone(made: Project, tmp_path: Path) -> Project:
    """A fresh clone of it, without data."""
    made.git("clone", "-q", ".", str(tmp_path / "clone"))
    return Project(tmp_path / "clone")


def stale(project: Project) -> str:
    with pytest.raises(CandidError, match="this tree is stale") as caught:
        refuse_stale(Revision(project.root))
    return str(caught.value)


@pytest.fixture
def project(made: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it with its data and DVC's cache, entered."""
    monkeypatch.chdir(tmp_path)
    return made.copy(tmp_path)


def test_a_fresh_clone_without_data_is_current_until_something_changes(clone):
    assert not (clone.root / "data/train").exists()
    refuse_stale(Revision(clone.root))
    clone.write("README.md", "words")
    refuse_stale(Revision(clone.root))
    clone.edit("params.yaml", "basic_cnn", "vgg16")
    line = stale(clone)
    assert "stage train has changed" in line
    assert "git commit -a" in line
    assert "dvc commit -f" in line


@pytest.mark.parametrize("path", ["stages/split.py", "plots/predictions.csv", "metrics/report.json"])
def test_a_changed_file_makes_it_stale(clone, path):
    clone.write(path, (clone.root / path).read_text() + "\n")
    assert "has changed" in stale(clone)


PREDICTIONS = "    - plots/predictions.csv:\n        cache: false\n        persist: true\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  evaluate:\n", "  evaluate:\n    frozen: true\n", "stage evaluate has the key frozen"),
        ("  split:\n", "  split:\n    matrix: {a: [1]}\n", "stage split has the key matrix"),
        ("python -m stages.evaluate", "python -m stages.train", "stage evaluate runs another command"),
        ("- data/train\n    outs:\n    - metrics", "outs:\n    - metrics", "no longer lists data/train"),
        (PREDICTIONS, "", "no longer lists plots/predictions.csv"),
        ("    params:\n    - model\n", "", "stage train no longer lists model"),
        ("  dedup:\n", "  other:\n", "dvc.yaml has no stage dedup"),
    ],
)
def test_what_dvc_believes_is_refused(clone, old, new, words):
    clone.edit("dvc.yaml", old, new)
    assert words in stale(clone)


def test_an_output_that_is_taken_off_yaml_and_lock_and_a_file_that_is_gone(clone):
    (clone.root / "stages/split.py").unlink()
    assert "stages/split.py is gone" in stale(clone)
    clone.git("checkout", "-q", ".")
    clone.edit("dvc.yaml", PREDICTIONS, "")
    lock = (clone.root / "dvc.lock").read_text()
    start = lock.index("    - path: plots/predictions.csv")
    end = lock.find("    - path:", start + 1)
    clone.write("dvc.lock", lock[:start] + (lock[end:] if end > 0 else ""))
    assert "plots/predictions.csv is no output of evaluate" in stale(clone)


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("dvc.lock", "{", "dvc.lock' is invalid"),
        ("dvc.lock", "stages: {evaluate: 5}\n", "dvc.lock' validation failed"),
        ("dvc.yaml", "stages: []\n", "dvc.yaml' validation failed"),
    ],
)
def test_what_is_no_pipeline_is_one_line(clone, path, text, words):
    clone.write(path, text)
    with pytest.raises(CandidError, match=words):
        refuse_stale(Revision(clone.root))


HONEST = "import shutil\nshutil.copytree('honest', '.', dirs_exist_ok=True)\n"


def test_results_that_are_better_than_the_code_gives_pass_until_they_are_made_anew(project, candid):
    """What CI does: the forged files and their hashes agree, and only an evaluation shows it."""
    Project(project.root / "honest").predictions(worse(faces(), 60))
    project.write("stages/evaluate.py", HONEST)
    project.dvc("repro", "-q")
    project.commit()
    project.results(faces())
    project.dvc("commit", "-q", "-f")
    project.commit()
    assert candid("gate", "--baseline", "HEAD").status == 0
    project.dvc("repro", "-q", "--force", "--single-item", "evaluate")
    status, out, _ = candid("gate", "--baseline", "HEAD")
    assert status == 1
    assert "accuracy fell by 15.0 points" in out


def test_the_command_says_it_and_an_experiment_is_read_by_its_name(project, candid):
    assert candid("gate", "--fresh") == (0, "", "")
    project.dvc("exp", "run", "-q", "-n", "tidy-newt", "-S", "model.arch=vgg16")
    experiment = resolve(project.root, "tidy-newt")
    assert experiment.yaml("params.yaml")["model"] == {"arch": "vgg16"}
    assert experiment.read("data/train") == b"made", "from DVC's cache"
    assert experiment.read("data/nothing") is None
    project.git("checkout", "-q", ".")
    project.edit("params.yaml", "basic_cnn", "vgg11")  # of vgg16 the run cache has the results
    status, _, err = candid("gate", "--fresh")
    assert status == 2
    assert err.startswith("candid gate: cannot compare: this tree is stale: stage train has changed")
    assert len(STAGES) == 7
