"""The gate as people and CI call it: exit status, ways to print, one line where nothing can be compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from candid.gate.command import main
from tests.commands.gate_project import CLASSES, Project, faces, worse

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path).start().results(faces())
    made.commit()
    monkeypatch.chdir(tmp_path)
    return made


def gate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(list(arguments))
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def refused(capsys: pytest.CaptureFixture[str], baseline: str = "main") -> str:
    """The one line on stderr of a comparison that can't be made."""
    status, out, err = gate(capsys, "--baseline", baseline)
    assert (status, out) == (2, "")
    assert err.startswith("candid gate: cannot compare: ")
    assert err.count("\n") == 1
    return err


def test_the_same_predictions_pass(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = gate(capsys, "--baseline", "main")
    assert (status, err) == (0, "")
    assert "Gate: pass" in out
    assert "400 test faces" in out


def test_a_regression_that_nobody_committed_is_seen(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.results(worse(faces(), 60))
    status, out, _ = gate(capsys, "--baseline", "main")
    assert status == 1
    assert "regression: accuracy fell by 15.0 points" in out
    assert "60 faces lost, 0 gained" in out


def test_a_handful_of_lost_faces_passes(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.results(worse(faces(), 3))
    assert gate(capsys, "--baseline", "main")[0] == 0


def test_one_class_that_collapses_fails_and_is_named(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.results(worse(faces(), 50, only="angry"))
    status, out, _ = gate(capsys, "--baseline", "main", "--json")
    said = json.loads(out)
    assert status == said["status"] == 1
    assert any(reason.startswith("F1 of angry fell") for reason in said["reasons"])
    assert not any(reason.startswith("F1 of happy") for reason in said["reasons"])
    assert said["classes"]["angry"]["lost"] == 50
    assert said["mcnemar"]["lost"] == 50


def test_a_broken_floor_fails_though_nothing_changed(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.params["gate"]["floors"] = {"accuracy": 0.1, "per_class.angry.f1": 0.99}
    project.lock()
    status, out, _ = gate(capsys, "--baseline", "main")
    assert status == 1
    assert "regression: per_class.angry.f1 is 0." in out
    assert "Floor: accuracy" in out
    assert "Note: gate.floors is" in out, "a change that edits its own gate must say so"


def test_a_floor_on_a_score_that_is_not_there_cannot_be_checked(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.params["gate"]["floors"] = {"per_class.contempt.f1": 0.5}
    project.lock()
    assert "metrics/report.json has no such score" in refused(capsys)


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ("margin", -0.1, "gate.margin"),
        ("margin", "half", "gate.margin"),
        ("margn", 0.1, "unknown key gate.margn"),
        ("floors", {"log_loss": 0.5}, "log_loss"),
        ("floors", {"accuracy": 60}, "gate.floors.accuracy"),
    ],
)
def test_wrong_settings_are_named(
    project: Project, capsys: pytest.CaptureFixture[str], entry: str, value: Any, said: str
) -> None:
    project.params["gate"][entry] = value
    project.lock()
    assert said in refused(capsys)


def test_baselines_by_branch_tag_commit_and_experiment(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    first = project.git("rev-parse", "HEAD")
    project.git("tag", "v1")
    project.git("update-ref", f"refs/exps/{first[:2]}/{first[2:]}/tidy-newt", first)
    project.git("update-ref", "refs/exps/exec/EXEC_HEAD", first)
    project.results(worse(faces(), 60))
    for name in ("main", "v1", first, first[:8], "HEAD", "tidy-newt"):
        status, out, _ = gate(capsys, "--baseline", name)
        assert status == 1
        assert f"{name} ({first[:7]})" in out
    for name in ("nobody", "EXEC_HEAD", "HEAD:params.yaml", ""):
        assert "no branch, tag, commit or experiment" in refused(capsys, name)


def test_experiments_of_one_name_on_two_commits_are_ambiguous(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    first = project.git("rev-parse", "HEAD")
    second = project.results(worse(faces(), 60)).commit()
    for sha in (first, second):
        project.git("update-ref", f"refs/exps/{sha[:2]}/{sha[2:]}/twin", sha)
    assert "2 experiments have this name" in refused(capsys, "twin")


def test_not_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "not in a git repository" in refused(capsys)


def edit_metrics(key: str, value: Any) -> Callable[[Project], None]:
    def edit(project: Project) -> None:
        file = project.root / "metrics/report.json"
        metrics = json.loads(file.read_text())
        if value is None:
            del metrics[key]
        else:
            metrics[key] = value
        file.write_text(json.dumps(metrics))
        project.lock()

    return edit


def edit_predictions(old: str, new: str) -> Callable[[Project], None]:
    def edit(project: Project) -> None:
        file = project.root / "plots/predictions.csv"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
        project.lock()

    return edit


def remove(path: str) -> Callable[[Project], None]:
    return lambda project: (project.root / path).unlink()


def overwrite(path: str, text: str) -> Callable[[Project], None]:
    def edit(project: Project) -> None:
        project.write(path, text)
        if path.startswith(("plots", "metrics")):
            project.lock()

    return edit


BROKEN = {
    "no predictions": (remove("plots/predictions.csv"), "no plots/predictions.csv"),
    "no metrics": (remove("metrics/report.json"), "no metrics/report.json"),
    "no lock": (remove("dvc.lock"), "no dvc.lock"),
    "no settings": (remove("params.yaml"), "no params.yaml"),
    "metric missing": (edit_metrics("accuracy", None), "no accuracy"),
    "leaky missing": (edit_metrics("leaky", None), "no leaky"),
    "metric is NaN": (edit_metrics("ece", float("nan")), "ece is nan"),
    "metric is text": (edit_metrics("accuracy", "good"), "accuracy is 'good'"),
    "metrics of another run": (edit_metrics("accuracy", 0.99), "not of one run"),
    "metrics are a list": (overwrite("metrics/report.json", "[1]"), "not a JSON object"),
    "metrics are cut off": (overwrite("metrics/report.json", '{"accuracy": 0.'), "not JSON"),
    "probability is NaN": (edit_predictions(",0.7,", ",nan,"), "row"),
    "unknown label": (edit_predictions(",happy,happy,", ",happy,glad,"), "predicted is 'glad'"),
    "no digest": (edit_predictions("digest", "hash"), "no column 'digest'"),
    "predictions are empty": (overwrite("plots/predictions.csv", ""), "not a CSV table"),
    "predictions are binary": (overwrite("plots/predictions.csv", "\0\0"), "plots/predictions.csv"),
    "code changed": (overwrite("stages/train/net.py", "size = 2\n"), "stage train: stages/train has changed"),
    "lock is no YAML": (overwrite("dvc.lock", "{"), "dvc.lock: not YAML"),
    "lock is empty": (overwrite("dvc.lock", ""), "dvc.lock: no stages"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_trusted_in_this_tree_is_refused(
    project: Project, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    edit, said = BROKEN[case]
    edit(project)
    line = refused(capsys, "HEAD")
    assert said in line
    assert "this tree" in line


@pytest.mark.parametrize("case", sorted(set(BROKEN) - {"no lock", "no settings", "lock is empty"}))
def test_what_cannot_be_trusted_in_the_baseline_is_refused(
    project: Project, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    edit, said = BROKEN[case]
    edit(project)
    broken = project.commit()
    project.git("checkout", "-q", "main~1")
    line = refused(capsys, broken)
    assert said in line
    assert broken in line


def test_other_data_classes_protocol_labels_and_faces_are_refused(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    table = faces()
    project.results(table.assign(dataset="fer2013"))
    assert "another dataset: sample in main, fer2013 in this tree" in refused(capsys)
    project.results(table, classes=(*CLASSES, "neutral"))
    assert "another classes: angry, happy, sad in main, angry, happy, sad, neutral" in refused(capsys)
    project.results(table, leaky=True)
    assert "the split of main is clean, that of this tree leaky" in refused(capsys)
    project.results(table.assign(actual=["angry", *table["actual"][1:]], predicted=table["actual"]))
    relabelled = int(table["actual"][0] != "angry")
    assert relabelled
    assert "1 test faces have another label" in refused(capsys)
    project.results(table.iloc[:-40])
    assert "400 in main, 360 in this tree, 360 in both (90.0% of all)" in refused(capsys)
    project.results(table.assign(digest=table["digest"].str[::-1]))
    assert "0 in both (0.0% of all)" in refused(capsys)


def test_what_is_common_is_compared_if_the_settings_allow(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.params["gate"]["min_common"] = 0.85
    project.results(faces().iloc[:-40])
    status, out, _ = gate(capsys, "--baseline", "main")
    assert status == 0
    assert "only 90.0% of the test faces are in both" in out
    assert "the same 360 test faces" in out


def test_a_stale_tree_can_be_allowed_and_is_told(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.params["gate"]["allow_stale"] = True
    project.lock()
    project.write("stages/train/net.py", "size = 2\n")
    status, out, _ = gate(capsys, "--baseline", "main")
    assert status == 0
    assert "Note: this tree is stale: stage train: stages/train has changed" in out


def test_fresh_says_whether_the_lock_matches(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(capsys, "--fresh") == (0, "", "")
    project.params["model"]["arch"] = "vgg16"
    project.write_yaml("params.yaml", project.params)
    status, _, err = gate(capsys, "--fresh")
    assert status == 2
    assert 'params.yaml has model.arch "vgg16", it last ran with "basic_cnn"' in err


def test_markdown_and_json_tell_the_same(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.results(worse(faces(), 60))
    status, page, _ = gate(capsys, "--baseline", "main", "--md")
    assert status == 1
    assert page.startswith("### ❌ Gate: regression: accuracy fell by 15.0 points")
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {8, 13}
    said = json.loads(gate(capsys, "--baseline", "main", "--json")[1])
    accuracy = said["checks"][0]
    assert accuracy["name"] == "accuracy"
    assert accuracy["failed"] is True
    assert accuracy["change"] == pytest.approx(-0.15)
    assert accuracy["change"] < accuracy["upper95"] < accuracy["bound"] < -accuracy["margin"]


def test_a_refusal_is_told_in_every_style(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.root / "metrics/report.json").unlink()
    status, out, _ = gate(capsys, "--baseline", "main", "--json")
    assert status == json.loads(out)["status"] == 2
    status, out, _ = gate(capsys, "--baseline", "main", "--md")
    assert status == 2
    assert "cannot compare" in out
    assert "no metrics/report.json" in out


def test_a_fault_of_the_gate_itself_is_no_regression(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr("candid.gate.command.judge", broken)
    assert main(["--baseline", "main"]) == 2
    assert "KeyError" in capsys.readouterr().err


def test_as_a_process_without_tensorflow(project: Project) -> None:
    project.results(worse(faces(), 60))
    code = (
        "import sys\nfrom candid.gate.command import main\nstatus = main(['--baseline', 'main'])\n"
        "heavy = {'tensorflow', 'keras', 'torch', 'jax', 'matplotlib', 'dvc', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("Gate: regression")
