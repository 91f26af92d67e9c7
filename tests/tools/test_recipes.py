"""The shipped recipes: complete, possible, and their numbers add up or the recipe says where they don't."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pandas as pd
import pytest

from stages.catalogue import find_dataset, read_catalogue
from stages.files import read_json
from stages.settings import check, read_yaml
from stages.split.params import SplitSettings
from stages.split.protocols import split_faces
from tools.compare.recorded import read_recorded
from tools.compare.rows import headline
from tools.compare.settings import deviation, flat
from tools.recipes import Published, Recipe, Run, list_recipes, load_recipe

ROOT = Path(__file__).parents[2]
PARAMS = read_yaml(ROOT / "params.yaml")
KEYS = list_recipes(ROOT / "recipes")
RECIPES = {key: load_recipe(key, ROOT / "recipes", ROOT / "params.yaml") for key in KEYS}
RUNS = [
    pytest.param(recipe, run, id=f"{recipe.key}-{run.name}")
    for recipe in RECIPES.values()
    for run in recipe.runs
]


def runs_with(*wanted: str) -> list[Any]:
    """Runs for which each of these is published; a score of happy stands for its table."""
    found = []
    for recipe in RECIPES.values():
        for run in recipe.runs:
            if {*wanted} <= {one.metric for one in run.published}:
                found.append(pytest.param(recipe, run, id=f"{recipe.key}-{run.name}"))
    return found


MEASURED = sorted((ROOT / "recipes/measured").rglob("*.json"))

HOW_IT_IS_COMPUTED = ("backend", "precision", "steps_per_execution", "distribution")
"""Settings of `train` that are the user's, whatever is reproduced."""

TEST_FACES = {"fergit": 2465, "ck48": 99, "rafdb": 3008}
FER2013_TEST = {"adebo2023": 3677, "qutub2023": 7178, "rehman2024": 7178}


def leaves(section: dict[str, Any], prefix: str) -> Iterator[str]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}.{key}")
        else:
            yield f"{prefix}.{key}"


def scores(run: Run, score: str) -> dict[str, float]:
    """Published values of one score by class."""
    found = {}
    for one in run.published:
        match one.metric.split("."):
            case ["per_class", name, kind] if kind == score:
                found[name] = one.value
    return found


def number(run: Run, metric: str) -> Published | None:
    return next((one for one in run.published if one.metric == metric), None)


def rounding(recipe: Recipe, value: float) -> float:
    """Half of the last digit printed: per cent in two papers, at least hundredths of it in the others."""
    least = 2 if recipe.key in ("adebo2023", "bah2022") else 4
    digits = max(least, len(repr(value).partition(".")[2]))
    return 0.5 / 10.0**digits + 1e-9


def test_the_five_papers_are_there():
    assert KEYS == ["adebo2023", "bah2022", "li2021", "qutub2023", "rehman2024"]


def test_every_row_of_the_papers_tables_is_a_run():
    nets = ["baseline", "efficientnet_b0", "resnet18", "vgg16", "vgg19"]
    assert {key: [run.name for run in recipe.runs] for key, recipe in RECIPES.items()} == {
        "adebo2023": [
            f"{net}-{optimizer}"
            for net in ("resnet50", "vgg11", "self_built")
            for optimizer in ("adam", "sgd", "nesterov")
        ],
        "bah2022": ["fergit-basic", "fergit-residual", "ck48-residual", "ck48-basic"],
        "li2021": ["own-images", "ck48"],
        "qutub2023": [*nets, *(f"{net}-rafdb" for net in nets[1:])],
        "rehman2024": ["plain", "augmented"],
    }


