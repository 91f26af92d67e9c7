"""The pipeline as its users run it: DVC commands in a clone of its own, on the embedded sample."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

from candid.settings import read_yaml

ROOT = Path(__file__).resolve().parent.parent
# One short epoch of a small net: these tests are about the pipeline, not about accuracy.
NET = ["-S", "model.arch=self_built", "-S", "archs.self_built.widths=[4, 4]", "-S", "train.epochs=1"]
QUICK = [*NET, "-S", "evaluate.bootstrap=100"]
NAME = ["-c", "user.name=t", "-c", "user.email=t@example.org"]


def overrides(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("-S", setting)]


@dataclass
class Project:
    """A clone in which every call of `python` is written down."""

    folder: Path
    calls: Path

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{self.calls.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": "",
            "CANDID_STATE": str(self.calls.parent / "state"),
            "CI": "",
        }
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def stages_started(self) -> list[str]:
        """Stages whose process was started since the last call of this."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return [line.split("stages.")[1].split()[0] for line in lines if "-m stages." in line]

    def lock(self) -> dict[str, dict[str, str]]:
        """Stage -> output -> hash, as dvc.lock has them."""
        stages = read_yaml(self.folder / "dvc.lock")["stages"]
        return {name: {out["path"]: out["md5"] for out in entry["outs"]} for name, entry in stages.items()}


def clone(folder: Path) -> Project:
    """A checkout of the present files (committed or not), with an empty cache, as a repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.check_output(command, cwd=ROOT, text=True)
    project = Project(folder / "candid", folder / "bin" / "calls")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "metrics/", "plots/")):
            target = project.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    project.calls.parent.mkdir()
    shim = project.calls.parent / "python"
    shim.write_text(f'#!/bin/sh\necho "$@" >> "{project.calls}"\nexec "{sys.executable}" "$@"\n')
    shim.chmod(0o755)
    git = ["git", *NAME, "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *command], cwd=project.folder, check=True, capture_output=True)
    return project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone in which the pipeline ran once, quickly."""
    made = clone(tmp_path_factory.mktemp("pipeline"))
    made.run("dvc", "exp", "run", *QUICK)
    return made


@pytest.mark.slow
def test_every_output_is_there_and_a_second_repro_starts_no_process(project):
    assert set(project.lock()) == set(read_yaml(ROOT / "dvc.yaml")["stages"])
    for outs in project.lock().values():
        for path in outs:
            assert (project.folder / path).exists(), path
    project.stages_started()
    done = project.run("dvc", "repro")
    assert project.stages_started() == []
    assert "up to date" in done.stdout


@pytest.mark.slow
def test_data_stages_give_the_committed_bits(project):
    committed = read_yaml(ROOT / "dvc.lock")["stages"]
    for stage in ("download", "ingest", "dedup", "split", "class_weights"):
        wanted = {out["path"]: out["md5"] for out in committed[stage]["outs"]}
        assert project.lock()[stage] == wanted, stage


@pytest.mark.slow
def test_metrics_are_honest_on_the_sample(project):
    report = json.loads((project.folder / "metrics/report.json").read_text())
    assert report["leaky"] is False
    shown = json.loads(project.run("dvc", "metrics", "show", "--json").stdout)[""]["data"]
    ((path, entry),) = shown.items()
    headline = entry["data"]
    assert (path, next(iter(headline))) == ("metrics/metrics.json", "accuracy")
    assert len(headline) <= 12
    assert headline["accuracy_low"] <= headline["accuracy"] <= headline["accuracy_high"]


@pytest.mark.slow
def test_a_wrong_setting_stops_the_first_stage_and_loses_nothing(project):
    before = {
        path: (project.folder / path).read_bytes()
        for outs in project.lock().values()
        for path in outs
        if (project.folder / path).is_file()
    }
    params = (project.folder / "params.yaml").read_text()
    project.stages_started()
    late = ["data.image_size=24", "evaluate.tta=flipp"]
    for settings, stages, words in (
        (["model.arch=resnet51"], [], ["resnet51"]),
        (late, ["ingest"], ["candid ingest", "evaluate.tta", "'flipp'"]),
    ):
        done = project.run("dvc", "exp", "run", *QUICK, *overrides(*settings), check=False)
        assert done.returncode != 0
        assert project.stages_started() == stages
        assert "Traceback" not in done.stdout + done.stderr
        line = next(line for line in (done.stdout + done.stderr).splitlines() if words[0] in line)
        for word in words:
            assert word in line
        (project.folder / "params.yaml").write_text(params)
    project.run("dvc", "checkout")
    project.run("dvc", "exp", "run", *QUICK)
    assert set(project.stages_started()) <= {"ingest"}, "no other stage computes anew"
    for path, content in before.items():
        assert (project.folder / path).read_bytes() == content, path


@pytest.mark.slow
def test_settings_of_experiments_change_their_own_lines_of_params_yaml(project):
    """DVC writes the whole file anew; download depends on none of these, so nothing runs."""
    path = project.folder / "params.yaml"
    before = path.read_text()
    project.stages_started()
    changes = {
        "train.schedule": ("{name: cosine, warmup_epochs: 2}", "plateau"),
        "split.ratios": ("[0.8,0.1,0.1]", "[0.9,0.05,0.05]"),
        "data.classes": ("[happy,sad]", "null"),
        "dedup.protect": ("[]", "[test]"),
        "train.clip_norm": ("1.5", "null"),
    }
    done, undone = ([f"{key}={values[way]}" for key, values in changes.items()] for way in (0, 1))
    project.run("dvc", "exp", "run", "download", *overrides(*done))
    changed = [line[2:].strip() for line in difflib.ndiff(before.splitlines(), path.read_text().splitlines())
               if line[0] in "+-"]  # fmt: skip
    assert "clip_norm: 1.5" in changed
    assert len(changed) <= 20
    assert not [line for line in changed if "#" in line], "a comment is lost"
    project.run("dvc", "exp", "run", "download", *overrides(*undone))
    assert path.read_text() == before
    assert project.stages_started() == []


@pytest.mark.slow
def test_a_change_runs_what_depends_on_it_and_nothing_else(project):
    """The last on this project: evaluate's outputs are then those of another seed."""
    project.stages_started()
    project.run("dvc", "exp", "run", *QUICK, "-S", "evaluate.seed=1")
    assert project.stages_started() == ["evaluate"]


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml"])
def test_the_file_is_in_the_form_that_dvc_writes(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert dumps_yaml(parse_yaml_for_update(text, name)) == text
