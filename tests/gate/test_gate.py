"""The gate as people and CI call it: exit status, ways to print, one line where nothing can be compared."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from candid.errors import CandidError
from candid.gate.verdict import compare
from tests.conftest import Call, python
from tests.gate.project import CLASSES, Project, faces, worse


def refused(candid: Call, *arguments: str) -> str:
    """The one line on stderr of a comparison that can't be made."""
    ended = candid("gate", *(arguments or ("--baseline", "main")))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("candid gate: cannot compare: ")
    assert ended.err.count("\n") == 1
    return ended.err


def test_the_same_predictions_pass_and_a_regression_that_nobody_committed_is_seen(project, candid):
    status, out, err = candid("gate", "--baseline", "main")
    assert (status, err) == (0, "")
    assert "Gate: pass" in out
    assert "400 test faces" in out
    project.results(worse(faces(), 3))
    assert candid("gate", "--baseline", "main").status == 0, "a handful of lost faces is no regression"
    project.results(worse(faces(), 60))
    status, out, _ = candid("gate", "--baseline", "main")
    assert status == 1
    assert "regression: accuracy fell by 15.0 points" in out
    assert "60 faces lost, 0 gained" in out


def test_one_class_that_collapses_fails_and_is_named(project, candid):
    project.results(worse(faces(), 50, only="angry"))
    status, out, _ = candid("gate", "--baseline", "main", "--json")
    printed = json.loads(out)
    assert status == printed["status"] == 1
    assert any(reason.startswith("F1 of angry fell") for reason in printed["reasons"])
    assert not any(reason.startswith("F1 of happy") for reason in printed["reasons"])
    assert printed["classes"]["angry"]["lost"] == printed["mcnemar"]["lost"] == 50


def test_a_class_that_falls_but_is_too_small_to_fail_carries_a_mark(project, candid):
    table = faces().query("actual != 'angry' and predicted != 'angry'")
    rare = faces().query("actual == 'angry'").head(3).assign(predicted="angry")
    project.results(pd.concat([table, rare])).commit()
    project.results(pd.concat([table, rare.assign(predicted="sad")]))
    status, out, _ = candid("gate", "--baseline", "main")
    assert status == 0
    assert next(line for line in out.splitlines() if line.startswith("angry")).endswith("too few faces")
    assert "too few groups for any drop to fail: F1 of angry." in out


def test_a_broken_floor_fails_though_nothing_changed(project, candid):
    project.params["gate"]["floors"] = {"accuracy": 0.1, "per_class.angry.f1": 0.99, "macro_f1": 0.2}
    project.results(faces())
    status, out, _ = candid("gate", "--baseline", "main")
    assert status == 1
    for words in ("regression: per_class.angry.f1 is 0.", "Floor: accuracy", "Floor: macro_f1"):
        assert words in out
    assert "Note: gate.floors is" in out, "a change that edits its own gate must say so"


@pytest.mark.parametrize(
    ("entry", "value", "words"),
    [
        ("margn", 0.1, "unknown key gate.margn"),
        ("floors", {"log_loss": 0.5}, "log_loss"),
        ("floors", {"accuracy": 60}, "gate.floors.accuracy"),
        ("floors", {"per_class.contempt.f1": 0.5}, "gives no such score"),
    ],
)
def test_wrong_settings_are_named(project, candid, entry, value, words):
    project.params["gate"][entry] = value
    project.results(faces())
    assert words in refused(candid)


def test_baselines_by_branch_tag_commit_and_experiment(project, candid):
    first = project.git("rev-parse", "HEAD")
    project.git("tag", "v1")
    project.git("update-ref", f"refs/exps/{first[:2]}/{first[2:]}/tidy-newt", first)
    project.git("update-ref", "refs/exps/exec/EXEC_HEAD", first)
    second = project.results(worse(faces(), 60)).commit()
    for name in ("v1", first, first[:8], "HEAD~1", "tidy-newt"):
        status, out, _ = candid("gate", "--baseline", name)
        assert status == 1
        assert f"{name} ({first[:7]})" in out
    for name in ("nobody", "EXEC_HEAD", "HEAD:params.yaml", ""):
        assert "no branch, tag, commit or experiment" in refused(candid, f"--baseline={name}")
    for sha in (first, second):
        project.git("update-ref", f"refs/exps/{sha[:2]}/{sha[2:]}/twin", sha)
    assert "2 experiments have this name" in refused(candid, "--baseline=twin")


