"""What a command would queue: names, settings, what is there already, what can't be had, and at what cost."""

from __future__ import annotations

import http.server
import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candid.compare.found import read_experiments
from candid.compare.settings import OPEN, flat, merged
from candid.data.catalogue import read_catalogue
from candid.errors import CandidError
from candid.recipes import load_recipe
from candid.reproduce import command
from candid.reproduce.cost import MULTIPLY_ADDS, core_hours
from candid.reproduce.needs import Needs, answers
from candid.reproduce.overrides import hydra, read_set, unsettled
from candid.reproduce.plan import Asked, Planned, mark_done, plan
from candid.settings import read_yaml
from tests.commands.recipe_project import RecipeProject, made
from tests.conftest import REPOSITORY

PARAMS = read_yaml(REPOSITORY / "params.yaml")
CATALOGUE = read_catalogue()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecipeProject:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CANDID_MIRROR", raising=False)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(command, "answers", lambda address: False)
    return made(tmp_path)


def needs(project: RecipeProject, mirror: Path | None = None, online: bool = False) -> Needs:
    cache = project.root / ".dvc/cache"
    return Needs(CATALOGUE, PARAMS, mirror, lambda address: online, cache, project.root / "hub")


def planned(project: RecipeProject, online: bool = True, **asked: Any) -> list[Planned]:
    recipe = project.recipe
    wanted = [recipe.run(name) for name in asked.pop("runs", ["plain"])]
    params = asked.pop("params", PARAMS)
    return plan(recipe, Asked(wanted, **asked), params, needs(project, online=online))


def names(found: list[Planned]) -> list[str]:
    return [one.called.removeprefix("made2024-") for one in found]


def test_names_tell_the_run_the_protocol_the_member_and_the_change(project: RecipeProject) -> None:
    assert names(planned(project)) == ["plain"]
    assert names(planned(project, honest=(False, True))) == ["plain", "plain-honest"]
    assert names(planned(project, runs=["seeds"], honest=(True,))) == [f"seeds-honest-f{n}" for n in range(3)]
    assert names(planned(project, runs=["repeated"], members=["r1-*", "r0-f0"])) == [
        "repeated-r0-f0",
        *(f"repeated-r1-f{fold}" for fold in range(3)),
    ]
    assert names(planned(project, runs=["seeds", "repeated"], members=["s1"], epochs=2)) == [
        "seeds-s1-2epochs"
    ]
    assert names(planned(project, epochs=1)) == ["plain-1epoch"]
    assert names(planned(project, epochs=10)) == ["plain"], "these are the recipe's"
    assert names(planned(project, changes={"train.batch_size": 16})) == ["plain"], "so is this"
    assert names(planned(project, epochs=2, changes={"train.batch_size": 8})) == [
        "plain-2epochs-train.batch_size_8"
    ]
    assert names(planned(project, runs=["repeated"], honest=(True,))) == []


def test_settings_are_the_recipe_s_with_the_change_put_in(project: RecipeProject) -> None:
    (one,) = planned(project, epochs=5, changes={"train.seed": 7})
    wanted = dict(project.recipe.run("plain").members(False))[""]
    left_open = {key: value for key, value in OPEN.items() if key not in wanted}
    assert one.overrides == {
        **left_open,
        **wanted,
        "train.epochs": 5,
        "train.warmup_epochs": 1,
        "train.seed": 7,
    }
    (one,) = planned(project, epochs=5, changes={"train.warmup_epochs": 2})
    assert one.overrides == {**left_open, **wanted, "train.epochs": 5}, "what is asked for in words stays"


def test_an_edit_of_params_yaml_does_not_pass_for_the_run(project: RecipeProject) -> None:
    edited = merged(PARAMS, {"train.precision": "mixed_bfloat16"})
    (one,) = planned(project, params=edited)
    assert one.called == "made2024-plain-train.precision_mixed_bfloat16"
    assert one.overrides["train.precision"] == "mixed_bfloat16"
    (asked,) = planned(project, changes={"train.precision": "mixed_bfloat16"})
    assert (asked.called, asked.overrides) == (one.called, one.overrides), "the same as --set"
    (plain,) = planned(project, params=edited, changes={"train.precision": "float32"})
    assert (plain.called, plain.overrides["train.precision"]) == ("made2024-plain", "float32")


