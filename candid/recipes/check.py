"""Holds complete settings against the classes that the stages read them with, and against each other."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from candid.data.catalogue import Dataset, DataSettings
from candid.data.faces import LABELS
from candid.duplicates.params import DedupSettings
from candid.errors import CandidError
from candid.evaluation.params import EvaluateSettings
from candid.recipes.lines import Settings
from candid.recipes.nets import nets
from candid.settings import Section, check
from candid.splits.class_weights_params import ClassWeightsSettings
from candid.splits.params import SplitSettings
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


class Checker:
    """Checks settings over one params.yaml."""

    def __init__(self, source: str, params: Mapping[str, Any], catalogue: Mapping[str, Dataset]) -> None:
        """Take where the settings come from (for messages: a file), params.yaml and the datasets as read."""
        self.source = source
        self.params = params
        self.catalogue = catalogue

    def check(self, settings: Settings, line: int | None = None) -> None:
        """Put the settings over params.yaml and refuse what a stage would refuse.

        Args:
            settings: dotted overrides.
            line: of the run, for a fault that belongs to no single override; None where there are no lines.

        Raises:
            CandidError: source, line, key, value and what is allowed.
        """
        params: dict[str, Any] = copy.deepcopy(dict(self.params))
        for key, value in settings.values.items():
            self._put(params, key, value, self._at(settings.lines.get(key)))
        for name, kind in SECTIONS.items():
            self._section(name, kind, params.get(name), settings, line)
        arch = params["model"]["arch"]
        if arch not in nets():
            self._refuse("model.arch", arch, f"expected one of {', '.join(nets())}", settings, line)
        for name in {arch, *(key.split(".")[1] for key in settings.values if key.startswith("archs."))}:
            self._section(f"archs.{name}", nets()[name].settings, params["archs"].get(name), settings, line)
        self._together(params, settings, line)

    def _at(self, line: int | None) -> str:
        return self.source if line is None else f"{self.source}:{line}"

    def _put(self, params: dict[str, Any], key: str, value: Any, at: str) -> None:
        first, *path = key.split(".")
        known = [*SECTIONS, "archs"]
        if first not in known or not path:
            raise CandidError(f"{at}: unknown key {key}; expected a key of {', '.join(known)}")
        if first == "archs" and (path[0] not in nets() or len(path) < 2):
            raise CandidError(f"{at}: unknown key {key}; expected a key of one of {', '.join(nets())}")
        place = params.setdefault(first, {})
        for part in path[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise CandidError(f"{at}: unknown key {key}; {part} has no keys below it")
        if isinstance(place.get(path[-1]), dict):
            raise CandidError(f"{at}: {key} = {value!r}: expected the keys below it")
        place[path[-1]] = value

    def _section(
        self, name: str, kind: type[Section], value: Any, settings: Settings, line: int | None
    ) -> None:
        try:
            kind.model_validate(value)
        except ValidationError as error:
            place = error.errors(include_url=False)[0]["loc"]
            key = ".".join([name, *(part for part in place if isinstance(part, str))])
            check(name, kind, value, self._at(settings.line(key) or line))

    def _together(self, params: dict[str, Any], settings: Settings, line: int | None) -> None:
        """Check what no section can see alone."""
        data, model, train = params["data"], params["model"], params["train"]
        net = nets()[model["arch"]]
        if data["dataset"] not in self.catalogue:
            known = f"expected one of {', '.join(self.catalogue)}"
            self._refuse("data.dataset", data["dataset"], known, settings, line)
        if not self.catalogue[data["dataset"]].other_labels:
            for label in data["classes"] or []:
                if label not in LABELS:
                    self._refuse("data.classes", label, f"expected {', '.join(LABELS)}", settings, line)
        if model["weights"] == "imagenet" and not net.preset:
            told = f"{model['arch']} has no ImageNet weights; expected null"
            self._refuse("model.weights", "imagenet", told, settings, line)
        if train["freeze_epochs"] and model["weights"] is None:
            told = "a frozen body of random weights learns nothing; expected 0 with model.weights = null"
            self._refuse("train.freeze_epochs", train["freeze_epochs"], told, settings, line)
        crop, side = train["augment"]["crop"], data["image_size"]
        if crop is not None and crop > side:
            told = f"expected at most data.image_size = {side}"
            self._refuse("train.augment.crop", crop, told, settings, line)
        if (crop or side) < net.smallest:
            key = "train.augment.crop" if crop else "data.image_size"
            told = f"{model['arch']} needs at least {net.smallest}"
            self._refuse(key, crop or side, told, settings, line)

    def _refuse(self, key: str, value: Any, told: str, settings: Settings, line: int | None) -> None:
        raise CandidError(f"{self._at(settings.line(key) or line)}: {key} = {value!r}: {told}")
