"""Recipes through DVC's real queue, with a pipeline that takes no time and no TensorFlow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.recipe_project import RecipeProject
from tests.conftest import REPOSITORY
from tests.gate.project import GIT

DVC_YAML = """\
stages:
  train:
    cmd: python work.py
    deps: [work.py]
    params: [data, split, train, model]
    metrics:
      - metrics/report.json: {cache: false}
"""

WORK = """\
# Stands for the pipeline: waits where it is told to, fails where it is told to, writes metrics.
import json, os, pathlib, sys, time
from ruamel.yaml import YAML
params = YAML(typ="safe", pure=True).load(pathlib.Path("params.yaml"))
train, notes = params["train"], pathlib.Path(os.environ["NOTES"])
call = [train["epochs"], train["batch_size"], os.environ.get("CUDA_VISIBLE_DEVICES")]
with (notes / "calls").open("a") as file:
    file.write(json.dumps(call) + "\\n")
print(f"epoch 1/{train['epochs']}", flush=True)
try:
    while train["batch_size"] == 64 and not (notes / "go").exists():
        time.sleep(0.05)
except KeyboardInterrupt:
    (notes / "interrupted").touch()
    sys.exit("candid train: interrupted")
if params["split"]["seed"] == 1:
    sys.exit("candid train: params.yaml: split.seed = 1: not a number for me; earlier results are kept")
accuracy = train["epochs"] / 20
metrics = {"accuracy": accuracy, "accuracy_low": accuracy - 0.1, "accuracy_high": accuracy + 0.1, "faces": 9}
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("metrics/report.json").write_text(json.dumps(metrics))
"""


class Queued(RecipeProject):
    """A project with DVC in it."""

    notes: Path

    def start_dvc(self, notes: Path) -> Queued:
        """Make the repository."""
        self.notes = notes
        self.notes.mkdir()
        self.write("dvc.yaml", DVC_YAML)
        self.write("work.py", WORK)
        self.write(".gitignore", "__pycache__/\n.candid/\n")
        self.begin()
        self.call("-m", "dvc", "init", "-q")
        self.write(
            ".dvc/config", "[core]\n    analytics = false\n    check_update = false\n    autostage = false\n"
        )
        self.commit("dvc")
        return self

    @property
    def environment(self) -> dict[str, str]:
        """Without this machine's mirror and cache, and without a network."""
        away = {
            "CANDID_MIRROR": str(self.notes),
            "KAGGLEHUB_CACHE": str(self.notes),
            "NOTES": str(self.notes),
        }
        proxies = dict.fromkeys(
            ("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY"), "http://127.0.0.1:9"
        )
        return {**os.environ, **GIT, **away, **proxies, "PYTHONPATH": str(REPOSITORY), "CI": ""}

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the project."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def reproduce(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        return self.call("-m", "candid", "reproduce", self.key, *arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:  # type: ignore[override]
        """Run the command beside the test."""
        command = [sys.executable, "-m", "candid", "reproduce", self.key, *arguments]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def calls(self) -> list[list[Any]]:
        """Epochs, batch size and GPU of each stage started so far."""
        file = self.notes / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def experiments(self) -> list[str]:
        """Names of the experiments in git."""
        refs = self.git("for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
        return sorted(ref.split("/")[-1] for ref in refs if "/made2024-" in ref)

    def queued(self) -> list[Path]:
        """What waits in DVC's queue."""
        return list((self.root / ".dvc/tmp/exps/celery/broker/in").glob("*.celery.msg"))


def wait_for(path: Path, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.1)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Queued]:
    made = Queued(tmp_path / "project")
    made.root.mkdir()
    made.start_dvc(tmp_path / "notes")
    yield made
    (made.notes / "go").touch()
    for file in (made.root / ".dvc/tmp/exps/run").glob("*/*.pid"):  # what a failed test left
        try:
            os.kill(int(file.read_text()), signal.SIGKILL)
        except (ProcessLookupError, ValueError):
            continue


