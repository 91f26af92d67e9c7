"""The shipped recipes: complete, possible, and their numbers add up or the recipe says where they don't."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from candid.compare.measured import differences, read_export
from candid.compare.table import headline
from candid.data.catalogue import read_catalogue
from candid.recipes.load import flat, list_recipes, load_recipe
from candid.recipes.recipe import Recipe, Run
from candid.settings import check, read_yaml
from candid.splits.params import SplitSettings
from candid.splits.split import split_faces
from tests.conftest import REPOSITORY as ROOT
from tests.data.test_real import CK48, FER2013

PARAMS = read_yaml(ROOT / "params.yaml")
KEYS = list_recipes(ROOT / "recipes")
RECIPES = {key: load_recipe(key, ROOT / "recipes", ROOT / "params.yaml") for key in KEYS}


def runs_with(*wanted: str) -> list[Any]:
    """Runs for which each of these is published; a score of happy stands for its table."""
    found = []
    for recipe in RECIPES.values():
        for run in recipe.runs:
            if {*wanted} <= {one.metric for one in run.published}:
                found.append(pytest.param(recipe, run, id=f"{recipe.key}-{run.name}"))
    return found


RUNS = runs_with()
HOW_IT_IS_COMPUTED = ("backend", "precision", "steps_per_execution", "distribution")
"""Settings of `train` that are the user's, whatever is reproduced."""

TEST_FACES = {"fergit": 2465, "ck48": 99, "rafdb": 3008}
FER2013_TEST = {"adebo2023": 3677, "qutub2023": 7178, "rehman2024": 7178}


def scores(run: Run, score: str) -> dict[str, float]:
    """Published values of one score by class."""
    found = {}
    for one in run.published:
        match one.metric.split("."):
            case ["per_class", name, kind] if kind == score:
                found[name] = one.value
    return found


def rounding(recipe: Recipe, value: float) -> float:
    """Half of the last digit printed: per cent in two papers, at least hundredths of it in the others."""
    least = 2 if recipe.key in ("adebo2023", "bah2022") else 4
    digits = max(least, len(repr(value).partition(".")[2]))
    return 0.5 / 10.0**digits + 1e-9


@pytest.mark.parametrize(("recipe", "run"), RUNS)
def test_a_run_leans_on_nothing_in_params_yaml_that_shapes_its_result(recipe: Recipe, run: Run):
    """Somebody who has edited params.yaml reproduces the paper all the same."""
    variants = [run.members(leak_free, imagenet) for leak_free in (False, True) for imagenet in (True, False)]
    for settings in (next(iter(members.values())) for members in variants):
        arch = settings["model.arch"]
        wanted = {*flat({"train": PARAMS["train"]}), *flat({"archs": {arch: PARAMS["archs"][arch]}})}
        wanted -= {f"train.{key}" for key in HOW_IT_IS_COMPUTED}
        off = {
            key.rpartition(".")[0] for key, value in settings.items() if "probability" in key and not value
        }
        wanted -= {key for key in wanted if key.rpartition(".")[0] in off}
        wanted |= {f"data.{key}" for key in ("dataset", "parts", "classes", "image_size", "color")}
        wanted |= {*flat({"dedup": PARAMS["dedup"]})}  # also where it is off: by it test faces are related
        wanted |= {"class_weights.scheme", "model.arch", "model.weights", "evaluate.tta"}
        wanted |= {"split.protocol", "split.groups", "split.seed"}
        wanted |= {
            "random": {"split.ratios"},
            "official": {
                "split.ratios",
                "split.official.train",
                "split.official.validation",
                "split.official.test",
            },
            "folds": {"split.folds", "split.fold", "split.repeat"},
        }[settings["split.protocol"]]
        assert wanted - set(settings) == set()


@pytest.mark.parametrize(("recipe", "run"), RUNS)
def test_another_measure_of_copies_is_a_difference(recipe: Recipe, run: Run):
    """Also where the run is the leak-free one, which removes or groups by it."""
    for leak_free in (False, True):
        wanted = next(iter(run.members(leak_free).values()))
        assert not differences({**flat(PARAMS), **wanted}, wanted)
        looser = {"dedup.method": {"name": "aligned", "min_similarity": 0.5}}
        assert list(differences({**wanted, **looser}, wanted)) == ["dedup.method"]


@pytest.mark.parametrize(("recipe", "run"), RUNS)
def test_the_leak_free_counterpart_differs_in_the_handling_of_dependence_alone(recipe: Recipe, run: Run):
    paper, leak_free = run.paper.settings, run.leak_free.settings
    changed = {key for key in {*paper, *leak_free} if paper.get(key) != leak_free.get(key)}
    assert {key.split(".")[0] for key in changed} <= {"dedup", "split"}
    assert leak_free["split.groups"] == ["subject", "sequence", "duplicate"]
    assert leak_free["dedup.policy"] != "off"
    assert paper["split.groups"] == []


def test_without_imagenet_nothing_is_frozen():
    for recipe in RECIPES.values():
        for run in recipe.runs:
            for leak_free in (False, True):
                for settings in run.members(leak_free, imagenet=False).values():
                    assert settings["model.weights"] is None
                    assert settings["train.freeze"] is None


