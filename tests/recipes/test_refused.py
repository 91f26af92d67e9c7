"""A recipe with a fault is refused in one line that names the file, the key or run, and the fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from candid.errors import CandidError
from candid.recipes.load import list_recipes, load_recipe
from tests.conftest import REPOSITORY, python, refusal

PARAMS = REPOSITORY / "params.yaml"
TOY = """\
paper:
  title: A toy
  authors: [Ada One, Bo Two, Cy Three]
  year: 2020
  where: Nowhere
  url: https://example.org
claim: It works.
protocol: Random 90/5/5.
settings:
  data.dataset: ck48
  train.epochs: 20
  train.augment.zoom: {low: 0.9, high: 1.1, probability: 1.0}
given:
  data, model: '2.1: "as it was"'
  train.epochs: '2.2: "twenty epochs"'
interpreted:
  train.augment.zoom: '2.3: "a zoom", by a tenth'
chosen:
  archs, split.seed: not given
  train.freeze: not spoken of
leak_free:
  protocol: Subject folds.
  settings: {split.protocol: folds, dedup.policy: group}
  over: {split.fold: 10}
runs:
  - name: basic
    about: A net
    settings:
      model.arch: basic_cnn
      archs.basic_cnn.dropout: 0.2
    over: {split.seed: [0, 1, 2]}
    published:
      - {source: Table 1, metric: accuracy, value: 0.97}
      - source: Table 2
        per_class:
          happy: {precision: 0.9, recall: 0.8, f1: 0.85, support: 10}
      - source: Figure 3
        confusion:
          of: predicted
          classes: [happy, sad]
          rows: [[8, 1], [2, 9]]
  - name: r50
    about: Another net
    data_from: ask Ada One
    settings:
      model: {arch: resnet50, weights: imagenet}
      train.freeze: {epochs: 2, thaw_learning_rate: 0.0001}
    without_imagenet: {model.weights: null, train.freeze: null}
    leak_free: {over: {}}
notes:
  doubt: Table 1 says otherwise.
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "toy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_read(tmp_path: Path) -> None:
    write(tmp_path, TOY)
    recipe = load_recipe("toy", tmp_path, PARAMS)
    basic, r50 = recipe.runs
    assert recipe.given == {"data, model": '2.1: "as it was"', "train.epochs": '2.2: "twenty epochs"'}
    assert recipe.interpreted == {"train.augment.zoom": '2.3: "a zoom", by a tenth'}
    assert recipe.chosen["archs, split.seed"] == "not given"
    assert (basic.data_from, r50.data_from) == (None, "ask Ada One")
    assert recipe.paper.short == "One et al. 2020"
    assert recipe.notes == {"doubt": "Table 1 says otherwise."}
    assert [(one.metric, one.value, one.source) for one in basic.published] == [
        ("accuracy", 0.97, "Table 1"),
        ("per_class.happy.precision", 0.9, "Table 2"),
        ("per_class.happy.recall", 0.8, "Table 2"),
        ("per_class.happy.f1", 0.85, "Table 2"),
        ("per_class.happy.support", 10, "Table 2"),
    ]
    assert basic.confusion is not None
    assert basic.confusion[1].counts == [[8, 2], [1, 9]]
    assert (basic.paper.text, basic.leak_free.text) == ("Random 90/5/5.", "Subject folds.")
    members = basic.members(leak_free=False)
    assert list(members) == ["s0", "s1", "s2"]
    assert members["s2"] == {
        "train.precision": "float32",
        "train.backend": "tensorflow",
        "data.dataset": "ck48",
        "train.epochs": 20,
        "train.augment.zoom.low": 0.9,
        "train.augment.zoom.high": 1.1,
        "train.augment.zoom.probability": 1.0,
        "model.arch": "basic_cnn",
        "archs.basic_cnn.dropout": 0.2,
        "split.seed": 2,
    }
    leak_free = basic.members(leak_free=True)
    assert list(leak_free) == [f"f{fold}" for fold in range(10)]
    assert (leak_free["f9"]["dedup.policy"], leak_free["f9"]["split.fold"]) == ("group", 9)
    assert list(r50.members(leak_free=True)) == [""], (
        "an over of its own, here none, goes before the recipe's"
    )
    assert r50.members(leak_free=False, imagenet=False)[""]["model.weights"] is None