@pytest.mark.parametrize(("recipe", "run"), RUNS)
def test_a_run_leans_on_nothing_in_params_yaml_that_shapes_its_result(recipe: Recipe, run: Run):
    """Somebody who has edited params.yaml reproduces the paper all the same."""
    for settings in filter(
        None, (run.settings, run.honest, {**run.settings, **(run.without_imagenet or {})})
    ):
        over = run.honest_over if settings is run.honest else run.over
        settings = settings | {key: values[0] for key, values in over.items()}
        wanted = {
            *leaves(PARAMS["train"], "train"),
            *leaves(PARAMS["archs"][arch := settings["model.arch"]], f"archs.{arch}"),
        }
        wanted -= {f"train.{key}" for key in (*HOW_IT_IS_COMPUTED, "step_epochs", "step_factor")}
        optional = {
            "train.momentum": settings["train.optimizer"] == "sgd",
            "train.nesterov": settings["train.optimizer"] == "sgd",
            "train.min_lr": settings["train.schedule"] in ("plateau", "cosine"),
            "train.plateau.monitor": settings["train.schedule"] == "plateau",
            "train.plateau.patience": settings["train.schedule"] == "plateau",
            "train.plateau.factor": settings["train.schedule"] == "plateau",
            "train.warmup_epochs": settings["train.schedule"] == "cosine",
            "train.augment.crop_from": settings["train.augment.crop"] is not None,
            "train.thaw_learning_rate": settings["train.freeze_epochs"] > 0,
        }
        wanted -= {key for key, needed in optional.items() if not needed}
        off = {
            key.rpartition(".")[0]
            for key, value in settings.items()
            if key.endswith(".probability") and value == 0
        }
        wanted -= {key for key in wanted if key.rpartition(".")[0] in off}
        wanted |= {f"data.{key}" for key in ("dataset", "parts", "classes", "image_size", "color")}
        wanted |= {*leaves(PARAMS["dedup"], "dedup")}  # also where it is off: by it test faces are related
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
def test_another_yardstick_of_copies_is_a_change(recipe: Recipe, run: Run):
    """Also where the run is the honest one, which removes or groups by it."""
    for honest in (False, True):
        _, wanted = run.members(honest)[0]
        has = {**flat(PARAMS), **wanted}
        assert deviation(has, wanted, run).none
        others = {"min_similarity": 0.5, "verify": False, "conflicts": "drop", "hash": "dhash"}
        for key, value in others.items():
            assert not deviation({**has, f"dedup.{key}": value}, wanted, run).none


@pytest.mark.parametrize(("recipe", "run"), RUNS)
def test_the_honest_counterpart_differs_in_the_handling_of_dependence_alone(recipe: Recipe, run: Run):
    assert run.honest is not None
    changed = {key for key in {*run.settings, *run.honest} if run.settings.get(key) != run.honest.get(key)}
    assert {key.split(".")[0] for key in changed} <= {"dedup", "split"}
    assert run.honest["split.groups"] == ["subject", "sequence", "duplicate"]
    assert run.honest["dedup.policy"] != "off"
    assert run.settings["split.groups"] == []


@pytest.mark.parametrize(("recipe", "run"), RUNS)
def test_names_of_experiments_are_names_of_branches(recipe: Recipe, run: Run):
    for honest in (False, True):
        names = [f"{recipe.key}-{run.name}-{suffix}" for suffix, _ in run.members(honest)]
        assert len(set(names)) == len(names)
        assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-") for name in names)


def test_ten_by_ten_folds_are_a_hundred_experiments():
    members = RECIPES["li2021"].run("ck48").members(honest=True)
    assert [members[0][0], members[13][0], members[-1][0]] == ["r0-f0", "r1-f3", "r9-f9"]
    assert len(members) == 100
    assert members[13][1]["split.repeat"] == 1
    assert members[13][1]["split.fold"] == 3
    assert members[13][1]["split.groups"] == ["subject", "sequence", "duplicate"]


def test_without_imagenet_nothing_is_frozen():
    for recipe in RECIPES.values():
        for run in recipe.runs:
            for honest in (False, True):
                for _, settings in run.members(honest, imagenet=False):
                    assert settings["model.weights"] is None
                    assert settings["train.freeze_epochs"] == 0


def test_the_split_of_ck48_has_the_papers_test_part():
    counts = {
        "angry": 135,
        "disgust": 177,
        "fear": 75,
        "happy": 207,
        "sad": 84,
        "surprise": 249,
        "contempt": 54,
    }
    labels = [name for name, count in counts.items() for _ in range(count)]
    faces = pd.DataFrame({"id": range(981), "label": labels, "part": "", "subject": "", "sequence": ""})
    kept = pd.DataFrame({"id": range(981), "group": -1, "kept": True})
    run = RECIPES["bah2022"].run("ck48-residual")
    section = {**PARAMS["split"], "ratios": run.settings["split.ratios"], "groups": []}
    splits = split_faces(faces, kept, check("split", SplitSettings, section))
    assert splits[splits["part"] == "test"]["label"].value_counts().to_dict() == scores(run, "support")


@pytest.mark.parametrize(("recipe", "run"), runs_with("per_class.happy.support"))
def test_supports_add_up_to_the_test_part(recipe: Recipe, run: Run):
    supports = scores(run, "support")
    dataset = run.settings["data.dataset"]
    tested = FER2013_TEST[recipe.key] if dataset == "fer2013" else TEST_FACES[dataset]
    if recipe.key == "qutub2023" and dataset == "fer2013":
        assert sum(supports.values()) == 7168
        assert "7,168" in recipe.notes["supports"]
        assert tested - 7168 == 1774 - supports["happy"]
    else:
        assert sum(supports.values()) == tested