@pytest.mark.slow
def test_a_recipe_is_run_compared_and_not_run_again(project: Queued) -> None:
    (project.notes / "ck48.zip").write_bytes(b"x")  # so that the run `seeds` counts as possible
    project.write("params.yaml", (project.root / "params.yaml").read_text() + "# an uncommitted line\n")
    done = project.reproduce("--only", "plain", "seeds", "--members", "", "s0", "s1", "--epochs", "4")
    text = done.stdout
    assert done.returncode == 1, text + done.stderr
    assert "Traceback" not in text + done.stderr
    assert "done     made2024-plain-4epochs: accuracy 20.0 %" in text
    assert "done     made2024-seeds-s0-4epochs: accuracy 20.0 %" in text
    assert (
        "failed   made2024-seeds-s1-4epochs: candid train: params.yaml: split.seed = 1: not a number for me"
        in text
    )
    assert "a  shortened: 4 of 10 epochs" in text
    assert "1 of 3 experiments" in text
    assert project.experiments() == ["made2024-plain-4epochs", "made2024-seeds-s0-4epochs"]
    assert "an uncommitted line" in (project.root / "params.yaml").read_text()
    assert project.git("status", "--porcelain") == "M params.yaml"
    assert sorted(call[0] for call in project.calls()) == [4, 4, 4]
    settings = project.git(
        "show", project.git("for-each-ref", "--format=%(objectname)", "refs/exps/**/*plain*") + ":params.yaml"
    )
    assert "epochs: 4" in settings
    again = project.reproduce("--only", "plain", "--epochs", "4")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "there    made2024-plain-4epochs (" in again.stdout
    assert len(project.calls()) == 3
    assert project.queued() == []


@pytest.mark.slow
def test_ctrl_c_stops_and_the_same_command_goes_on(project: Queued) -> None:
    command = ("--only", "plain-large", "plain", "--epochs", "6")  # plain-large waits until it is told to go
    process = project.start(*command)
    wait_for(project.notes / "calls")
    while [6, 64, None] not in [[*call[:2], None] for call in project.calls()]:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 130, text
    assert "stopping: 1 under way" in text
    assert "the same command goes on from there" in text
    assert (project.notes / "interrupted").exists()
    assert project.queued() == []
    assert "made2024-plain-large-6epochs" not in project.experiments()
    assert not list((project.root / ".dvc/tmp/exps").glob("tmp*"))
    (project.notes / "go").touch()
    done = project.reproduce(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.experiments() == ["made2024-plain-6epochs", "made2024-plain-large-6epochs"]
    status = project.call("-m", "dvc", "queue", "status").stdout
    assert "Failed" not in status
    assert "Running" not in status
    note = json.loads((project.root / ".candid/reproduce/made2024-plain-large-6epochs.json").read_text())
    assert note["seconds"] > 0


@pytest.mark.slow
def test_ctrl_c_while_queueing_leaves_nothing_in_the_queue(project: Queued) -> None:
    process = project.start("--only", "plain-large", "plain", "--epochs", "6")
    while not project.queued():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)  # DVC is still at it, or at the next one
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 130, text
    assert "stopped: what is done stays" in text
    assert project.queued() == []
    assert project.calls() == []
    assert project.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_a_killed_worker_is_told_and_what_has_other_settings_makes_room(project: Queued) -> None:
    process = project.start("--only", "plain-large", "--epochs", "2", "--jobs", "1")
    wait_for(project.notes / "calls")
    (pid,) = {int(file.read_text()) for file in (project.root / ".dvc/tmp/exps/run").glob("*/*.pid")}
    os.killpg(os.getpgid(pid), signal.SIGKILL)
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 1, text
    assert "failed   made2024-plain-large-2epochs: its process was killed, or the machine went down" in text
    (project.notes / "go").touch()
    assert project.reproduce("--only", "plain-large", "--epochs", "2").returncode == 0
    project.write(
        f"recipes/{project.key}.yaml",
        (project.root / f"recipes/{project.key}.yaml").read_text().replace("64", "32"),
    )
    done = project.reproduce("--only", "plain-large", "--epochs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    (renamed,) = [name for name in project.experiments() if "before" in name]
    assert renamed.startswith("made2024-plain-large-2epochs-before-")
    assert project.calls()[-1][:2] == [2, 32]