def test_a_run_s_own_over_is_that_of_its_counterpart_unless_another_is_given(tmp_path: Path) -> None:
    write(tmp_path, TOY.replace("  over: {split.fold: 10}\n", ""))
    basic = load_recipe("toy", tmp_path, PARAMS).run("basic")
    assert basic.leak_free.over == basic.paper.over == {"split.seed": [0, 1, 2]}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("notes:", "note:", "unknown key recipe.note; expected one of paper, claim"),
        ("about: A net", "abut: A net", "unknown key runs.basic.abut; expected one of name, about"),
        ("rows: [[", "raws: [[", "unknown key runs.basic.published.2.confusion.raws; expected one of"),
        ("{over: {}}", "{nine: 1}", "unknown key runs.r50.leak_free.nine; expected one of protocol"),
        ("data.dataset: ck48", "data.datset: ck48", "unknown key data.datset; expected one of dataset"),
        ("data.dataset: ck48", "gete.margin: 0.1", "unknown key gete.margin; expected a key of data,"),
        ("data.dataset: ck48", "train.augment.flip.by: 1", "unknown key train.augment.flip.by; flip has no"),
        ("data.dataset: ck48", "train.schedule: cosines", "train.schedule.name = 'cosines': expected one of"),
        ("data.dataset: ck48", "train.schedule.name: cosine", "train.schedule is one value; expected"),
        ("data.dataset: ck48", "train.augment.shift: 0.1", "augment.shift = 0.1: expected the keys below"),
        ("cnn.dropout:", "cnn.drop:", "unknown key archs.basic_cnn.drop; expected one of scaling"),
        ("arch: basic_cnn", "arch: plain", "model.arch = 'plain': expected one of residual_cnn, basic_cnn"),
        ("cnn.dropout: 0.2", "cnn.dropout: 1.2", "archs.basic_cnn.dropout = 1.2: "),
        ("train.epochs: 20", "train.epochs: 0", "run 'basic': train.epochs = 0: "),
        ("low: 0.9", "low: 1.9", "low 1.9 is above high 1.1"),
        ("{epochs: 2,", "{epochs: 20,", "run 'r50': train.freeze.epochs = 20: must be less than"),
        ("{model.weights: null, train", "{model.weights: null, trein", "unknown key trein.freeze; expected"),
        ("null, train.freeze: null", "null", "a frozen body of random weights learns nothing; expected null"),
        ("arch: resnet50", "arch: basic_cnn", "basic_cnn has no ImageNet weights; expected"),
        ("dataset: ck48", "dataset: ck49", "data.dataset = 'ck49': expected one of sample"),
        ("data.dataset: ck48", "train.augment.crop: {name: ten, size: 99}", "crop.size = 99: expected"),
        ("data.dataset: ck48", "data.image_size: 24", "data.image_size = 24: basic_cnn needs at least 32"),
        ("split.fold: 10", "split.fold: 11", "split.fold = 10: expected 0 to 9"),
        ("seed: [0, 1, 2]", "seed: [0, 0]", "over split.seed = [0, 0]: expected different numbers"),
        ("{split.seed: [0, 1, 2]}", "{data.path: [own/A, a]}", "over data.path = ['own/A', 'a']: expected"),
        ("{split.seed: [0, 1, 2]}", "{data.path: [A, a]}", "over data.path = ['A', 'a']: expected different"),
        ("name: r50", "name: basic-s1", "two runs or experiments of the name toy-basic-s1; expected"),
        ("name: r50", "name: basic", "two runs or experiments of the name basic; expected"),
        ("{source: Table 1, metric", "{metric", "runs.basic.published.0.source is missing"),
        ("accuracy, value: 0.97", "accuracy, value: 97.0", "accuracy = 97 is above 1; expected a fraction"),
        ("accuracy, value: 0.97", "accuracy}  #", "expected metric and value, or per_class, or confusion"),
        ("metric: accuracy", "metric: accuracies", "metric = 'accuracies'; expected one such as accuracy"),
        ("happy: {", "glad: {", "'glad' is no expression of this project; expected one of angry"),
        ("metric: accuracy", "metric: per_class.happy.f1", "happy.f1 a second time (Table 2); first in"),
        ("  train.epochs: 20", "  data.classes: [sad, angry]", "a score of 'happy', which is not in"),
        ("[[8, 1], [2, 9]]", "[[8, 1], [2]]", "expected 2 rows of 2 numbers, each class once"),
        ("name: r50", "name: R 50", "runs.R 50.name = 'R 50': "),
        ("    without_imagenet: {model.weights: null, train.freeze: null}\n", "", "without_imagenet go"),
        ("weights: imagenet", "weights: null", "without_imagenet go together"),
        ("'2.3: \"a zoom\", by a tenth'", "by a tenth", "String should match pattern"),
        ("  train.augment.zoom: '", "  train.nesterov: '", "interpreted train.nesterov is set nowhere"),
        ("archs, split.seed", "archs, train.mixup, split.seed", "chosen train.mixup is set nowhere"),
        ("train.epochs: 20", "train: {mixup: 0.1}\n  train.epochs: 20", "train.mixup has no origin"),
        ("over: {split.seed", "over: {train.seed: 2, split.seed", "train.seed has no origin; expected it"),
        ("archs, split", "archs, model.arch, split", "given model and chosen model.arch both stand for"),
        ("train.epochs: 20", "train: {}\n  train.epochs: 20", "train = {}: expected a value, or keys below"),
        ("train.epochs: 20\n", "train.epochs: 20\n  train: {epochs: 30}\n", "train.epochs a second time"),
        ("source: Table 2", "source: ' '", "runs.basic.published.1.source = ' ': String should have"),
        ("  protocol: Subject folds.\n", "", "recipe.leak_free.protocol is missing"),
        ("year: 2020", "year: ]", "not YAML: "),
    ],
)
def test_refused_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TOY
    path = write(tmp_path, TOY.replace(old, new, 1))
    line = refusal(load_recipe, "toy", tmp_path, PARAMS)
    assert line.startswith(f"{path}: ")
    assert message in line


@pytest.mark.parametrize("text", ["", "[]", "toy", "1", "a: &a [*a]\n", "a: \x01\n"])
def test_what_is_no_recipe_at_all(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(CandidError, match=f"^{path}: "):
        load_recipe("toy", tmp_path, PARAMS)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CandidError, match=r"no recipe; expected files such as bah2022.yaml"):
        list_recipes(tmp_path)


def test_reading_recipes_takes_no_keras() -> None:
    code = (
        "import sys; from candid.recipes.load import list_recipes, load_recipe; "
        "[load_recipe(key) for key in list_recipes()]; "
        "sys.exit(bool({'keras', 'tensorflow', 'keras_hub'} & set(sys.modules)))"
    )
    assert python(code, REPOSITORY).returncode == 0