@pytest.mark.parametrize(
    ("recipe", "run"), runs_with("accuracy", "per_class.happy.support", "per_class.happy.recall")
)
def test_accuracy_is_recall_weighted_by_support(recipe: Recipe, run: Run):
    supports, recalls, accuracy = scores(run, "support"), scores(run, "recall"), number(run, "accuracy")
    assert accuracy is not None
    assert supports.keys() == recalls.keys()
    expected = sum(recalls[name] * supports[name] for name in supports) / sum(supports.values())
    assert abs(expected - accuracy.value) <= 0.005 + rounding(recipe, accuracy.value)


def test_accuracy_of_a_table_without_supports_agrees_with_those_of_its_test_part():
    """qutub2023's baseline: the 7,178 faces as rehman2024 counts them."""
    run = RECIPES["qutub2023"].run("baseline")
    supports = scores(RECIPES["rehman2024"].run("plain"), "support")
    recalls, accuracy = scores(run, "recall"), number(run, "accuracy")
    assert accuracy is not None
    assert sum(supports.values()) == 7178
    assert supports.keys() == recalls.keys()
    assert not scores(run, "support")
    assert abs(sum(recalls[name] * supports[name] for name in supports) / 7178 - accuracy.value) <= 0.005


@pytest.mark.parametrize(("recipe", "run"), runs_with("per_class.happy.precision", "per_class.happy.f1"))
def test_f1_is_the_harmonic_mean(recipe: Recipe, run: Run):
    precisions, recalls = scores(run, "precision"), scores(run, "recall")
    for name, f1 in scores(run, "f1").items():
        low, high = (
            2 / (1 / (precisions[name] + off) + 1 / (recalls[name] + off)) for off in (-0.005, 0.005)
        )
        assert low - 0.005 <= f1 <= high + 0.005, name


@pytest.mark.parametrize(("recipe", "run"), runs_with("macro.f1"))
def test_macro_scores_are_means_of_the_classes(recipe: Recipe, run: Run):
    macro, classes = number(run, "macro.f1"), scores(run, "f1")
    assert macro is not None
    assert len(classes) == 3
    if run.name == "vgg11-nesterov":
        assert mean(classes.values()) == pytest.approx(0.56)
        assert macro.value == 0.53
        assert "0.53" in recipe.notes["vgg11_nesterov"]
        assert "0.56" in recipe.notes["vgg11_nesterov"]
    else:
        assert abs(mean(classes.values()) - macro.value) <= 0.01


@pytest.mark.parametrize("run", RECIPES["adebo2023"].runs, ids=lambda run: run.name)
def test_adebo2023_recalls_can_give_both_averages(run: Run):
    """Macro recall, the classes' F1 and happy's recall leave a range for the accuracy, which is micro F1."""
    accuracy, macro = number(run, "micro.f1"), number(run, "macro.recall")
    assert accuracy is not None
    assert macro is not None
    recalls = {name: (least_recall(f1 - 0.005), 1.0) for name, f1 in scores(run, "f1").items()}
    for name, recall in scores(run, "recall").items():
        recalls[name] = recall - 0.005, recall + 0.005
    total = 3 * macro.value
    least = accuracy_at(scores(run, "support"), recalls, total - 0.015, best=False)
    most = accuracy_at(scores(run, "support"), recalls, total + 0.015, best=True)
    if run.name == "vgg11-adam":
        assert least >= 0.718 > accuracy.value + 0.005
        assert "0.718" in RECIPES["adebo2023"].notes["vgg11_adam"]
    else:
        assert least <= accuracy.value + 0.005
        assert accuracy.value - 0.005 <= most


def least_recall(f1: float) -> float:
    """With a precision of 1."""
    return f1 / (2 - f1)


def accuracy_at(
    supports: dict[str, float], recalls: dict[str, tuple[float, float]], total: float, best: bool
) -> float:
    """Accuracy of recalls that add up to `total`, given to the large classes first, or to the small ones."""
    found = {name: low for name, (low, _) in recalls.items()}
    for name in sorted(supports, key=lambda name: supports[name], reverse=best):
        low, high = recalls[name]
        found[name] += max(0.0, min(high - low, total - sum(found.values())))
    return sum(found[name] * supports[name] for name in supports) / sum(supports.values())


