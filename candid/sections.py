"""All sections of params.yaml held against their classes and against each other, before anything runs.

This decides what is refused, not what is written: no stage depends on it in dvc.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from candid.data.catalogue import DataSettings, read_catalogue
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
_catalogue = cache(read_catalogue)  # a twentieth of a second, and recipes are checked by the hundred


def check_params(params: Mapping[str, Any], path: str | Path = PARAMS) -> None:
    """Refuse what any stage would refuse; a section that is not there is left to the stage that reads it.

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
    for key, value, reason in _conflicts(*(typed.get(name) for name in ("data", "model", "train"))):
        raise SettingError(path, key, f"{key} = {value!r}: {reason}")


def _conflicts(
    data: DataSettings | None, model: ModelSettings | None, train: TrainSettings | None
) -> Iterator[tuple[str, Any, str]]:
    """Settings that the catalogue or other sections rule out: key, value and what was expected."""
    if data:
        catalogue = _catalogue()
        if data.dataset not in catalogue:
            yield "data.dataset", data.dataset, f"expected one of {', '.join(catalogue)}"
        elif not catalogue[data.dataset].other_labels:
            strange = [label for label in data.classes or [] if label not in LABELS]
            yield from (("data.classes", label, f"expected {', '.join(LABELS)}") for label in strange)
    if not (model and train):
        return
    net = NETS[model.arch]
    if model.weights == "imagenet" and not net.preset:
        yield "model.weights", "imagenet", f"{model.arch} has no ImageNet weights; expected null"
    if model.weights is not None and model.arch == "hog_svm":
        yield "model.weights", model.weights, "hog_svm is fitted from its features; expected null"
    if train.freeze and model.weights is None:
        why = "a frozen body of random weights learns nothing; expected null with model.weights = null"
        yield "train.freeze.epochs", train.freeze.epochs, why
    if data:
        crop, side = train.augment.crop, data.image_size
        key, size = ("train.augment.crop.size", crop.size) if crop else ("data.image_size", side)
        if size > side:
            yield key, size, f"expected at most data.image_size = {side}"
        if size < net.smallest:
            yield key, size, f"{model.arch} needs at least {net.smallest}"
