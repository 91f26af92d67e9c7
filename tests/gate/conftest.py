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


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with one commit of results; whether it is stale is not asked (test_stale.py does)."""
    made = Project(tmp_path).start().results(faces())
    made.commit()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("candid.gate.verdict.refuse_stale", lambda tree: None)
    return made
