from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from candid.errors import CandidError
from candid.settings import check, read_section, read_yaml
from candid.training.params import ModelSettings, TrainSettings

PARAMS = Path(__file__).parents[2] / "params.yaml"


def shipped() -> dict[str, Any]:
    section: dict[str, Any] = read_yaml(PARAMS)["train"]
    return section


def test_shipped_sections_are_valid():
    assert read_section("train", TrainSettings, PARAMS).backend == "tensorflow"
    assert read_section("model", ModelSettings, PARAMS).weights is None


def test_an_override_by_dvc_is_read_as_a_number(tmp_path):
    """DVC writes `-S train.min_lr=0.00001` as 1e-05, text to YAML 1.1; here its own writer does."""
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text())
    code = (
        "from dvc.utils.hydra import apply_overrides\n"
        "apply_overrides('params.yaml', ['train.min_lr=0.00001', 'train.early_stopping.patience=null',"
        " 'train.augment.crop=40', 'train.augment.rotation.degrees=45'])"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert "min_lr: 1e-05" in path.read_text()
    settings = read_section("train", TrainSettings, path)
    assert settings.min_lr == 0.00001
    assert settings.early_stopping.patience is None
    assert settings.augment.crop == 40
    assert settings.augment.rotation.degrees == 45


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("backend", "theano", "train.backend = 'theano'"),
        ("epochs", 0, "train.epochs = 0"),
        ("epochs", "20", "train.epochs = '20'"),
        ("batch_size", 64.5, "train.batch_size = 64.5"),
        ("batch_size", 1, "train.batch_size = 1"),
        ("learning_rate", -1.0, "train.learning_rate = -1.0"),
        ("learning_rate", float("nan"), "train.learning_rate = nan"),
        ("optimizer", "adagrad", "train.optimizer = 'adagrad'"),
        ("nesterov", "yes", "train.nesterov = 'yes'"),
        ("min_lr", 0.1, "train.min_lr = 0.1: must not be above learning_rate = 0.001"),
        ("warmup_epochs", 1000, "train.warmup_epochs = 1000: must be less than epochs"),
        ("freeze_epochs", 1000, "train.freeze_epochs = 1000: must be less than epochs"),
        ("step_epochs", [5, 2], r"train.step_epochs = \[5, 2\]: expected growing"),
        ("step_epochs", [0], r"train.step_epochs = \[0\]: expected growing"),
        ("label_smoothing", 1.0, "train.label_smoothing = 1.0"),
        ("monitor", "accuracy", "train.monitor = 'accuracy'"),
        ("seed", -1, "train.seed = -1"),
        ("learning_rte", 0.1, "unknown key train.learning_rte; expected one of backend"),
        ("augment.flip", 1.5, "train.augment.flip = 1.5"),
        ("augment.zoom.low", 2.0, r"train.augment.zoom: low 2.0 is above high 1.1"),
        ("augment.erasing.high", 1.5, "train.augment.erasing.high = 1.5"),
        ("augment.rotation.degree", 3, "unknown key train.augment.rotation.degree; expected one of degrees"),
        ("augment.crop", 4, "train.augment.crop = 4"),
        ("early_stopping.patience", 0, "train.early_stopping.patience = 0"),
        ("augment", None, "train.augment = None"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(key, value, told):
    section = shipped()
    *path, last = key.split(".")
    place = section
    for name in path:
        place = place[name]
    place[last] = value
    with pytest.raises(CandidError, match=told) as caught:
        check("train", TrainSettings, section)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named():
    section = shipped()
    del section["optimizer"]
    with pytest.raises(CandidError, match=r"train\.optimizer is missing"):
        check("train", TrainSettings, section)


def test_the_rate_after_thawing_is_not_below_the_least():
    """Plateau and cosine would raise it."""
    section = shipped() | {"freeze_epochs": 1, "min_lr": 5e-4, "thaw_learning_rate": 1e-4}
    with pytest.raises(
        CandidError, match=r"thaw_learning_rate = 0\.0001: must not be below min_lr = 0\.0005"
    ):
        check("train", TrainSettings, section)
    check("train", TrainSettings, section | {"freeze_epochs": 0})
