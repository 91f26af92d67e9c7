"""Names of experiments, and what sets their settings apart from the recipe's."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from candid.compare.settings import MISSING, Deviation, deviation, differences, flat, merged, shortened
from candid.recipes import Recipe, load_recipe
from candid.recipes.names import Name, Names, variation
from tests.commands.recipe_project import RECIPE
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("recipes")
    (folder / "made2024.yaml").write_text(RECIPE, encoding="utf-8")
    return load_recipe("made2024", folder, REPOSITORY / "params.yaml")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("made2024-plain", Name("plain")),
        ("made2024-plain-large", Name("plain-large")),
        ("made2024-plain-honest", Name("plain", honest=True)),
        ("made2024-plain-large-honest-2epochs", Name("plain-large", True, "", "2epochs")),
        ("made2024-seeds-s1", Name("seeds", member="s1")),
        ("made2024-seeds-honest-f2-1epoch", Name("seeds", True, "f2", "1epoch")),
        ("made2024-repeated-r1-f2", Name("repeated", member="r1-f2")),
        ("made2024-transfer-scratch-2epochs", Name("transfer", variation="scratch-2epochs")),
    ],
)
def test_a_name_is_read_as_it_is_made(recipe: Recipe, text: str, name: Name) -> None:
    assert Names(recipe).read(text) == name
    assert name.of(recipe.key) == text


@pytest.mark.parametrize(
    "text",
    ["made2024", "made2024-plainer", "made2024-seeds", "made2024-seeds-s7", "other-plain", "tidy-newt"],
)
def test_what_is_of_no_run_is_left_alone(recipe: Recipe, text: str) -> None:
    assert Names(recipe).read(text) is None


TEXTS = st.text(st.sampled_from("aB0 ./~^:\\'\"é@{-"), max_size=60)
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | st.lists(st.integers())
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine drawing is slow
@given(
    st.booleans(),
    st.none() | st.integers(1, 999),
    st.dictionaries(st.sampled_from(["train.a", "data.b.c"]), VALUES),
)
def test_git_takes_every_variation_and_it_is_empty_only_where_nothing_differs(scratch, epochs, changed):
    found = variation(scratch, epochs, changed)
    assert (found == "") == (not scratch and epochs is None and not changed)
    assert all(letter.isalnum() or letter in "._-" for letter in found)
    assert ".." not in found
    assert not found.endswith((".", ".lock", "-"))
    assert len(found) < 80


def test_git_itself_takes_a_name() -> None:
    for one in (
        variation(True, 1, {"train.learning_rate": -1e-05}),
        variation(changed={"data.path": "/a b/ü~^:"}),
    ):
        ref = f"refs/exps/ab/cd/made2024-plain-{one}"
        subprocess.run(["git", "check-ref-format", ref], check=True)


def test_other_values_have_other_names() -> None:
    many = {f"train.key_{number}": number for number in range(9)}
    names = {variation(changed=many | {"train.key_0": value}) for value in range(5)}
    assert len(names) == 5


def test_flat_and_merged_undo_each_other() -> None:
    nested = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": {}, "f": None}
    assert flat(nested) == {"a.b": 1, "a.c.d": [1, 2], "e": {}, "f": None}
    assert merged({}, flat(nested)) == nested
    assert merged({"a": {"b": 2, "x": 3}}, {"a.b": 1}) == {"a": {"b": 1, "x": 3}}


def test_values_differ_as_settings_do() -> None:
    assert differences({"a": 1.0, "b": True}, {"a": 1, "b": 1, "c": None}) == {"b": True, "c": MISSING}


def test_fewer_epochs_keep_the_phases_within_them() -> None:
    settings = {
        "train.epochs": 100,
        "train.freeze_epochs": 50,
        "train.warmup_epochs": 2,
        "train.step_epochs": [60, 90],
    }
    assert shortened(settings, 100) == {}
    assert shortened(settings, 10) == {
        "train.epochs": 10,
        "train.freeze_epochs": 5,
        "train.warmup_epochs": 1,
        "train.step_epochs": [6, 9],
    }
    assert shortened(settings, 1) == {
        "train.epochs": 1,
        "train.freeze_epochs": 0,
        "train.warmup_epochs": 0,
        "train.step_epochs": [],
    }
    assert shortened(settings, 200) == {"train.epochs": 200}


def test_settings_of_a_net_that_was_not_trained_are_no_change() -> None:
    run = load_recipe("bah2022").run("ck48-residual")
    wanted = dict(run.members(False))["s0"]
    has = {key: value for key, value in wanted.items() if not key.startswith("archs.")}
    told = deviation(has | {"model.arch": "baseline_cnn"}, wanted, run)
    assert told.changed == {"model.arch": ("baseline_cnn", "residual_cnn")}


@given(st.integers(2, 300), st.integers(1, 300), st.data())
def test_what_is_shortened_is_taken_by_the_stage(whole, epochs, data):
    frozen = data.draw(st.integers(0, whole - 1))
    changed = {"train.epochs": whole, "train.freeze_epochs": frozen}
    changed |= shortened(changed, epochs)
    assert changed["train.epochs"] == epochs
    assert changed["train.freeze_epochs"] == 0 or changed["train.freeze_epochs"] < epochs


WITHOUT = {"model.weights": None, "train.freeze_epochs": 0}


def test_a_deviation_tells_short_scratch_and_changed_apart(recipe: Recipe) -> None:
    run = recipe.run("transfer")
    wanted = dict(run.members(False))[""]
    assert deviation(wanted, wanted, run).none
    assert deviation({**wanted, **shortened(wanted, 2)}, wanted, run) == Deviation(epochs=(2, 10))
    scratch = {**wanted, **(run.without_imagenet or {})}
    assert deviation(scratch, wanted, run) == Deviation(scratch=WITHOUT)
    assert deviation({**scratch, **shortened(scratch, 2)}, wanted, run) == Deviation((2, 10), scratch=WITHOUT)
    assert deviation({**wanted, "train.batch_size": 8}, wanted, run).changed == {"train.batch_size": (8, 16)}
    lacking = {key: value for key, value in wanted.items() if key != "train.epochs"}
    assert deviation(lacking, wanted, run).changed == {"train.epochs": (MISSING, 10)}


def test_what_recipes_leave_open_is_told_where_it_is_not_what_the_papers_did() -> None:
    run = load_recipe("bah2022").run("ck48-residual")
    wanted = dict(run.members(False))["s0"]
    open_keys = {"train.precision": "float32", "train.warmup_epochs": 0, "train.backend": "tensorflow"}
    assert deviation({**wanted, **open_keys}, wanted, run).none
    for key, value in (("train.precision", "mixed_bfloat16"), ("train.backend", "jax")):
        told = deviation({**wanted, **open_keys, key: value}, wanted, run)
        assert told.changed == {key: (value, open_keys[key])}


def test_the_nearest_to_the_recipe_ranks_first() -> None:
    order = [
        Deviation(),
        Deviation(scratch={"model.weights": None}),
        Deviation(changed={"train.seed": (1, 0), "train.batch_size": (8, 16)}),
        Deviation((9, 10)),
        Deviation((2, 10)),
        Deviation(changed={"model.arch": ("vgg11", "resnet50")}),
    ]
    turned = order[::-1]
    assert sorted(turned, key=lambda one: one.rank()) == order
    assert Deviation((4, 10)).rank() < Deviation().rank(members=0.2) < Deviation((1, 10)).rank()


def test_the_repository_s_own_recipes_give_names_that_are_read_back() -> None:
    paths = sorted((REPOSITORY / "recipes").glob("*.yaml"))
    assert paths
    for path in paths:
        recipe = load_recipe(path.stem, REPOSITORY / "recipes", REPOSITORY / "params.yaml")
        names = Names(recipe)
        for run in recipe.runs:
            for honest in (False, True):
                for suffix, _ in run.members(honest):
                    name = Name(run.name, honest, suffix, "2epochs")
                    assert names.read(name.of(recipe.key)) == name