def test_without_a_hub_a_run_goes_from_scratch_and_is_called_so(project: RecipeProject) -> None:
    (one,) = planned(project, runs=["transfer"])
    assert (one.called, one.lacking, one.instead) == ("made2024-transfer", None, None)
    (one,) = planned(project, runs=["transfer"], online=False, epochs=2)
    assert one.called == "made2024-transfer-scratch-2epochs"
    assert one.overrides["model.weights"] is None
    assert one.overrides["train.freeze_epochs"] == 0
    assert "kaggle.com can't be reached" in (one.instead or "")
    (one,) = planned(project, runs=["transfer"], scratch=True)
    assert one.called == "made2024-transfer-scratch"
    kept = project.root / "hub/models/keras/resnetv1/keras/resnet_18_imagenet/3"
    kept.mkdir(parents=True)
    assert names(planned(project, runs=["transfer"], online=False)) == ["transfer"]


def test_weights_that_set_names_are_neither_left_out_nor_asked_for_elsewhere(
    project: RecipeProject, tmp_path: Path
) -> None:
    folder = {"model.weights": str(tmp_path)}
    (one,) = planned(project, runs=["transfer"], online=False, changes=folder)
    assert one.called.startswith("made2024-transfer-set_")
    assert (one.lacking, one.instead) == (None, None)
    assert one.overrides["model.weights"] == str(tmp_path)
    assert one.overrides["train.freeze_epochs"] == 5
    (one,) = planned(project, runs=["transfer"], online=False, changes={"model.weights": "imagenet"})
    assert one.called == "made2024-transfer"
    assert "kaggle.com can't be reached" in (one.lacking or "")
    with pytest.raises(CandidError, match=r"--scratch and --set model.weights=.*: expected one of the two"):
        planned(project, runs=["transfer"], scratch=True, changes=folder)


def test_null_for_the_weights_is_from_scratch_also_where_a_hub_answers(project: RecipeProject) -> None:
    (one,) = planned(project, runs=["transfer"], changes={"model.weights": None})
    assert one.called == "made2024-transfer-scratch"
    assert (one.overrides["model.weights"], one.overrides["train.freeze_epochs"]) == (None, 0)
    assert one == planned(project, runs=["transfer"], scratch=True)[0]


def test_imagenet_weights_that_set_asks_for_have_to_be_in_reach(project: RecipeProject) -> None:
    changes = {"model.arch": "vgg11", "model.weights": "imagenet"}
    (one,) = planned(project, online=False, changes=changes)
    assert "--set model.weights=/absolute/folder with vgg_11_imagenet as keras-hub's save_to_preset" in (
        one.lacking or ""
    )
    assert planned(project, changes=changes)[0].lacking is None
    other = project.root / "hub/models/keras/vgg/keras/vgg_11_imagenet_other/1"
    other.mkdir(parents=True)
    assert planned(project, online=False, changes=changes)[0].lacking is not None
    (other.parents[1] / "vgg_11_imagenet").mkdir()
    assert planned(project, online=False, changes=changes)[0].lacking is None