def test_the_split_of_ck48_has_the_papers_test_part():
    labels = [name for name, count in CK48.items() for _ in range(count)]
    faces = pd.DataFrame({"id": range(981), "label": labels, "part": "", "subject": "", "sequence": ""})
    kept = pd.DataFrame({"id": range(981), "group": -1, "kept": True})
    run = RECIPES["bah2022"].run("ck48-residual")
    section = {**PARAMS["split"], "ratios": run.paper.settings["split.ratios"], "groups": []}
    splits = split_faces(faces, kept, check("split", SplitSettings, section))
    assert splits[splits["part"] == "test"]["label"].value_counts().to_dict() == scores(run, "support")


@pytest.mark.parametrize(("recipe", "run"), runs_with("per_class.happy.support"))
def test_supports_add_up_to_the_test_part(recipe: Recipe, run: Run):
    supports = scores(run, "support")
    dataset = run.paper.settings["data.dataset"]
    tested = FER2013_TEST[recipe.key] if dataset == "fer2013" else TEST_FACES[dataset]
    if recipe.key == "qutub2023" and dataset == "fer2013":
        assert sum(supports.values()) == 7168
        assert "7,168" in recipe.notes["supports"]
        assert tested - 7168 == 1774 - supports["happy"]
    else:
        assert sum(supports.values()) == tested


@pytest.mark.parametrize(
    ("recipe", "run"), runs_with("accuracy", "per_class.happy.support", "per_class.sad.recall")
)
def test_accuracy_is_recall_weighted_by_support(recipe: Recipe, run: Run):
    supports, recalls = scores(run, "support"), scores(run, "recall")
    accuracy = next(one.value for one in run.published if one.metric == "accuracy")
    assert supports.keys() == recalls.keys()
    expected = sum(recalls[name] * supports[name] for name in supports) / sum(supports.values())
    assert abs(expected - accuracy) <= 0.005 + rounding(recipe, accuracy)


@pytest.mark.parametrize(("recipe", "run"), RUNS)
def test_a_run_is_known_by_what_its_paper_compares(recipe: Recipe, run: Run):
    assert headline(run) == ("macro.f1" if recipe.key == "adebo2023" else "accuracy")


def test_contradictions_are_noted():
    for key, name, text in (
        ("adebo2023", "vgg11_nesterov_validation", "0.688"),
        ("bah2022", "minutes", "44 + 48 + 29 = 121"),
        ("bah2022", "split", "99"),
        ("li2021", "groups", "does not say how"),
        ("qutub2023", "fewer_parameters", "76 and 67 %"),
        ("qutub2023", "rafdb_test", "3,068"),
        ("qutub2023", "rows", "predictions"),
        ("qutub2023", "search", "trial-and-error"),
        ("qutub2023", "three_models", "has four"),
        ("qutub2023", "vgg19_map", "2x2"),
        ("rehman2024", "increased", "before the split"),
    ):
        assert text in RECIPES[key].notes[name]


def test_bah2022_supports_are_a_twentieth_of_fer2013_and_muxspace_without_its_sad_faces():
    """Faces of FER2013 and rows of muxspace's legend, by class; 9 of contempt are not among the seven."""
    muxspace = {"angry": 252, "disgust": 208, "fear": 21, "happy": 5696, "sad": 268, "surprise": 368}
    muxspace["neutral"] = 6868
    assert sum(FER2013.values()) == 35887
    assert sum(muxspace.values()) + 9 == 13690
    assert sum(FER2013.values()) + sum(muxspace.values()) - muxspace["sad"] == 49300
    for run in ("fergit-basic", "fergit-residual"):
        for name, support in scores(RECIPES["bah2022"].run(run), "support").items():
            assert abs(support - (FER2013[name] + muxspace[name] * (name != "sad")) / 20) <= 1


def test_what_own_images_lack_is_told():
    """A folder names no person by itself, so its honest counterpart can't promise to divide them."""
    own, ck48 = RECIPES["li2021"].runs
    assert read_catalogue()[own.paper.settings["data.dataset"]].subject_pattern is None
    assert read_catalogue()[ck48.paper.settings["data.dataset"]].subject_pattern is not None
    assert own.paper.settings.get("data.subject_pattern") is None
    assert "subject_pattern" in PARAMS["data"]
    assert "data.subject_pattern says who is shown" in own.leak_free.text
    assert "no subject" in ck48.leak_free.text
    assert own.data_from is not None
    assert "ask the authors" in own.data_from


@pytest.mark.parametrize("folder", sorted((ROOT / "recipes/measured").iterdir()), ids=lambda one: one.name)
def test_what_was_measured_is_of_runs_that_there_are(folder: Path):
    results = read_export(folder, RECIPES[folder.name])
    assert len(results) == len(list(folder.glob("*.json"))) > 0
    for one in results:
        run = RECIPES[folder.name].run(one.run)
        known = run.members(one.leak_free)
        assert one.wanted == len(known)
        assert set(one.changed) <= set(next(iter(known.values()))), "settings that there are"
