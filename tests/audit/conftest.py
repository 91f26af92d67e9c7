from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from candid.audit.command import main


class Audited(NamedTuple):
    """How an audit ended: its status, audit.json, and what it printed."""

    status: int
    numbers: dict[str, Any]
    out: str
    err: str


@pytest.fixture
def audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Audited]:
    """Run the audit in this process into the folder `report`, without planted copies unless asked."""

    def run(*arguments: object, plant: int = 0) -> Audited:
        out = tmp_path / "report"
        status = main([*map(str, arguments), "--out", str(out), "--plant", str(plant)])
        return Audited(status, json.loads((out / "audit.json").read_text()), *capsys.readouterr())

    return run
