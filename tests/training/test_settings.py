"""Settings of training and params.yaml as a whole: what DVC writes is read, what can't be is one line."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, get_origin

import pytest
import yaml

from candid.errors import CandidError
from candid.sections import SECTIONS, check_params
from candid.settings import (
    CHOICES,
    Section,
    SettingError,
    _members,
    check,
    is_choice,
    read_section,
    read_yaml,
)
from candid.training.nets import BUILDERS
from candid.training.settings import (
    NETS,
    Augment,
    Cosine,
    Crop,
    EarlyStopping,
    Freeze,
    ModelSettings,
    Sgd,
    TrainSettings,
)
from tests.conftest import REPOSITORY, python

PARAMS = REPOSITORY / "params.yaml"
COSINE = {"name": "cosine", "warmup_epochs": 2}
ADAM = {"name": "adam", "momentum": 0.9, "nesterov": True}
THAW = {"epochs": 1, "thaw_learning_rate": 1e-4}
STEEP = {"freeze": THAW, "schedule": {"name": "plateau", "min_lr": 5e-4}}


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """params.yaml with some values replaced, by dotted key."""
    params: dict[str, Any] = copy.deepcopy(read_yaml(PARAMS))
    for key, value in changes.items():
        section = params
        *path, last = key.split(".")
        for name in path:
            section = section[name]
        section[last] = value
    return params


def test_the_shipped_file_is_valid_and_has_a_section_for_each_net():
    params = read_yaml(PARAMS)
    check_params(params)
    assert list(params["archs"]) == list(NETS) == list(BUILDERS)
    assert read_section("train", TrainSettings, PARAMS).backend == "tensorflow"
    assert read_section("model", ModelSettings, PARAMS).weights is None


def override(tmp_path: Path, *overrides: str) -> Path:
    """What DVC makes of params.yaml for `dvc exp run -S`, by its own writer."""
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text(encoding="utf-8"), encoding="utf-8")
    code = f"from dvc.utils.hydra import apply_overrides\napply_overrides('params.yaml', {list(overrides)})"
    assert python(code, tmp_path).returncode == 0
    return path


def test_overrides_by_dvc_are_read_as_they_are_meant(tmp_path):
    """DVC writes 0.00001 as 1e-05, text to YAML 1.1; a choice is a name, or a mapping with its settings."""
    path = override(
        tmp_path,
        "train.learning_rate=0.00001",
        "train.early_stopping.patience=3",
        "train.schedule={name: cosine, warmup_epochs: 2}",
        "train.optimizer=sgd",
        "train.freeze={epochs: 2, thaw_learning_rate: 0.0001}",
        "train.augment.crop={name: random, size: 44}",
        "model.weights=earlier.keras",
        "archs.resnet18.scaling={name: standard, mean: 0.5, std: 0.25}",
    )
    assert "learning_rate: 1e-05" in path.read_text()
    settings = read_section("train", TrainSettings, path)
    assert settings.learning_rate == 0.00001
    assert settings.early_stopping == EarlyStopping(monitor="val_accuracy", patience=3)
    assert settings.schedule == Cosine(name="cosine", warmup_epochs=2, min_lr=0.0)
    assert settings.optimizer == Sgd(name="sgd", momentum=0.9, nesterov=False)
    assert settings.freeze == Freeze(epochs=2, thaw_learning_rate=0.0001)
    assert settings.augment.crop == Crop(name="random", size=44)


def test_an_override_by_dvc_changes_its_line_alone(tmp_path):
    """These sections are written as DVC's own writer does, so that it reformats none of them."""
    before, after = (
        text[text.index("\nmodel:") : text.index("\nevaluate:")].splitlines()
        for text in (PARAMS.read_text("utf-8"), override(tmp_path, "train.epochs=16").read_text("utf-8"))
    )
    assert [line for line in after if line not in before] == ["  epochs: 16"]
    assert len(before) == len(after)


