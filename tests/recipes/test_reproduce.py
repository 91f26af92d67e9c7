"""candid reproduce: names and settings of what it queues, what is there already, and DVC's real queue."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candid.compare.measured import read_experiments
from candid.errors import CandidError
from candid.recipes.load import flat, load_recipe, put_over
from candid.recipes.recipe import OPEN
from candid.reproduce import command
from candid.reproduce.command import Planned, plan, read_changes, set_param, variation
from candid.settings import read_yaml
from tests.conftest import REPOSITORY, refusal
from tests.gate.project import GIT
from tests.recipes.recipe_project import KEY, PARAMS, RecipeProject

FROZEN = {"epochs": 5, "thaw_learning_rate": 0.0001}


def planned(project: RecipeProject, runs: Sequence[str] = ("plain",), **request: Any) -> list[Planned]:
    recipe = project.recipe
    experiments = read_experiments(project.root, recipe, runs)
    return plan(recipe, [recipe.run(name) for name in runs], PARAMS, experiments, **request)


def names(found: list[Planned]) -> list[str]:
    return [one.name.removeprefix(f"{KEY}-") for one in found]


def test_names_have_the_run_the_protocol_the_member_and_the_change(project: RecipeProject) -> None:
    assert names(planned(project)) == ["plain"]
    assert names(planned(project, protocols=(False, True))) == ["plain", "plain-leak_free"]
    leak_free = planned(project, ["seeds"], protocols=(True,))
    assert names(leak_free) == [f"seeds-leak_free-f{fold}" for fold in range(3)]
    assert names(planned(project, ["repeated"], members=["r1-*", "r0-f0"])) == [
        "repeated-r0-f0",
        *(f"repeated-r1-f{fold}" for fold in range(3)),
    ]
    assert names(planned(project, ["seeds", "repeated"], members=["s1"], epochs=2)) == ["seeds-s1+2epochs"]
    assert names(planned(project, epochs=1)) == ["plain+1epoch"]
    assert names(planned(project, epochs=10)) == ["plain"], "these are the recipe's"
    assert names(planned(project, changes={"train.batch_size": 16})) == ["plain"], "so is this"
    assert names(planned(project, epochs=2, changes={"train.batch_size": 8})) == [
        "plain+2epochs+train.batch_size_8"
    ]
    assert names(planned(project, ["transfer"])) == ["transfer"]
    assert names(planned(project, ["transfer"], scratch=True)) == ["transfer+scratch"]
    assert names(planned(project, ["plain"], scratch=True)) == ["plain"], "it needs no weights"


def test_settings_are_the_recipe_s_with_the_change_put_in(project: RecipeProject) -> None:
    (one,) = planned(project, ["transfer"], epochs=4, changes={"train.seed": 7})
    wanted = project.recipe.run("transfer").members(False)[""]
    assert one.overrides == {
        **wanted,
        "train.epochs": 4,
        "train.freeze": {**FROZEN, "epochs": 2},
        "train.seed": 7,
    }
    assert one.overrides.items() >= OPEN.items()
    (one,) = planned(project, ["transfer"], epochs=4, changes={"train.freeze": {**FROZEN, "epochs": 3}})
    assert one.overrides["train.freeze"]["epochs"] == 3, "what is named stays"
    (one,) = planned(project, ["transfer"], epochs=4, scratch=True)
    assert (one.overrides["model.weights"], one.overrides["train.freeze"]) == (None, None)


def test_the_command_sets_what_params_yaml_does_not_say(project: RecipeProject) -> None:
    (one,) = planned(project, epochs=3)
    shown = " ".join(command.command(one))
    assert shown.startswith("dvc exp run --queue -n made2024-plain+3epochs -S ")
    assert "-S train.epochs=3 -S train.batch_size=16" in shown
    assert "-S split.groups=[]" in shown
    assert "data.dataset" not in shown, "the sample is the default"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train.batchsize": 8}, "the command line: unknown key train.batchsize; expected one of backend"),
        ({"trian.seed": 1}, "unknown key trian.seed; expected a key of data"),
        ({"model.weights": "imagenet"}, "baseline_cnn has no ImageNet weights; expected null"),
        ({"data.classes": ["hapy"]}, "data.classes = 'hapy': expected angry, disgust"),
        ({"train.schedule.patience": 3}, "train.schedule is one value; expected train.schedule = {patience:"),
    ],
)
def test_a_change_that_no_stage_would_take_is_refused(
    project: RecipeProject, changes: dict[str, Any], words: str
) -> None:
    assert words in refusal(planned, project, changes=changes)


def test_what_is_done_is_not_queued_again_and_what_has_other_settings_is(project: RecipeProject) -> None:
    commit = project.member("plain")
    project.member("plain-large", train__batch_size=8)
    project.member("seeds", "s1")
    found = planned(project, ["plain", "plain-large", "seeds"])
    assert names([one for one in found if one.done]) == ["plain", "seeds-s1"]
    assert found[0].done == commit
    assert [one.done for one in planned(project, epochs=1)] == [None]


def test_pictures_of_one_s_own_have_to_be_named(project: RecipeProject) -> None:
    own = replace(project.recipe.run("plain"), data_from="ask Ada")
    own = replace(own, paper=own.paper._replace(settings={**own.paper.settings, "data.dataset": "folder"}))
    (one,) = plan(project.recipe, [own], PARAMS)
    assert one.lacking == "--set data.path=...: ask Ada"
    (one,) = plan(project.recipe, [own], PARAMS, changes={"data.path": "/faces"})
    assert (one.lacking, one.name) == (None, "made2024-plain"), "the path is no variation"


@settings(deadline=None)
@given(
    st.booleans(),
    st.none() | st.integers(1, 999),
    st.dictionaries(
        st.sampled_from(["train.a", "data.b.c"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text("aB0 ./~^:\\'\"é@{-", max_size=60)
        | st.lists(st.integers()),
    ),
)
def test_git_takes_every_variation_and_it_is_empty_only_where_nothing_differs(scratch, epochs, changed):
    found = variation(scratch, epochs, changed)
    assert (found == "") == (not scratch and epochs is None and not changed)
    assert all(letter.isalnum() or letter in "._+" for letter in found)
    assert ".." not in found
    assert not found.endswith((".", ".lock"))
    assert len(found) < 80


def test_other_values_have_other_names_and_git_takes_them() -> None:
    many = {f"train.key_{number}": number for number in range(9)}
    found = {variation(changed=many | {"train.key_0": value}) for value in range(5)}
    assert len(found) == 5
    for one in (*found, variation(True, 1, {"train.learning_rate": -1e-05})):
        subprocess.run(["git", "check-ref-format", f"refs/exps/ab/cd/made2024-plain+{one}"], check=True)


VALUES = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(-1e9, 1e9)
VALUES |= st.sampled_from(
    [
        "off",
        "ck48",
        "null",
        "1e5",
        "",
        "it's",
        'a "b"',
        "x\\",
        "\\'",
        "/a b/c,d=[e]{f}:",
        "é",
        "models/a-1.keras",
    ]
)


@settings(deadline=None)  # the first call imports DVC
@given(
    st.dictionaries(st.sampled_from("ab"), VALUES | st.lists(VALUES, max_size=4)),
    st.sampled_from(["plateau", "{name: plateau, patience: 3}", "null"]),
    st.sampled_from([None, {"name": "cosine"}, {"name": "plateau", "factor": 0.5}]),
)
def test_dvc_writes_the_value_that_was_meant(tmp_path_factory, changes, before, schedule):
    """Also a new key, and another choice, which drops the settings of the first."""
    from dvc.utils.hydra import apply_overrides

    file = tmp_path_factory.mktemp("params") / "params.yaml"
    file.write_text(f"train: {{a: 1, schedule: {before}}}\n", encoding="utf-8")
    params = read_yaml(file)
    overrides = {f"train.{key}": value for key, value in changes.items()}
    if schedule:
        overrides["train.schedule"] = schedule
    wanted = put_over(params, overrides)
    apply_overrides(str(file), set_param(params, wanted)[1::2])
    assert flat(read_yaml(file)) == flat(wanted)
    assert schedule is None or wanted["train"]["schedule"] == schedule


def test_set_takes_yaml() -> None:
    texts = ["train.min_lr=1e-05", "data.classes=[happy, sad]", "model.weights=null", "dedup.policy=off"]
    assert list(read_changes(texts).values()) == [1e-05, ["happy", "sad"], None, "off"]
    assert read_changes(["train.schedule=cosine"]) == {"train.schedule": {"name": "cosine"}}
    nested = {"train.augment.zoom.low": 0.9, "train.augment.zoom.high": 1.0}
    assert read_changes(["train.augment.zoom={low: 0.9, high: 1.0}"]) == nested
    for wrong in ("train.seed", "=3", "seed=3", "train..seed=3", "train.seed=[1", "train.seed=a: b: c"):
        with pytest.raises(CandidError, match="--set"):
            read_changes([wrong])


def test_settings_put_over_params_are_flat_again() -> None:
    nested = {"data": {"b": 1, "c": {"d": [1, 2]}}, "split": {"f": None}}
    assert flat(nested) == {"data.b": 1, "data.c.d": [1, 2], "split.f": None}
    assert put_over({}, flat(nested)) == nested
    assert put_over({"data": {"b": 2, "x": 3}}, {"data.b": 1}) == {"data": {"b": 1, "x": 3}}


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 300))
def test_what_is_shortened_is_taken_by_the_stage(epochs):
    recipe = load_recipe("rehman2024", REPOSITORY / "recipes", REPOSITORY / "params.yaml")
    (one,) = plan(recipe, [recipe.run("plain")], PARAMS, epochs=epochs)
    assert one.overrides["train.epochs"] == epochs
    assert (one.overrides["train.freeze"] or {"epochs": 0})["epochs"] < epochs


def test_a_dry_run_prints_the_commands_and_does_nothing(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.member("plain")
    command.main([KEY, "--dry-run", "--both", "--only", "plain"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("done      made2024-plain (")
    assert lines[1].startswith("dvc exp run --queue -n made2024-plain-leak_free ")
    assert lines[2] == "dvc queue start"
    assert project.git("status", "--porcelain") == ""


def test_the_list_has_runs_and_their_needs(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(["--list"])
    text = capsys.readouterr().out
    assert "made2024: Lovelace and Babbage 2024, Drawn faces told apart" in text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.startswith("  ")}
    assert rows["plain"][1:] == ["baseline_cnn", "sample", "1", "1", "10"]
    assert rows["seeds"][2:] == ["ck48", "3", "3", "10"]
    assert rows["transfer"][1:5] == ["resnet18", "sample,", "ImageNet", "weights"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected a recipe or --list"),
        ([KEY, "--list"], "expected a recipe or --list"),
        ([KEY, "--epochs", "0"], "--epochs 0: expected 1 or more"),
        ([KEY, "--epochs", "5", "--set", "train.epochs=3"], "--epochs and --set train.epochs: expected one"),
        ([KEY, "--scratch", "--set", "model.weights=x"], "--scratch and --set model.weights: expected one"),
        ([KEY, "--only", "repeated", "--set", "split.fold=1"], "--set split.fold: repeated runs over it"),
        ([KEY, "--only", "seeds", "--members", "x9"], "no such member; expected some of s0, s1, s2"),
        ([KEY, "--only", "plain", "--members", "s0"], "none: these runs are single experiments"),
        ([KEY, "--only", "nothing"], "made2024 has no run 'nothing'"),
        (["nothing"], "no such recipe; expected one of made2024"),
        ([KEY, "--set", "train.seed"], "--set train.seed: expected section.key=value"),
        ([KEY, "--only", "plain", "--set", "data.dataset=folder"], "made2024: nothing can be run here"),
    ],
)
def test_what_is_wrong_is_one_line(project: RecipeProject, arguments: list[str], words: str) -> None:
    assert words in refusal(command.main, arguments)


WORK = """\
import json, os, pathlib, sys, time
from ruamel.yaml import YAML
for _ in range(600):
    if pathlib.Path(os.environ["GO"]).exists():
        break
    time.sleep(0.1)
