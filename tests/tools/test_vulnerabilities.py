"""An answer of "none known" is given only when every package was looked up."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from stages.errors import CandidError
from tools import vulnerabilities

FINE = {"name": "pillow", "version": "13.0.0", "vulns": []}
BAD = {
    "name": "pillow",
    "version": "8.0.0",
    "vulns": [{"id": "PYSEC-2021-70", "fix_versions": ["8.1.1"], "aliases": [], "description": "..."}],
}
PASSED_OVER = {"name": "mine", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Let pip-audit answer what the test says, and give the command it was asked by."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("sys.argv", ["vulnerabilities"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "constraints.txt").write_text("pillow==13.0.0\n")
    asked = []

    def answer(stdout: str = "", stderr: str = "", status: int = 0) -> list[list[str]]:
        def run(command, **_):
            asked.append(command)
            return SimpleNamespace(stdout=stdout, stderr=stderr, returncode=status)

        monkeypatch.setattr(subprocess, "run", run)
        return asked

    return answer


def test_nothing_known_is_said_with_the_number_of_packages(answering, capsys):
    asked = answering(json.dumps({"dependencies": [FINE], "fixes": []}))
    assert vulnerabilities.main() == 0
    assert capsys.readouterr().out == "1 packages: no known vulnerabilities\n"
    assert {"--disable-pip", "--no-deps", "constraints.txt"} <= set(asked[0])


def test_a_vulnerability_names_package_advisory_and_remedy(answering, capsys):
    answering(json.dumps({"dependencies": [FINE, BAD]}), status=1)
    assert vulnerabilities.main() == 1
    assert "pillow 8.0.0: PYSEC-2021-70, mended in 8.1.1" in capsys.readouterr().out


@pytest.mark.parametrize("packages", [[FINE, PASSED_OVER], [PASSED_OVER], []])
def test_a_package_that_was_passed_over_is_a_failure(answering, packages):
    answering(json.dumps({"dependencies": packages}))
    with pytest.raises(CandidError, match="can't be looked up"):
        vulnerabilities.main()


def test_a_service_out_of_reach_is_one_line_and_no_pass(answering):
    answering(
        stderr="WARNING:x:y\nERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed\n", status=1
    )
    with pytest.raises(CandidError, match="so nothing was checked: Could not connect to PyPI"):
        vulnerabilities.main()


def test_without_pip_audit_it_says_how_to_get_it(answering, monkeypatch):
    answering()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CandidError, match="nothing was checked: expected `make audit`"):
        vulnerabilities.main()
