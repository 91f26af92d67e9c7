"""Settings by dotted key: flattened, put together, told apart, and cut to fewer epochs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from candid.recipes import Run
from candid.recipes.recipe import Overrides

MISSING = object()
FILES = ("model.weights", "data.path")
"""Settings that may be a path: where it lies on one machine is nobody's business."""
OPEN = {
    "train.precision": "float32",
    "train.warmup_epochs": 0,
    "train.backend": "tensorflow",
    "train.distribution": "none",
}
"""What recipes leave to whoever runs them, and what stands for the papers' own."""
OTHER = ("model.arch", "data.dataset")
"""With another one of these it is hardly the run any more."""
PER_EPOCH = ("train.warmup_epochs", "train.freeze_epochs")


def flat(values: Mapping[str, Any], before: str = "") -> Overrides:
    """Dotted key -> value of nested mappings; a list, or an empty mapping, is a value."""
    found: Overrides = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def merged(params: Mapping[str, Any], overrides: Overrides) -> dict[str, Any]:
    """A copy of nested settings with the overrides put in."""
    whole: dict[str, Any] = copy.deepcopy(dict(params))
    for dotted, value in overrides.items():
        *path, last = dotted.split(".")
        place = whole
        for key in path:
            inner = place.get(key)
            if not isinstance(inner, dict):
                place[key] = inner = {}
            place = inner
        place[last] = value
    return whole


def same(one: Any, other: Any) -> bool:
    """Whether two values of a setting mean the same: 1 and 1.0 do, 1 and true do not."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def shown(key: str, value: Any) -> Any:
    """A setting as others may read it: of a file outside the project, its name."""
    path = PurePath(value) if key in FILES and isinstance(value, str) else None
    return path.name if path is not None and path.is_absolute() else value


def differences(has: Overrides, wanted: Overrides) -> Overrides:
    """The wanted keys that have another value, with the one they have (MISSING: none)."""
    return {
        key: has.get(key, MISSING) for key, value in wanted.items() if not same(has.get(key, MISSING), value)
    }


def shortened(settings: Overrides, epochs: int) -> Overrides:
    """What to change so that a run takes `epochs` epochs; {} where it does.

    With fewer of them, what is counted in epochs shrinks in proportion, since it has to stay below.
    """
    whole = settings.get("train.epochs")
    if whole == epochs:
        return {}
    changed: Overrides = {"train.epochs": epochs}
    if isinstance(whole, int) and epochs < whole:
        for key in PER_EPOCH:
            if settings.get(key):
                changed[key] = min(max(1, round(settings[key] * epochs / whole)), epochs - 1)
        if steps := settings.get("train.step_epochs"):
            scaled = {max(1, round(step * epochs / whole)) for step in steps}
            changed["train.step_epochs"] = sorted(step for step in scaled if step < epochs)
    return {key: value for key, value in changed.items() if not same(settings.get(key, MISSING), value)}


@dataclass(frozen=True)
class Deviation:
    """How the settings of an experiment differ from what its run asks for."""

    epochs: tuple[int, int] | None = None
    """Had and wanted, where they differ."""
    scratch: Overrides = field(default_factory=dict)
    """Without the ImageNet weights that the run asks for: what was set instead. {}: they were there."""
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """Other keys: had and wanted."""

    @property
    def none(self) -> bool:
        """Whether the experiment is the run as the recipe has it."""
        return self.epochs is None and not self.scratch and not self.changed

    @property
    def share(self) -> float:
        """Share of the epochs wanted, 1 at most."""
        return 1.0 if self.epochs is None else min(1.0, self.epochs[0] / max(1, self.epochs[1]))

    def rank(self, members: float = 1.0) -> tuple[bool, float, int]:
        """Smaller is nearer to the run: the same net and faces, then how much of the training, then the rest.

        Args:
            members: share of the run's experiments that are there.
        """
        return (
            any(key in self.changed for key in OTHER),
            -self.share * members,
            len(self.changed) + len(self.scratch),
        )


def deviation(has: Overrides, wanted: Overrides, run: Run) -> Deviation:
    """Hold the settings of an experiment against those its run asks for.

    Args:
        has: all settings of the experiment, flat.
        wanted: those of the run's member.
        run: for what it changes where there are no ImageNet weights.
    """
    scratch: Overrides = {}
    if (
        run.without_imagenet is not None
        and wanted.get("model.weights") is not None
        and has.get("model.weights") is None
    ):
        scratch = run.without_imagenet
        wanted = {**wanted, **scratch}
    wanted = {**{key: value for key, value in OPEN.items() if key in has}, **wanted}
    other_nets = tuple(f"archs.{arch}." for arch in {wanted.get("model.arch")} - {has.get("model.arch")})
    left = {key: value for key, value in differences(has, wanted).items() if not key.startswith(other_nets)}
    epochs = None
    if isinstance(had := left.get("train.epochs"), int):
        del left["train.epochs"]
        epochs = (had, int(wanted["train.epochs"]))
        companions = shortened({**has, **wanted}, had)
        left = {
            key: value
            for key, value in left.items()
            if key not in companions or not same(companions[key], value)
        }
    return Deviation(epochs, scratch, {key: (value, wanted[key]) for key, value in left.items()})