@pytest.mark.parametrize(("recipe", "run"), RUNS)
def test_a_run_is_known_by_what_its_paper_compares(recipe: Recipe, run: Run):
    known = headline(run)
    expected = "macro.f1" if recipe.key == "adebo2023" else "accuracy"
    assert (known if isinstance(known, str) else known.metric) == expected


@pytest.mark.parametrize(("key", "name"), [("qutub2023", "vgg16"), ("qutub2023", "resnet18-rafdb")])
def test_confusion_matrices_agree_with_the_tables(key: str, name: str):
    recipe, run = RECIPES[key], RECIPES[key].run(name)
    assert run.confusions
    for matrix in run.confusions:
        actual = dict(zip(matrix.classes, map(sum, matrix.counts), strict=True))
        predicted = dict(zip(matrix.classes, map(sum, zip(*matrix.counts, strict=True)), strict=True))
        right = {name: matrix.counts[place][place] for place, name in enumerate(matrix.classes)}
        assert actual == scores(run, "support")
        for name in matrix.classes:
            assert abs(right[name] / actual[name] - scores(run, "recall")[name]) <= 0.005 + 1e-9
            assert abs(right[name] / predicted[name] - scores(run, "precision")[name]) <= 0.005 + 1e-9
        accuracy = number(run, "accuracy")
        assert accuracy is not None
        share = sum(right.values()) / sum(actual.values())
        if abs(share - accuracy.value) > rounding(recipe, accuracy.value):
            note = recipe.notes[matrix.source.lower().replace(" ", "_")]
            assert f"{sum(right.values()):,}" in note
            assert f"{share:.2%}".replace("%", " %") in note
            assert f"{accuracy.value:.2%}".replace("%", " %") in note


def test_means_and_deviations_are_those_of_the_repetitions():
    published = RECIPES["li2021"].run("own-images").published
    assert len(published) == 8
    for one in published:
        assert len(one.repetitions) == 10
        assert one.sd is not None
        assert abs(mean(one.repetitions) - one.value) <= 0.5e-4 + 1e-9, one
        assert abs(stdev(one.repetitions) - one.sd) <= 0.5e-4 + 1e-9, one


def test_li2021_accuracy_of_a_repetition_is_the_mean_of_its_sensitivities():
    """A hundred images of each class: overall accuracy is balanced accuracy."""
    published = RECIPES["li2021"].run("own-images").published
    accuracy = next(one for one in published if one.metric == "accuracy")
    recalls = [one.repetitions for one in published if one.metric.endswith(".recall")]
    assert len(recalls) == 7
    for overall, *classes in zip(accuracy.repetitions, *recalls, strict=True):
        assert math.isclose(mean(classes), overall, abs_tol=0.5e-4)


@pytest.mark.parametrize(
    ("key", "name", "told"),
    [
        ("adebo2023", "all", "0.45"),
        ("adebo2023", "best_epoch", "epoch 24"),
        ("adebo2023", "input", "488"),
        ("adebo2023", "removed", "794"),
        ("adebo2023", "schedule", "never falls"),
        ("adebo2023", "vgg11_adam", "0.718"),
        ("bah2022", "caption", "Figure 8"),
        ("bah2022", "f1", "65 %"),
        ("bah2022", "happy", "93 %"),
        ("bah2022", "minutes", "119"),
        ("bah2022", "split", "99"),
        ("li2021", "groups", "keeps only copies together"),
        ("li2021", "images", "1,400"),
        ("qutub2023", "conclusion", "70.2 %"),
        ("qutub2023", "others", "86.90 %"),
        ("qutub2023", "rafdb_test", "3,068"),
        ("qutub2023", "rows", "predictions"),
        ("qutub2023", "vgg19_map", "2x2"),
        ("rehman2024", "accuracy", "75.79 %"),
        ("rehman2024", "mma", "mahmoudima/mma-facial-expression"),
        ("rehman2024", "swapped", "78.57 %"),
        ("rehman2024", "training_samples", "28,745"),
        ("rehman2024", "validation", "7,178"),
    ],
)
def test_contradictions_are_told(key: str, name: str, told: str):
    assert told in RECIPES[key].notes[name]


def test_bah2022_f1_of_the_text_is_not_that_of_the_tables():
    for name in ("fergit-basic", "fergit-residual"):
        run = RECIPES["bah2022"].run(name)
        assert next(one.value for one in run.reported if one.what.startswith("F1")) == 0.65
        assert mean(scores(run, "f1").values()) > 0.67


def reported(key: str, run: str, what: str) -> float:
    (value,) = (one.value for one in RECIPES[key].run(run).reported if one.what == what)
    return value