def test_a_run_that_has_no_other_way_is_left_out_without_the_weights(project: RecipeProject) -> None:
    recipe = project.recipe
    run = replace(recipe.run("transfer"), without_imagenet=None)
    (one,) = plan(recipe, Asked([run]), PARAMS, needs(project))
    assert one.called == "made2024-transfer"
    assert "ImageNet weights" in (one.lacking or "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train.batchsize": 8}, "the command line: unknown key train.batchsize; expected one of backend"),
        ({"train.batch_size": "many"}, "train.batch_size = 'many'"),
        ({"trian.seed": 1}, "unknown key trian.seed; expected a key of data"),
        ({"model.arch": "resnet51"}, "model.arch = 'resnet51': expected one of residual_cnn"),
        ({"model.weights": "imagenet"}, "baseline_cnn has no ImageNet weights; expected null"),
        ({"model.weights": "/no/such.keras"}, "model.weights = '/no/such.keras': no such file or folder"),
        ({"train.augment.crop": 100}, "train.augment.crop = 100: expected at most data.image_size = 48"),
        ({"train.freeze_epochs": 3}, "a frozen body of random weights learns nothing; expected 0"),
        ({"data.classes": ["hapy"]}, "data.classes = 'hapy': expected angry, disgust"),
        ({"archs.nonet.x": 1}, "unknown key archs.nonet.x; expected a key of one of residual_cnn"),
        ({"archs.vgg16.nonsense": 7}, "unknown key archs.vgg16.nonsense; expected one of scaling"),
        ({"archs.vgg16.dropout": 7}, "archs.vgg16.dropout = 7: "),
        (read_set(["archs.x.y=2020-01-01"]), "unknown key archs.x.y; expected a key of one of"),
        (read_set(["train.seed=2020-01-01"]), "train.seed = datetime.date(2020, 1, 1): "),
        (read_set(["train.plateau={}"]), "train.plateau = {}: expected the keys below it"),
    ],
)
def test_a_change_that_no_stage_would_take_is_refused(
    project: RecipeProject, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(CandidError) as error:
        planned(project, changes=changes)
    assert words in str(error.value)


def test_every_member_has_to_stand_the_change(project: RecipeProject) -> None:
    recipe = load_recipe("bah2022", REPOSITORY / "recipes", REPOSITORY / "params.yaml")
    asked = Asked([recipe.run("ck48-residual")], (True,), changes={"split.folds": 5})
    with pytest.raises(CandidError, match=r"the command line: split.fold = 5: expected 0 to 4"):
        plan(recipe, asked, PARAMS, needs(project))


def test_epochs_are_said_once(project: RecipeProject) -> None:
    with pytest.raises(CandidError, match=r"--epochs 5 and --set train.epochs=3: expected one of the two"):
        planned(project, epochs=5, changes={"train.epochs": 3})
    with pytest.raises(CandidError, match=r"train.freeze_epochs = 'some': "):
        planned(project, epochs=5, changes={"train.freeze_epochs": "some"})


def test_members_and_what_they_run_over_are_not_mixed_up(project: RecipeProject) -> None:
    with pytest.raises(CandidError, match=r"--set split.fold: repeated runs over it; choose with --members"):
        planned(project, runs=["repeated"], changes={"split.fold": 1})
    with pytest.raises(CandidError, match=r"--members x9: no such member; expected some of s0, s1, s2"):
        planned(project, runs=["seeds"], members=["x9"])
    with pytest.raises(CandidError, match="none: these are single"):
        planned(project, members=["s0"])


def test_what_is_done_is_not_run_again_and_what_has_other_settings_is(project: RecipeProject) -> None:
    commit = project.member("plain")
    project.member("plain-large", train__batch_size=8)
    project.member("seeds", "s1")
    found = mark_done(
        planned(project, runs=["plain", "plain-large", "seeds"]),
        read_experiments(project.root, project.recipe),
    )
    assert [one.called for one in found if one.done] == ["made2024-plain", "made2024-seeds-s1"]
    assert found[0].done == commit
    short = mark_done(planned(project, epochs=1), read_experiments(project.root, project.recipe))
    assert [one.done for one in short] == [None]


def test_missing_data_is_named_with_what_to_do(project: RecipeProject, tmp_path: Path) -> None:
    offline = needs(project)
    assert offline.data({"data.dataset": "sample"}) is None
    told = offline.data({"data.dataset": "rafdb"}) or ""
    assert "ask for RAF-DB at http://www.whdeng.cn" in told
    assert "put list_patition_label.txt and aligned.zip into a folder and set CANDID_MIRROR" in told
    told = offline.data({"data.dataset": "fergit"}) or ""
    assert "https://www.kaggle.com/datasets/msambare/fer2013, which can't be reached from here" in told
    assert "put fer2013.zip into a folder and set CANDID_MIRROR to its absolute path" in told
    assert "--set data.path=/absolute/folder_or_zip" in (offline.data({"data.dataset": "folder"}) or "")
    own = {"data.dataset": "folder", "data.path": str(tmp_path)}
    assert offline.data(own) is None
    assert "no such file" in (offline.data({**own, "data.path": str(tmp_path / "gone")}) or "")
    assert needs(project, online=True).data({"data.dataset": "fergit"}) is None
    assert needs(project, online=True).data({"data.dataset": "rafdb"}) is not None, "no program fetches that"
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name in ("fer2013.zip", "muxspace.zip"):
        assert needs(project, mirror).data({"data.dataset": "fergit"}) is not None
        (mirror / name).write_bytes(b"x")
    assert needs(project, mirror).data({"data.dataset": "fergit"}) is None
    assert str(mirror) in (needs(project, mirror).data({"data.dataset": "ck48"}) or "")


def test_what_dvc_or_kaggle_s_client_kept_counts_as_here(project: RecipeProject) -> None:
    asked = {"data.dataset": "ck48"}
    assert needs(project).data(asked) is not None
    run = project.root / ".dvc/cache/runs/ab/abc/def"
    run.parent.mkdir(parents=True)
    run.write_text(
        "cmd: python -m stages.download\n"
        "params:\n  params.yaml:\n    data.dataset: ck48\n    data.path: data/own\n"
        "outs:\n- path: data/raw\n  hash: md5\n  md5: 0123abcd.dir\n  size: 1\n"
    )
    assert needs(project).data(asked) is not None, "the listing alone is not the data"
    kept = project.root / ".dvc/cache/files/md5/01/23abcd.dir"
    kept.parent.mkdir(parents=True)
    kept.write_text("[]")
    assert needs(project).data(asked) is None
    assert needs(project).data({"data.dataset": "fer2013"}) is not None
    (project.root / "hub/datasets/msambare/fer2013/versions/1").mkdir(parents=True)
    assert needs(project).data({"data.dataset": "fer2013"}) is None


def test_a_server_that_answers_is_there_whatever_it_says() -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert answers(address)
        thread.join()
    assert not answers(address)
    assert not answers("no address")


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(-1e9, 1e9)
    | st.sampled_from(
        ["off", "ck48", "null", "1e5", "", "it's", 'a "b"', "x\\", "\\'", "/a b/c,d=[e]{f}:", "é"]
    )
)


