"""From the sections `model` and `archs` to the net that is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from candid.errors import CandidError
from candid.settings import Section, read_section
from candid.training import nets
from candid.training.inputs import TrainingSet
from candid.training.params import ModelSettings, TrainSettings


@dataclass(frozen=True)
class NetBuilder:
    """How to make the net, and what is worth telling of it."""

    build: Callable[[], Any]
    weights: Path | None
    """An earlier model to start from, written by train."""
    files: list[Path]
    """Where the initial weights come from: that file, or those in the folder of a preset."""
    settings: dict[str, Any]
    about: dict[str, Any]
    """candid.json of the saved model."""


def net_builder(model: ModelSettings, settings: TrainSettings, data: TrainingSet) -> NetBuilder:
    """Find the net by its name and put its own settings to it.

    Raises:
        CandidError: unknown name, a setting of the net is wrong, the crop is larger than the faces, or the
            file of earlier weights is missing.
    """
    if model.arch not in nets.SETTINGS:
        raise CandidError(
            f"params.yaml: model.arch = {model.arch!r}: expected one of {', '.join(nets.SETTINGS)}"
        )
    own: Section = read_section(f"archs.{model.arch}", nets.SETTINGS[model.arch])
    side, channels = data.faces.shape[1], data.faces.shape[3]
    size = settings.augment.crop or side
    if size > side:
        raise CandidError(
            f"params.yaml: train.augment.crop = {size}: expected at most data.image_size = {side}"
        )
    weights = None if model.weights is None else Path(model.weights)
    preset = model.weights if model.weights == "imagenet" or (weights and weights.is_dir()) else None
    if weights and not preset and not weights.is_file():
        raise CandidError(
            f"params.yaml: model.weights = {model.weights!r}: no such file; expected null, imagenet, "
            "a .keras file or a folder with a keras-hub preset"
        )
    if settings.freeze_epochs and model.weights is None:
        raise CandidError(
            f"params.yaml: train.freeze_epochs = {settings.freeze_epochs} with model.weights = null: "
            "a frozen body of random weights learns nothing; expected 0"
        )

    def build() -> Any:
        return nets.build_model(
            model.arch,
            classes=len(data.classes),
            image_size=size,
            channels=channels,
            weights=preset,
            **own.model_dump(),
        )

    return NetBuilder(
        build=build,
        weights=None if preset else weights,
        files=_files(weights),
        settings={"model": model.model_dump(), "arch": own.model_dump()},
        about={
            "classes": data.classes,
            "image_size": side,
            "color": "grey" if channels == 1 else "rgb",
            "crop": settings.augment.crop,
        },
    )


def _files(weights: Path | None) -> list[Path]:
    if weights is None or not weights.exists():
        return []
    return sorted(path for path in weights.rglob("*") if path.is_file()) if weights.is_dir() else [weights]