def test_a_choice_is_every_setting_that_is_one_of_several_sections():
    sections: dict[str, type[Section]] = {**SECTIONS, "train.augment": Augment}
    sections |= {f"archs.{name}": net.settings for name, net in NETS.items()}
    unions = {
        f"{section}.{name}"
        for section, kind in sections.items()
        for name, field in kind.model_fields.items()
        if get_origin(field.annotation) is not None and _members(field.annotation)
    }
    named = {key for key in unions if is_choice(key)}
    assert unions == named
    assert set(CHOICES) - {"dedup.method"} <= named


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("train.backend", "theano", "train.backend = 'theano'"),
        ("train.epochs", 0, "train.epochs = 0"),
        ("train.batch_size", 64.5, "train.batch_size = 64.5"),
        ("train.learning_rate", float("nan"), "train.learning_rate = nan"),
        ("train.learning_rte", 0.1, "unknown key train.learning_rte; expected one of backend"),
        ("train.monitor", "accuracy", "train.monitor = 'accuracy'"),
        ("train.augment", None, "train.augment = None"),
        ("train.augment.zoom.low", 2.0, r"train.augment.zoom: low 2.0 is above high 1.1"),
        ("train.augment.rotation.degree", 3, "unknown key train.augment.rotation.degree; expected one of"),
        ("train.augment.crop", 40, r"train.augment.crop = 40: "),
        ("train.augment.crop", {"name": "any", "size": 40}, "train.augment.crop.name = 'any'"),
        ("train.optimizer", None, "train.optimizer = None: expected one of sgd, adam, nadam, adamw"),
        ("train.optimizer", {"momentum": 0.9}, "train.optimizer = {'momentum': 0.9}: expected one of sgd"),
        ("train.optimizer", {"name": "sgd", "nesterov": "yes"}, "train.optimizer.nesterov = 'yes'"),
        ("train.optimizer", ADAM, "momentum, nesterov have no effect with adam; expected only name"),
        ("train.schedule", {**COSINE, "name": "plateau"}, "warmup_epochs has no effect with plateau; exp"),
        ("train.schedule", {**COSINE, "min_lr": 0.1}, "min_lr = 0.1: must not be above learning_rate"),
        ("train.schedule", {**COSINE, "warmup_epochs": 99}, "warmup_epochs = 99: must be less than"),
        ("train.freeze", {"epochs": 2}, "train.freeze.thaw_learning_rate is missing"),
        ("train.early_stopping", {"monitor": "val_loss", "patience": None}, "stopping.patience = None"),
        ("archs.vgg16.scaling", "zscore", "name = 'zscore': expected one of unit, imagenet, standard"),
        ("archs.vgg16.scaling", {"name": "imagenet", "mean": 0.5}, "mean has no effect with imagenet"),
        ("archs.vgg61", {}, "unknown key archs.vgg61; expected one of residual_cnn"),
        ("archs.plain_cnn.depths", [2], "archs.plain_cnn: 4 widths and 1 depths: expected one each a stage"),
        ("archs", None, "archs: expected one section for each of residual_cnn"),
        ("model.weights", "imagenet", "model.weights = 'imagenet': baseline_cnn has no ImageNet weights"),
        ("data.image_size", 12, "data.image_size = 12: baseline_cnn needs at least 16"),
        ("gate.margin", "0.1", "gate.margin = '0.1'"),
    ],
)
def test_a_wrong_value_in_any_section_is_one_line_for_whoever_reads_first(tmp_path, key, value, line):
    params = changed({key: value})
    with pytest.raises(SettingError, match=line) as caught:
        check_params(params)
    assert "\n" not in str(caught.value)
    assert caught.value.key.startswith(key.rpartition(".")[0])
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    if not key.startswith("data"):
        with pytest.raises(CandidError):
            read_section("data", SECTIONS["data"], tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (STEEP, r"thaw_learning_rate = 0\.0001: must not be below schedule\.min_lr = 0\.0005"),
        ({"freeze": {**THAW, "epochs": 99}}, r"train\.freeze\.epochs = 99: must be less"),
        ({"freeze": THAW}, "a frozen body of random weights learns nothing"),
        ({"averaging": 0.9, "batch_norm": "running"}, r"train\.batch_norm = 'running': no running averages"),
        ({"distribution": "devices", "backend": "torch"}, r"train\.distribution = 'devices': on PyTorch"),
        ({"distribution": "devices", "clip_norm": 1.0}, r"train\.clip_norm = 1\.0: on TensorFlow Keras"),
        ({"augment.crop": {"name": "ten", "size": 60}}, r"size = 60: expected at most data\.image_size"),
        ({"augment.crop": {"name": "ten", "size": 8}}, r"crop\.size = 8: baseline_cnn needs at least 16"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(changes, line):
    with pytest.raises(SettingError, match=line):
        check_params(changed({f"train.{key}": value for key, value in changes.items()}))


def test_a_missing_key_is_named():
    params = changed({})
    del params["train"]["optimizer"]
    with pytest.raises(CandidError, match=r"train\.optimizer is missing"):
        check("train", TrainSettings, params["train"])
