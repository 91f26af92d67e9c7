from __future__ import annotations

from pathlib import Path

import pytest

from tests.gate.project import Project, faces


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one commit of results."""
    made = Project(tmp_path_factory.mktemp("finished")).start().results(faces())
    made.commit()
    return made


@pytest.fixture
def project(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it, entered; whether it is stale is not asked (test_stale.py does)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("candid.gate.verdict.refuse_stale", lambda tree: None)
    return finished.copy(tmp_path)
