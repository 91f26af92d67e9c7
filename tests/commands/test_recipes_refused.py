"""A recipe with a fault is refused in one line that names the file, the line and the fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from candid.errors import CandidError
from candid.recipes import list_recipes, load_recipe

PARAMS = Path(__file__).parents[2] / "params.yaml"

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
given: [data, model, train.epochs]
chosen:
  train.augment.zoom: not given
  archs, split.seed: not given
  train.freeze_epochs: not spoken of
honest:
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
    reported:
      - {source: Table 1, what: epochs, value: 7, unit: epochs}
  - name: r50
    about: Another net
    data_from: ask Ada One
    settings: {model.arch: resnet50, model.weights: imagenet, train.freeze_epochs: 2}
    without_imagenet: {model.weights: null, train.freeze_epochs: 0}
    honest: {none: its own protocol is honest}
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
    assert recipe.given == ["data", "model", "train.epochs"]
    assert recipe.chosen["archs"] == recipe.chosen["split.seed"] == "not given"
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
    assert basic.confusions[0].counts == [[8, 2], [1, 9]]
    assert [suffix for suffix, _ in basic.members(honest=False)] == ["s0", "s1", "s2"]
    assert basic.members(honest=False)[2][1] == {
        "data.dataset": "ck48",
        "train.epochs": 20,
        "train.augment.zoom.low": 0.9,
        "train.augment.zoom.high": 1.1,
        "train.augment.zoom.probability": 1.0,
        "model.arch": "basic_cnn",
        "archs.basic_cnn.dropout": 0.2,
        "split.seed": 2,
    }
    assert [suffix for suffix, _ in basic.members(honest=True)] == [f"f{fold}" for fold in range(10)]
    assert basic.members(honest=True)[9][1]["dedup.policy"] == "group"
    assert basic.protocol == "Random 90/5/5."
    assert basic.honest_protocol == "Subject folds."
    assert r50.members(honest=False)[0][0] == ""
    assert r50.members(honest=True) == []
    assert r50.no_honest == "its own protocol is honest"
    assert r50.members(honest=False, imagenet=False)[0][1]["model.weights"] is None


def test_a_run_s_own_over_is_that_of_its_counterpart_unless_another_is_given(tmp_path: Path) -> None:
    write(tmp_path, TOY.replace("  over: {split.fold: 10}\n", ""))
    basic = load_recipe("toy", tmp_path, PARAMS).run("basic")
    assert basic.honest_over == basic.over == {"split.seed": [0, 1, 2]}


def refused(folder: Path, text: str, shown: str, told: str) -> None:
    """Expect a message that begins with the file and the line on which `shown` stands first."""
    path = write(folder, text)
    line = text[: text.index(shown)].count("\n") + 1
    with pytest.raises(CandidError) as caught:
        load_recipe("toy", folder, PARAMS)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}:{line}: ")
    assert told in message


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("notes:", "note:", "unknown key note; expected one of paper, claim"),
        ("about: A net", "abut: A net", "unknown key runs.0.abut; expected one of name, about"),
        ("f1: 0.85", "f2: 0.85", "unknown key runs.0.published.1.per_class.happy.f2; expected one of prec"),
        ("rows: [[", "raws: [[", "unknown key runs.0.published.2.confusion.raws; expected one of classes"),
        ("{none: its", "{nine: its", "unknown key runs.1.honest.nine; expected one of protocol, settings"),
        ("data.dataset: ck48", "data.datset: ck48", "unknown key data.datset; expected one of dataset"),
        ("data.dataset: ck48", "gate.margin: 0.1", "unknown key gate.margin; expected a key of data,"),
        ("data.dataset: ck48", "data: ck48", "unknown key data; expected a key of data,"),
        ("{low: 0.9", "{lo: 0.9", "unknown key train.augment.zoom.lo; expected one of low, high"),
        ("train.epochs: 20", "train.augment.flip.by: 1", "unknown key train.augment.flip.by; flip has no"),
        (
            "train.epochs: 20",
            "train.augment.shift: 0.1",
            "train.augment.shift = 0.1: expected the keys below",
        ),
        ("cnn.dropout:", "cnn.drop:", "unknown key archs.basic_cnn.drop; expected one of scaling"),
        ("archs.basic_cnn.", "archs.basic.", "unknown key archs.basic.dropout; expected a key of one of r"),
        ("arch: basic_cnn", "arch: plain", "model.arch = 'plain': expected one of residual_cnn, basic_cnn"),
        ("cnn.dropout: 0.2", "cnn.dropout: 1.2", "archs.basic_cnn.dropout = 1.2: "),
        ("train.epochs: 20", "train.epochs: 0", "train.epochs = 0: "),
        ("train.epochs: 20", "train.epochs: '20'", "train.epochs = '20': "),
        ("low: 0.9", "low: 1.9", "train.augment.zoom: low 1.9 is above high 1.1"),
        ("freeze_epochs: 2}", "freeze_epochs: 20}", "train.freeze_epochs = 20: must be less than epochs"),
        ("{model.weights: null, train", "{model.weights: null, trein", "unknown key trein.freeze_epochs"),
        ("arch: resnet50", "arch: basic_cnn, train.seed: 1", "basic_cnn has no ImageNet weights; expected"),
        ("dataset: ck48", "dataset: ck49", "data.dataset = 'ck49': expected one of sample"),
        ("train.epochs: 20", "train.augment.crop: 99", "train.augment.crop = 99: expected at most data.im"),
        ("train.epochs: 20", "data.image_size: 24", "data.image_size = 24: basic_cnn needs at least 32"),
        ("train.epochs: 20", "data.classes: [glad, sad]", "data.classes = 'glad': expected angry"),
        ("split.fold: 10", "split.fold: 11", "split.fold = 10: expected 0 to 9"),
        ("seed: [0, 1, 2]", "seed: [0, 0]", "split.seed = [0, 0]: expected different values"),
        ("seed: [0, 1, 2]", "seed: none", "split.seed = 'none': expected different values"),
        ("{source: Table 1, metric", "{metric", "published.0.source is missing: no number without the table"),
        ("{source: Table 1, what", "{what", "reported.0.source is missing: no number without the table"),
        ("accuracy, value: 0.97", "accuracy, value: 97.0", "value 97 is above 1; expected a fraction, not"),
        ("accuracy, value: 0.97", "accuracy}  #", "metric and value go together"),
        ("metric: accuracy, value: 0.97", "sd: 0.1", "expected metric and value, per_class or confusion"),
        ("metric: accuracy", "metric: accuracies", "= 'accuracies': expected a place in metrics/report.json"),
        ("metric: accuracy", "metric: per_class.glad.f1", "'glad' is no expression known here; expected"),
        ("happy: {", "glad: {", "per_class.glad = 'glad': 'glad' is no expression known here; expected one"),
        ("[happy, sad]", "[happy, glad]", "'glad' is no expression known here; expected one of angry"),
        ("name: r50", "name: basic #", "a second run 'basic'; expected one"),
        ("name: r50", "name: R 50", "runs.1.name = 'R 50': "),
        ("train.augment.zoom: not", "train.nesterov: not", "chosen train.nesterov is set nowhere"),
        ("[data, model", "[data, split.folds, model", "given split.folds is set nowhere; expected a key of"),
        ("archs, split.seed", "archs, train.mixup, split.seed", "chosen train.mixup is set nowhere"),
        ("train.epochs: 20", "train: {mixup: 0.1}\n  train.epochs: 20", "train.mixup is neither given nor"),
        ("over: {split.seed", "over: {train.seed: 2, split.seed", "train.seed is neither given nor chosen"),
        ("train.freeze_epochs: not", "train.freeze_epochs, model.arch: not", "chosen model.arch stands for"),
        ("train.epochs: 20", "train: {}\n  train.epochs: 20", "train = {}: expected a value, or keys below"),
        ("train.epochs: 20", "train.epochs: {}", "train.epochs = {}: expected a value, or keys below it"),
        ("doubt: Table 1 says otherwise.", "doubt: '  '", "notes.doubt = '  ': String should have at least"),
        ("source: Table 2", "source: ' '", "runs.0.published.1.source = ' ': String should have at least 1"),
        ("data_from: ask Ada One", "data_from: ''", "runs.1.data_from = '': String should have at least 1"),
        ("{none: its own", "{protocol: so, none: its own", "nothing else can stand beside it"),
        ("url: https", "url: ttps", "paper.url = 'ttps://example.org': "),
    ],
)
def test_refused_where_it_stands(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in TOY
    assert new not in TOY
    refused(tmp_path, TOY.replace(old, new, 1), new, told)


@pytest.mark.parametrize(
    ("old", "new", "shown", "told"),
    [
        (
            "metric: accuracy",
            "metric: per_class.happy.f1",
            "source: Table 2",
            "per_class.happy.f1 a second time; first in Table 1",
        ),
        (
            "train.epochs: 20",
            "data.classes: [sad, angry]",
            "source: Table 2",
            "a score of 'happy', which is not in data.classes = ['sad', 'angry']",
        ),
        ("[[8, 1], [2, 9]]", "[[8, 1], [2]]", "confusion:", "rows: expected 2 of 2 numbers"),
        ("[happy, sad]", "[sad, sad]", "confusion:", "classes: each can stand there once"),
        (
            "    without_imagenet: {model.weights: null, train.freeze_epochs: 0}\n",
            "",
            "name: r50",
            "expected without_imagenet, what is run where no hub can be reached",
        ),
        (
            "weights: imagenet, train.freeze_epochs: 2",
            "weights: null",
            "without_imagenet:",
            "without_imagenet in a run that needs no ImageNet weights",
        ),
        (
            "null, train.freeze_epochs: 0",
            "null",
            "train.freeze_epochs: 2",
            "a frozen body of random weights learns nothing; expected 0",
        ),
        (
            "train.epochs: 20\n",
            "train.epochs: 20\n  train: {epochs: 30}\n",
            "train: {epochs: 30}",
            "train.epochs a second time; first in line 11",
        ),
        (
            "low: 0.9, high",
            "low: 0.9}\n  train: {augment: {zoom: {low: 0.8}}}\n  train.augment.shift: {fraction: 0.1} #",
            "train: {augment",
            "train.augment.zoom.low a second time; first in line 12",
        ),
        (
            "train.freeze_epochs: not",
            "train.augment.zoom.low, train.freeze_epochs: not",
            "train.augment.zoom.low, train",
            "chosen train.augment.zoom.low stands for train.augment.zoom.low, and so does chosen "
            "train.augment.zoom in line 15; expected one of them",
        ),
        (
            "given: [data, model, train.epochs]",
            "given: [data, train.epochs]",
            "model.arch: basic_cnn",
            "model.arch is neither given nor chosen; expected it, or a key above it, in given",
        ),
    ],
)
def test_refused_where_it_shows(tmp_path: Path, old: str, new: str, shown: str, told: str) -> None:
    assert old in TOY
    refused(tmp_path, TOY.replace(old, new, 1), shown, told)


@pytest.mark.parametrize(
    ("old", "new", "shown", "told"),
    [
        ("year: 2020", "year: ]", "year: ]", "not YAML: "),
        ("year: 2020", "\tyear: 2020", "\tyear", "not YAML: found character"),
        (
            "about: A net\n",
            "about: A net\n    about: An\n",
            "about: An\n",
            "about a second time; first in line 24",
        ),
        (
            "  doubt:",
            "  ? [a, b]\n  : c\n  doubt:",
            "? [a, b]",
            "a list or a mapping as a key; expected text",
        ),
    ],
    ids=["bracket", "tab", "twice", "key"],
)
def test_what_is_no_yaml_is_refused_where_it_stands(
    tmp_path: Path, old: str, new: str, shown: str, told: str
) -> None:
    assert old in TOY
    refused(tmp_path, TOY.replace(old, new, 1), shown, told)


@pytest.mark.parametrize(
    "text", ["a: &a [*a]\n", "a: \x01\n", b"a: \xff\n"], ids=["itself", "control", "bytes"]
)
def test_what_can_t_be_read_at_all(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "toy.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CandidError, match=f"^{path}: ") as caught:
        load_recipe("toy", tmp_path, PARAMS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("basic-honest", "run 'basic-honest': honest stands for the honest counterparts"),
        ("honest", "run 'honest': honest stands for the honest counterparts"),
        ("basic-s1", "run 'basic-s1': toy-basic-s1 would also be an experiment of run 'basic'"),
        ("basic-s2-2epochs", "toy-basic-s2-2epochs would also be an experiment of run 'basic'"),
        ("basic-s0-scratch", "toy-basic-s0-scratch would also be an experiment of run 'basic'"),
        ("basic-s0-scratch-1epoch-set_0123abcd", "would also be an experiment of run 'basic'"),
    ],
)
def test_a_run_whose_experiments_would_be_taken_for_others(tmp_path: Path, name: str, told: str) -> None:
    refused(tmp_path, TOY.replace("name: r50", f"name: {name}"), f"name: {name}", told)


def test_a_name_that_hides_a_member_of_another_run(tmp_path: Path) -> None:
    given = TOY.replace("name: r50", "name: basic-s1").replace(
        "    without", "    over: {train.seed: 2}\n    without"
    )
    refused(tmp_path, given, "name: basic\n", "toy-basic-s1 would be read as of another run")


@pytest.mark.parametrize("name", ["basic-s7", "basic-2epochs", "basic-large", "basic2", "r50-s1"])
def test_a_name_that_only_begins_as_another_s_is_taken(tmp_path: Path, name: str) -> None:
    write(tmp_path, TOY.replace("name: r50", f"name: {name}"))
    assert load_recipe("toy", tmp_path, PARAMS).run(name).name == name


def test_members_that_would_be_called_alike(tmp_path: Path) -> None:
    given = TOY.replace("{split.seed: [0, 1, 2]}", "{data.path: [own/A, own/a]}")
    refused(
        tmp_path, given, "over: {data.path", "data.path = 'own/A': it would be part of an experiment's name"
    )
    given = TOY.replace("{split.seed: [0, 1, 2]}", "{data.path: [A, a]}")
    refused(tmp_path, given, "name: basic", "two experiments would be called toy-basic-patha")
    given = TOY.replace("{split.seed: [0, 1, 2]}", "{split.ratios: [[0.8, 0.1, 0.1], [0.6, 0.2, 0.2]]}")
    refused(tmp_path, given, "over: {split.ratios", "split.ratios = [0.8, 0.1, 0.1]: it would be part of an")


@pytest.mark.parametrize("text", ["", "[]", "toy", "1"])
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(CandidError, match=f"^{path}:1: the file"):
        load_recipe("toy", tmp_path, PARAMS)


def test_a_recipe_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    write(tmp_path, TOY)
    with pytest.raises(CandidError, match=r"foy.yaml: no such recipe; expected one of toy$"):
        load_recipe("foy", tmp_path, PARAMS)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(CandidError, match=r"no recipe; expected files such as bah2022.yaml"):
        list_recipes(tmp_path)