params = YAML(typ="safe", pure=True).load(pathlib.Path("params.yaml"))
if params["split"]["seed"] == 1:
    sys.exit("candid train: params.yaml: split.seed = 1: not a number for me")
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("metrics/report.json").write_text(json.dumps({"accuracy": params["train"]["epochs"] / 20}))
"""


def test_dvc_runs_what_is_queued_and_it_is_not_queued_twice(
    project: RecipeProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through DVC's real queue, with a pipeline that takes no time."""
    stage = "{cmd: python work.py, deps: [work.py], params: [split, train], metrics: [metrics/report.json]}"
    project.write("dvc.yaml", f"stages: {{train: {stage}}}\n")
    project.write("work.py", WORK)
    project.write(".dvc/config", "[core]\n    analytics = false\n    check_update = false\n")
    project.commit("a pipeline")
    go = project.root.parent / f"{project.root.name}-go"
    for name, value in (GIT | {"PYTHONPATH": str(REPOSITORY), "CI": "", "GO": str(go)}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    arguments = [KEY, "--only", "seeds", "--members", "s0", "s1", "--epochs", "5"]
    command.main(arguments)
    text = capsys.readouterr().out
    assert "queued  made2024-seeds-s0+5epochs (1 of 2)" in text
    assert "dvc queue status" in text
    assert read_experiments(project.root, project.recipe, ["seeds"]) == [], "they run in the background"
    go.touch()
    for _ in range(600):
        refs = project.git("for-each-ref", "--format=%(refname)", "refs/exps")
        if "seeds-s0+5epochs" in refs and "celery/failed" in refs:
            break
        time.sleep(0.5)
    (one,) = read_experiments(project.root, project.recipe, ["seeds"])
    assert (one.report["accuracy"], one.settings["split.seed"]) == (0.25, 0)
    command.main(arguments)
    text = capsys.readouterr().out
    assert "done      made2024-seeds-s0+5epochs (" in text
    assert "queued  made2024-seeds-s1+5epochs (1 of 1)" in text, "one that failed is queued again"
    subprocess.run([sys.executable, "-m", "dvc", "queue", "stop", "--kill"], check=True)
