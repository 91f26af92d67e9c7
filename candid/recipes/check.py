"""Settings by dotted key: flattened, put over params.yaml, and checked as the stages read them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from candid.data.catalogue import Dataset, DataSettings
from candid.data.faces import LABELS
from candid.duplicates.params import DedupSettings
from candid.errors import CandidError
from candid.evaluation.params import EvaluateSettings
from candid.recipes.nets import nets
from candid.recipes.recipe import Overrides
from candid.settings import Section, check
from candid.splits.params import ClassWeightsSettings, SplitSettings
from candid.training.settings import ModelSettings, TrainSettings

SECTIONS: dict[str, type[Section]] = {
    "data": DataSettings,
    "dedup": DedupSettings,
    "split": SplitSettings,
    "class_weights": ClassWeightsSettings,
    "model": ModelSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
}
"""Beside `archs`, which has a class for each net."""


def flat(values: Mapping[str, Any], where: str = "", above: str = "") -> Overrides:
    """Dotted key -> value of nested mappings, whose keys may be dotted themselves; a list is a value.

    Raises:
        CandidError: a key twice (train.epochs beside train: {epochs: 20}), or one with an empty mapping.
    """
    settings: Overrides = {}
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and not value and where:
            raise CandidError(f"{where}: {name} = {{}}: expected a value, or keys below it")
        leaves = flat(value, where, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
        if twice := settings.keys() & leaves.keys():
            raise CandidError(f"{where}: {sorted(twice)[0]} a second time; expected it once")
        settings |= leaves
    return settings


def put_over(params: Mapping[str, Any], overrides: Overrides, where: str = "params.yaml") -> dict[str, Any]:
    """Return a copy of params.yaml with the overrides put in.

    Another `name` in a section (`train.schedule.name`) drops what params.yaml has beside it, which is of the
    other choice.

    Raises:
        CandidError: a key of no section, or one above or below the settings that there are.
    """
    merged: dict[str, Any] = copy.deepcopy(dict(params))
    for key in sorted(overrides, key=lambda key: not key.endswith(".name")):
        *path, last = key.split(".")
        if not path or path[0] not in (*SECTIONS, "archs"):
            raise CandidError(
                f"{where}: unknown key {key}; expected a key of {', '.join([*SECTIONS, 'archs'])}"
            )
        section = merged
        for part in path:
            section = section.setdefault(part, {})
            if not isinstance(section, dict):
                raise CandidError(f"{where}: unknown key {key}; {part} has no keys below it")
        if isinstance(section.get(last), dict):
            raise CandidError(f"{where}: {key} = {overrides[key]!r}: expected the keys below it")
        if last == "name" and section.get("name") != overrides[key]:
            section.clear()
        section[last] = overrides[key]
    return merged


def check_settings(
    params: Mapping[str, Any], overrides: Overrides, catalogue: Mapping[str, Dataset], where: str
) -> dict[str, Any]:
    """Put overrides over params.yaml and refuse what a stage would refuse; return the whole settings.

    Args:
        params: params.yaml.
        overrides: dotted.
        catalogue: the datasets.
        where: the settings come from, for messages.

    Raises:
        CandidError: where, the key, its value and what is allowed.
    """
    settings = put_over(params, overrides, where)
    for name, kind in SECTIONS.items():
        check(name, kind, settings.get(name), where)
    arch = settings["model"]["arch"]
    known = ", ".join(nets())
    if arch not in nets():
        raise CandidError(f"{where}: model.arch = {arch!r}: expected one of {known}")
    for name in {
        arch: None,
        **dict.fromkeys(key.split(".")[1] for key in overrides if key.startswith("archs.")),
    }:
        if name not in nets():
            raise CandidError(f"{where}: unknown key archs.{name}; expected one of {known}")
        check(f"archs.{name}", nets()[name].settings, settings["archs"].get(name), where)
    _check_together(settings, catalogue, where)
    return settings


def _check_together(settings: dict[str, Any], catalogue: Mapping[str, Dataset], where: str) -> None:
    """Refuse what no section can see alone."""
    data, model, train = settings["data"], settings["model"], settings["train"]
    net = nets()[model["arch"]]
    crop, side = train["augment"]["crop"], data["image_size"]
    taken = "train.augment.crop" if crop else "data.image_size"
    known = f"expected one of {', '.join(catalogue)}"
    faults = [
        (data["dataset"] not in catalogue, "data.dataset", data["dataset"], known),
        (
            model["weights"] == "imagenet" and not net.preset,
            "model.weights",
            "imagenet",
            f"{model['arch']} has no ImageNet weights; expected null",
        ),
        (
            train["freeze_epochs"] and model["weights"] is None,
            "train.freeze_epochs",
            train["freeze_epochs"],
            "a frozen body of random weights learns nothing; expected 0 with model.weights = null",
        ),
        (
            crop is not None and crop > side,
            "train.augment.crop",
            crop,
            f"expected at most data.image_size = {side}",
        ),
        (
            (crop or side) < net.smallest,
            taken,
            crop or side,
            f"{model['arch']} needs at least {net.smallest}",
        ),
    ]
    for wrong, key, value, expected in faults:
        if wrong:
            raise CandidError(f"{where}: {key} = {value!r}: {expected}")
    if not catalogue[data["dataset"]].other_labels:
        for label in data["classes"] or []:
            if label not in LABELS:
                raise CandidError(f"{where}: data.classes = {label!r}: expected {', '.join(LABELS)}")
