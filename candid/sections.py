"""All sections of params.yaml held against their classes and against each other, before anything runs.

This decides what is refused, not what is written: no stage depends on it in dvc.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from candid.data.catalogue import Dataset, DataSettings, read_catalogue
from candid.data.faces import LABELS
from candid.duplicates.settings import DedupSettings
from candid.evaluation.params import EvaluateSettings
from candid.gate.params import GateSettings
from candid.settings import PARAMS, Section, SettingError, check
from candid.splits.params import ClassWeightsSettings, SplitSettings
from candid.training.settings import NETS, ModelSettings, TrainSettings

SECTIONS: dict[str, type[Section]] = {
    "data": DataSettings,
    "dedup": DedupSettings,
    "split": SplitSettings,
    "class_weights": ClassWeightsSettings,
    "model": ModelSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
    "gate": GateSettings,
}
"""Beside `archs`, which has a class for each net."""


def check_params(params: Mapping[str, Any], path: str | Path = PARAMS) -> None:
    """Refuse what any stage would refuse; a section that is not there is left to the stage that reads it.

    Raises:
        SettingError: one line with the key, the value and what is allowed.
    """
    typed: dict[str, Any] = {
        name: check(name, kind, params[name], path) for name, kind in SECTIONS.items() if name in params
    }
    archs = params.get("archs", {})
    if not isinstance(archs, Mapping):
        raise SettingError(path, "archs", f"archs: expected one section for each of {', '.join(NETS)}")
    for name, value in archs.items():
        if name not in NETS:
            known = ", ".join(NETS)
            raise SettingError(path, f"archs.{name}", f"unknown key archs.{name}; expected one of {known}")
        check(f"archs.{name}", NETS[name].settings, value, path)
    if "model" in typed and "archs" in params and typed["model"].arch not in archs:
        raise SettingError(path, "model.arch", f"no section archs.{typed['model'].arch}")
    if "data" in typed:
        _check_data(typed["data"], path)
    if "model" in typed and "train" in typed:
        _check_training(typed["model"], typed["train"], path)
    if {"data", "model", "train"} <= typed.keys():
        _check_sizes(typed["data"], typed["model"], typed["train"], path)


def _refuse(path: str | Path, key: str, value: Any, reason: str) -> None:
    raise SettingError(path, key, f"{key} = {value!r}: {reason}")


@cache
def _catalogue() -> dict[str, Dataset]:
    return read_catalogue()  # a twentieth of a second, and recipes are checked by the hundred


def _check_data(data: DataSettings, path: str | Path) -> None:
    catalogue = _catalogue()
    if data.dataset not in catalogue:
        _refuse(path, "data.dataset", data.dataset, f"expected one of {', '.join(catalogue)}")
    if not catalogue[data.dataset].other_labels:
        for label in data.classes or []:
            if label not in LABELS:
                _refuse(path, "data.classes", label, f"expected {', '.join(LABELS)}")


def _check_training(model: ModelSettings, train: TrainSettings, path: str | Path) -> None:
    if model.weights == "imagenet" and not NETS[model.arch].preset:
        _refuse(path, "model.weights", "imagenet", f"{model.arch} has no ImageNet weights; expected null")
    if model.weights is not None and model.arch == "hog_svm":
        _refuse(path, "model.weights", model.weights, "hog_svm is fitted from its features; expected null")
    if train.freeze and model.weights is None:
        why = "a frozen body of random weights learns nothing; expected null with model.weights = null"
        _refuse(path, "train.freeze.epochs", train.freeze.epochs, why)


def _check_sizes(data: DataSettings, model: ModelSettings, train: TrainSettings, path: str | Path) -> None:
    crop, side, smallest = train.augment.crop, data.image_size, NETS[model.arch].smallest
    key, size = ("train.augment.crop.size", crop.size) if crop else ("data.image_size", side)
    if size > side:
        _refuse(path, key, size, f"expected at most data.image_size = {side}")
    if size < smallest:
        _refuse(path, key, size, f"{model.arch} needs at least {smallest}")