@settings(deadline=None)  # the first call imports DVC
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES | st.lists(VALUES, max_size=4), min_size=1))
def test_dvc_writes_the_value_that_was_meant(tmp_path_factory, given_values):
    from dvc.utils.hydra import apply_overrides

    file = tmp_path_factory.mktemp("params") / "params.yaml"
    file.write_text("train: {a: 1, b: [1, 2]}\n", encoding="utf-8")
    params = read_yaml(file)
    apply_overrides(str(file), [hydra(f"train.{key}", value, params) for key, value in given_values.items()])
    found = read_yaml(file)["train"]
    assert {key: found[key] for key in given_values} == given_values


def test_set_takes_yaml(project: RecipeProject) -> None:
    assert read_set(
        ["train.min_lr=1e-05", "data.classes=[happy, sad]", "model.weights=null", "dedup.policy=off"]
    ) == {
        "train.min_lr": 1e-05,
        "data.classes": ["happy", "sad"],
        "model.weights": None,
        "dedup.policy": "off",
    }
    assert read_set(["train.plateau={patience: 3, factor: 0.5}"]) == {
        "train.plateau.patience": 3,
        "train.plateau.factor": 0.5,
    }
    for wrong in ("train.seed", "=3", "seed=3", "train..seed=3", "train.seed=[1", "train.seed=a: b: c"):
        with pytest.raises(CandidError, match="--set"):
            read_set([wrong])


def test_uncommitted_settings_that_a_run_would_take_are_told() -> None:
    edited = {**PARAMS, "train": {**PARAMS["train"], "seed": 5, "batch_size": 7}, "gate": {}}
    assert unsettled(edited, PARAMS, [{"train.batch_size": 8}]) == ["train.seed"]
    assert unsettled(PARAMS, PARAMS, [{}]) == []