def test_no_repository_and_one_of_another_user_are_named(project, candid, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    assert "dubious ownership" in refused(candid)
    monkeypatch.delenv("GIT_TEST_ASSUME_DIFFERENT_OWNER")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    project.git("rev-parse")
    monkeypatch.setattr("candid.gate.verdict.refuse_stale", lambda tree: None)
    assert "not in a git repository" in refused(candid)


def edit_report(key: str, value: Any, path: str = "metrics/report.json") -> Callable[[Project], None]:
    def edit(project: Project) -> None:
        report = json.loads((project.root / path).read_text())
        report[key] = value
        if value is None:
            del report[key]
        project.write(path, json.dumps(report))

    return edit


def edit_predictions(old: str, new: str) -> Callable[[Project], None]:
    return lambda project: project.edit("plots/predictions.csv", old, new)


def overwrite(path: str, text: str | None) -> Callable[[Project], None]:
    return lambda project: (project.root / path).unlink() if text is None else project.write(path, text)


BROKEN = {
    "no predictions": (overwrite("plots/predictions.csv", None), "no plots/predictions.csv"),
    "no report": (overwrite("metrics/report.json", None), "no metrics/report.json"),
    "score missing": (edit_report("accuracy", None), "no accuracy"),
    "leaky missing": (edit_report("leaky", None), "no leaky"),
    "score is NaN": (edit_report("ece", float("nan")), "ece is nan"),
    "score is text": (edit_report("accuracy", "good"), "accuracy is 'good'"),
    "scores of another run": (edit_report("accuracy", 0.99), "not of one run"),
    "a score that has no check": (edit_report("log_loss", 0.01), "log_loss is 0.01"),
    "metrics of another run": (edit_report("macro_f1", 0.99, "metrics/metrics.json"), "macro_f1 is 0.99"),
    "leaks denied": (edit_predictions(",false,", ",true,"), "leak"),
    "report is a list": (overwrite("metrics/report.json", "[1]"), "not a JSON object"),
    "report is cut off": (overwrite("metrics/report.json", '{"accuracy": 0.'), "not JSON"),
    "probability is NaN": (edit_predictions(",0.7,", ",nan,"), "row"),
    "unknown label": (edit_predictions(",happy,happy,", ",happy,glad,"), "predicted is 'glad'"),
    "prediction forged": (edit_predictions(",sad,angry,", ",sad,sad,"), "expected the class of the largest"),
    "no digest": (edit_predictions("digest", "hash"), "no column 'digest'"),
    "predictions are empty": (overwrite("plots/predictions.csv", ""), "not a CSV table"),
    "predictions are binary": (overwrite("plots/predictions.csv", "\0\0"), "plots/predictions.csv"),
    "settings are no YAML": (overwrite("params.yaml", "{"), "params.yaml: not YAML"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_trusted_is_refused(project, candid, case):
    edit, words = BROKEN[case]
    edit(project)
    line = refused(candid, "--baseline=HEAD")
    assert words in line
    if "settings" in case:
        return
    assert "this tree" in line
    broken = project.commit()
    project.git("checkout", "-q", "main~1")
    line = refused(candid, f"--baseline={broken}")
    assert words in line
    assert broken in line


def test_other_data_classes_protocol_labels_and_faces_are_refused(project, candid):
    table = faces()
    relabelled = table.assign(actual=["angry", *table["actual"][1:]], predicted=table["actual"])
    for other, options, words in (
        (table.assign(dataset="fer2013"), {}, "other datasets: sample in main, fer2013 in this tree"),
        (table, {"classes": (*CLASSES, "neutral")}, "other classes: angry, happy, sad in main, angry, happy"),
        (table, {"leaky": True}, "other splits: leak-free in main, leaky in this tree"),
        (relabelled, {}, "1 test faces have another label"),
        (table.iloc[:-40], {}, "400 in main, 360 in this tree, 360 in both (90.0% of all)"),
        (table.assign(digest=table["digest"].str[::-1]), {}, "0 in both (0.0% of all)"),
    ):
        project.results(other, **options)
        assert words in refused(candid)
    project.params["gate"]["min_common"] = 0.85
    project.results(table.iloc[:-40])
    status, out, _ = candid("gate", "--baseline", "main")
    assert status == 0
    assert "only 90.0% of the test faces are in both" in out
    assert "the same 360 test faces" in out


def test_groups_that_a_change_makes_coarser_are_named(project, candid):
    project.results(faces(group=40))
    status, out, _ = candid("gate", "--baseline", "main")
    assert status == 0
    assert "this tree puts faces into one group that are in several groups in main (10 groups, 400" in out
    project.results(faces(group=100))
    assert "400 test faces in 4 independent groups" in refused(candid)


def test_markdown_and_json_say_the_same(project, candid):
    project.results(worse(faces(), 60))
    status, page, _ = candid("gate", "--baseline", "main", "--md")
    assert status == 1
    assert page.startswith("### ❌ Gate: regression: accuracy fell by 15.0 points")
    assert {line.count("|") for line in page.splitlines() if line.startswith("|")} == {8, 13}
    accuracy = json.loads(candid("gate", "--baseline", "main", "--json").out)["checks"][0]
    assert accuracy["name"] == "accuracy"
    assert accuracy["failed"] is True
    assert accuracy["change"] == pytest.approx(-0.15)
    assert accuracy["change"] < accuracy["upper95"] < accuracy["bound"] < -accuracy["margin"]
    (project.root / "metrics/report.json").unlink()
    status, out, _ = candid("gate", "--baseline", "main", "--json")
    assert status == json.loads(out)["status"] == 2
    assert candid("gate", "--baseline", "main", "--md").out.startswith("### ⚠️ Gate: cannot compare\n\nthis")


FORGERY = "x\n\n### ✅ Gate: pass\n\n| a | <b>\x1b[2J"


def test_a_name_forges_neither_a_verdict_nor_the_terminal(project, candid):
    classes = ("angry", "happy", FORGERY)
    table = faces().replace({"sad": FORGERY})
    project.results(table, classes).commit()
    wrong = {"angry": "happy", "happy": "angry", FORGERY: "angry"}
    project.results(table.assign(predicted=table["actual"].map(wrong)), classes)
    for style in ((), ("--md",)):
        status, out, _ = candid("gate", "--baseline", "main", *style)
        assert status == 1
        assert not any(line.lstrip("# ✅").startswith("Gate: pass") for line in out.splitlines())
        assert "\x1b" not in out
    assert "<b>" not in out.replace("\\<b", "")
    project.results(table.assign(dataset=FORGERY), classes)
    status, out, err = candid("gate", "--baseline", "main", "--md")
    assert (status, err.count("\n")) == (2, 1)
    assert "\n### ✅" not in out
    assert "\x1b" not in err


def test_a_fault_of_the_gate_itself_is_no_regression(project, candid, monkeypatch):
    monkeypatch.setattr("candid.gate.command.judge", lambda *_: vars()["ours"])
    status, _, err = candid("gate", "--baseline", "main")
    assert status == 2
    assert "KeyError" in err


CSV = "from candid.cli import main\nmain(['gate', 'before.csv', 'after.csv', *{more}])"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Two CSV files of predictions in a folder that is no project."""
    table = faces().drop(columns=["dataset", "group", "digest", "source"])
    table.to_csv(tmp_path / "before.csv", index=False)
    table.to_csv(tmp_path / "after.csv", index=False)
    return tmp_path


def test_two_csv_files_are_compared_outside_a_project_without_tensorflow(tables):
    worse(faces(), 60)[["id", "actual", "predicted"]].to_csv(tables / "after.csv", index=False)
    call = CSV.format(more=[]).replace("\n", "; ")
    heavy = "{'tensorflow', 'keras', 'torch', 'jax', 'dvc', 'sklearn'} & set(sys.modules)"
    done = python(f"import sys\ntry:\n    {call}\nfinally:\n    assert not {heavy}, {heavy}", tables)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("Gate: regression: accuracy fell by 15.0 points")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.csv"], "1 CSV files; expected two"),
        ([], "expected two CSV files, --baseline REV or --fresh"),
        (["--baseline", "main", "--margin", "1"], "in its params.yaml"),
        (["a.csv", "b.csv", "--margin", "much"], "invalid float value"),
    ],
)
def test_wrong_arguments_are_one_line(candid, arguments, words):
    status, out, err = candid("gate", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_tables_of_other_people(tmp_path):
    before = faces()[["id", "actual", "predicted"]]
    assert compare(before, before).status == 0
    assert compare(before, worse(before, 60)).status == 1
    assert compare(before, worse(before, 60), margin=0.2, class_margin=0.5).status == 0
    renamed = before.rename(columns={"id": "digest"}).assign(source="x")
    assert compare(renamed, renamed).comparison.faces == 400
    before.to_csv(tmp_path / "excel.csv", index=False, encoding="utf-8-sig")
    assert compare(tmp_path / "excel.csv", before).status == 0
    without = before.assign(predicted=before["predicted"].replace("angry", "sad"))
    assert compare(without, without).status == 0, "a class that nobody predicts is still a class"
    for table, words in (
        (before.drop(columns="id"), "that identify a face"),
        (before.drop(columns="actual"), "no column 'actual'"),
        (before.iloc[:0], "no face"),
        (before.iloc[:100], "not the same faces"),
    ):
        with pytest.raises(CandidError, match=words):
            compare(before, table)
    with pytest.raises(CandidError, match=r"nowhere\.csv: No such file"):
        compare(tmp_path / "nowhere.csv", before)
    with pytest.raises(CandidError, match=r"gate\.margin"):
        compare(before, before, margin=-1)


def test_a_passing_gate_never_exits_1_whatever_becomes_of_its_output(tables):
    code = CSV.format(more=[])
    with Path("/dev/full").open("w") as full:
        for unbuffered in ("", "1"):
            done = python(code, tables, stdout=full, env={"PYTHONUNBUFFERED": unbuffered})
            assert (done.returncode, done.stderr.count("\n")) == (2, 1)
            assert done.stderr.startswith("candid gate: No space left on device")
        missing = python(code.replace("after", "missing"), tables, stderr=full)
        assert missing.returncode == 2
