from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from candid.cli import main
from tests.gate.project import Project, faces


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


Call = Callable[..., Ended]


@pytest.fixture
def candid(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command `candid` in this process."""

    def call(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        assert isinstance(end.value.code, int)
        return Ended(end.value.code, *capsys.readouterr())

    return call


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