def test_cost_grows_with_the_net_the_faces_and_the_epochs(project: RecipeProject) -> None:
    wanted = dict(project.recipe.run("plain").members(False))[""]

    def hours(**changes: Any) -> float:
        found = core_hours(
            {**wanted, **{k.replace("__", "."): v for k, v in changes.items()}}, PARAMS, CATALOGUE
        )
        assert found is not None
        return found

    assert hours(train__epochs=20) == pytest.approx(2 * hours())
    assert hours(data__image_size=96) == pytest.approx(4 * hours())
    assert hours(train__freeze_epochs=10) == pytest.approx(hours() / 3)
    assert hours(model__arch="vgg16") > 5 * hours()
    assert hours(data__dataset="fer2013") > 10 * hours()
    assert core_hours({**wanted, "data.dataset": "folder"}, PARAMS, CATALOGUE) is None


def test_multiply_adds_are_those_of_the_page_on_nets() -> None:
    page = (REPOSITORY / "docs/nets.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\d.]+) M \|", page, re.M)
    assert {name: float(millions) * 1e6 for name, millions in rows} == pytest.approx(MULTIPLY_ADDS)
    assert set(MULTIPLY_ADDS) == set(PARAMS["archs"])


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.member("plain")
    assert command.main(["made2024", "--dry-run", "--both"]) == 0
    text = capsys.readouterr().out
    assert "there    made2024-plain (" in text
    assert "to run   made2024-plain-honest\n" in text
    assert "dvc exp run --queue -n made2024-plain-honest " in text
    assert "to run   made2024-transfer-scratch\n" in text
    assert "without  ImageNet weights: " in text
    assert "left out seeds: needs ck48, CK+48" in text
    assert not (project.root / ".dvc").exists()
    assert project.git("status", "--porcelain") == ""


def test_the_dry_run_s_command_sets_what_params_yaml_does_not_say(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(["made2024", "--only", "plain", "--epochs", "3", "--dry-run"])
    text = capsys.readouterr().out
    assert "-S train.epochs=3 -S train.batch_size=16" in text
    assert "-S 'split.groups=[]'" in text
    assert "data.dataset" not in text, "the sample is the default"
    assert flat(PARAMS)["data.dataset"] == "sample"


def test_the_list_names_runs_needs_and_cost(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--list"]) == 0
    text = capsys.readouterr().out
    assert "made2024: Lovelace and Babbage 2024, Drawn faces told apart" in text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.startswith("  ")}
    assert rows["plain"][1:4] == ["baseline_cnn", "sample", "1"]
    assert rows["seeds"][2:6] == ["ck48", "(not", "here)", "3"]
    assert rows["repeated"][3] == "6"
    assert rows["repeated"][5] == "–", "no honest counterpart"
    assert "needed by made2024-seeds" in text
    assert "train from scratch" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected a recipe or --list"),
        (["made2024", "--list"], "expected a recipe or --list"),
        (["made2024", "--epochs", "0"], "--epochs 0: expected 1 or more"),
        (["made2024", "--jobs", "0"], "--jobs 0: expected 1 or more"),
        (["made2024", "--only", "nothing"], "made2024 has no run 'nothing'"),
        (["nothing"], "no such recipe; expected one of made2024"),
        (["made2024", "--set", "train.seed"], "--set train.seed: expected section.key=value"),
        (["made2024", "--only", "seeds"], "made2024: nothing can be run here"),
        (["made2024", "--only", "plain"], "DVC: "),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    project: RecipeProject, arguments: list[str], words: str, recwarn: pytest.WarningsRecorder
) -> None:
    with pytest.raises(CandidError) as error:
        command.main(arguments)
    assert words in str(error.value)


def test_the_mirror_has_to_be_absolute(project: RecipeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDID_MIRROR", "data")
    with pytest.raises(CandidError, match="expected an absolute path"):
        command.main(["--list"])
