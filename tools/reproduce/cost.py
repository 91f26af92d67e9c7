"""A rough idea of what a run costs, from the size of its net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.catalogue import Dataset, members
from stages.faces import LABELS
from tools.compare.settings import flat
from tools.recipes.recipe import Overrides

MULTIPLY_ADDS = {
    "residual_cnn": 200.9e6,
    "basic_cnn": 174.9e6,
    "baseline_cnn": 64.0e6,
    "plain_cnn": 117.5e6,
    "self_built": 56.0e6,
    "resnet18": 98.0e6,
    "resnet50": 212.9e6,
    "vgg11": 362.6e6,
    "vgg16": 723.6e6,
    "vgg19": 921.0e6,
    "efficientnet_b0": 22.8e6,
}
"""Of one face of 48 pixels, as docs/nets.md has them; a test holds the two together."""

RATE = 20e9
"""Multiply-adds a second that one core trains at; nets and machines differ by a factor of three."""
OFFICIAL_SHARE = 0.8
"""Of the faces in the training part, where a dataset's own parts are used."""


def core_hours(
    overrides: Overrides, params: Mapping[str, Any], catalogue: Mapping[str, Dataset]
) -> float | None:
    """Hours on one core of all epochs, if none is left out; None where the net or the set is not known.

    A face costs three times its multiply-adds (forward, and twice that back), once while the body is frozen.
    """
    settings = {**flat(params), **overrides}
    adds, faces = MULTIPLY_ADDS.get(settings["model.arch"]), _faces(settings, catalogue)
    if adds is None or faces is None:
        return None
    side = settings["train.augment.crop"] or settings["data.image_size"]
    frozen = settings["train.freeze_epochs"]
    passes = frozen + 3 * (settings["train.epochs"] - frozen)
    return float(adds * (side / 48) ** 2 * faces * _share(settings) * passes / RATE / 3600)


def _faces(settings: Overrides, catalogue: Mapping[str, Dataset]) -> float | None:
    parts = members(settings["data.dataset"], dict(catalogue)).values()
    if any(part.faces is None for part in parts):
        return None
    whole = sum(part.faces or 0 for part in parts)
    return whole * len(settings["data.classes"]) / (len(LABELS) - 1) if settings["data.classes"] else whole


def _share(settings: Overrides) -> float:
    """Of the faces that are trained on."""
    if settings["split.protocol"] == "random":
        return float(settings["split.ratios"][0])
    if settings["split.protocol"] == "folds":
        return float((settings["split.folds"] - 2) / settings["split.folds"])
    return OFFICIAL_SHARE
