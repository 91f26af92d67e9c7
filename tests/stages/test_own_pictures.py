"""Pictures of one's own, as data/own/README.md says: kept by DVC, noticed, and there in a copy."""

from __future__ import annotations

import pytest

from tests.data.made import ROOT, face, folder
from tests.test_whole_pipeline import clone

FILES = {f"{label}/{i}.png": face(10 * len(label) + i) for label in ("happy", "sad") for i in range(9)}


@pytest.mark.slow
def test_added_pictures_are_there_in_a_copy_of_the_project(tmp_path):
    assert "dvc add data/own/mine" in (ROOT / "data/own/README.md").read_text()
    project = clone(tmp_path)
    places = ("data/mine", "data/own/mine")
    for place in places:
        folder(project.folder / place, FILES)
    project.run("git", "config", "user.email", "t@example.org")
    project.run("git", "config", "user.name", "t")
    project.run("dvc", "add", *places)
    assert project.run("git", "status", "--short").stdout == "".join(f"?? {each}.dvc\n" for each in places)
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "pictures")
    for place in places:
        settings = ["-S", "data.dataset=folder", "-S", f"data.path={place}"]
        done = project.run("dvc", "exp", "run", "--temp", *settings, "ingest")
        assert "classes: happy 9, sad 9" in done.stdout


@pytest.mark.slow
def test_a_change_in_the_folder_is_noticed_and_git_ignores_the_pictures(tmp_path):
    project = clone(tmp_path)
    folder(project.folder / "data/own", FILES)
    assert project.run("git", "status", "--short").stdout == ""
    project.run("dvc", "exp", "run", "-S", "data.dataset=folder", "ingest")
    folder(project.folder / "data/own", {"sad/new.png": face(99)})
    assert "classes: happy 9, sad 10" in project.run("dvc", "repro", "ingest").stdout