def test_bah2022_minutes_add_up_to_more_than_the_text_has():
    runs = ("fergit-basic", "fergit-residual", "ck48-residual")
    minutes = sum(reported("bah2022", name, "run time on a K80") for name in runs)
    assert minutes == 121
    assert "= 121" in RECIPES["bah2022"].notes["minutes"]


def test_bah2022_parameters_add_up():
    trained, kept, together = (
        reported("bah2022", "fergit-residual", what)
        for what in ("trainable parameters", "parameters that are not trained", "all parameters")
    )
    assert trained + kept == together


@pytest.mark.parametrize(
    ("note", "before", "after", "score", "falls"),
    [
        ("resnet18_labels", "efficientnet_b0", "resnet18", "f1", {"fear"}),
        ("vgg16_labels", "efficientnet_b0", "vgg16", "precision", {"fear"}),
        ("vgg16_labels", "resnet18", "vgg16", "precision", set()),
        ("vgg16_labels", "efficientnet_b0", "vgg16", "recall", set()),
        ("vgg16_labels", "resnet18", "vgg16", "recall", set()),
        ("vgg19_labels", "vgg16", "vgg19", "f1", {"disgust"}),
        ("vgg19_labels", "vgg16", "vgg19", "precision", {"angry", "disgust"}),
        ("vgg19_labels", "vgg16", "vgg19", "recall", {"surprise", "neutral"}),
    ],
)
def test_qutub2023_labels_on_which_a_better_net_is_worse(
    note: str, before: str, after: str, score: str, falls: set[str]
):
    """Of FER2013, where the text has it better on each label."""
    recipe = RECIPES["qutub2023"]
    was, has = scores(recipe.run(before), score), scores(recipe.run(after), score)
    assert {name for name in was if has[name] < was[name]} == falls
    for name in falls:
        assert name in recipe.notes[note]
        assert f"{was[name]:.2f}" in recipe.notes[note]
        assert f"{has[name]:.2f}" in recipe.notes[note]


def test_qutub2023_takes_more_of_vgg_away_than_it_says():
    note = RECIPES["qutub2023"].notes["fewer_parameters"]
    shares = [1 - reported("qutub2023", name, "trainable parameters") / 138e6 for name in ("vgg16", "vgg19")]
    assert [f"{share:.0%}" for share in shares] == ["76%", "67%"]
    assert "76 and 67 %" in note


def test_qutub2023_has_four_nets_on_rafdb_where_it_says_three():
    recipe = RECIPES["qutub2023"]
    assert sum(run.settings["data.dataset"] == "rafdb" for run in recipe.runs) == 4
    assert "has four" in recipe.notes["three_models"]


def test_what_own_images_lack_is_told():
    """A folder names no person by itself, so its honest counterpart can't promise to divide them."""
    own, ck48 = RECIPES["li2021"].runs
    assert find_dataset(own.settings["data.dataset"], read_catalogue()).subject_pattern is None
    assert find_dataset(ck48.settings["data.dataset"], read_catalogue()).subject_pattern is not None
    assert own.settings.get("data.subject_pattern") is None
    assert "subject_pattern" in PARAMS["data"]
    assert "data.subject_pattern tells who is shown" in own.honest_protocol
    assert "no subject" in ck48.honest_protocol
    assert own.data_from is not None
    assert "ask the authors" in own.data_from


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_what_was_measured_is_of_a_run_that_there_is(path: Path):
    recipe = RECIPES[path.parent.name]
    record = read_json(path)
    assert record["recipe"] == recipe.key
    assert record["run"] in {run.name for run in recipe.runs}


@pytest.mark.parametrize("folder", sorted({path.parent for path in MEASURED}), ids=lambda folder: folder.name)
def test_what_was_measured_loads_with_its_recipe(folder: Path):
    found = read_recorded(folder, RECIPES[folder.name])
    assert len(found) == len(list(folder.glob("*.json")))
    assert all(one.members for one in found)


def test_qutub2023_accuracies_that_no_count_of_images_gives():
    """The note rafdb_accuracy says which; the others are counts of 3,008."""
    recipe = RECIPES["qutub2023"]
    notes = recipe.notes["rafdb_accuracy"]
    for run in recipe.runs:
        accuracy = number(run, "accuracy")
        assert accuracy is not None
        if run.settings["data.dataset"] == "rafdb":
            right = round(accuracy.value * 3008)
            possible = abs(right / 3008 - accuracy.value) <= rounding(recipe, accuracy.value)
            assert possible != (f"{accuracy.value * 100:.5g}" in notes), run.name
