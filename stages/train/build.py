"""From the sections `model` and `archs` to the net that is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.errors import CandidError
from stages.settings import Section, read_section
from stages.train import nets
from stages.train.inputs import TrainingSet
from stages.train.params import ModelSettings, TrainSettings


@dataclass(frozen=True)
class NetBuilder:
    """How to make the net, and what is worth telling of it."""

    build: Callable[[], Any]
    weights: Path | None
    """An earlier model to start from."""
    settings: dict[str, Any]
    about: dict[str, Any]
    """candid.json of the saved model."""

    @property
    def files(self) -> list[Path]:
        """Return the files that the initial weights come from."""
        return [self.weights] if self.weights else []


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
    weights = None if model.weights in (None, "imagenet") else Path(str(model.weights))
    if weights and not weights.is_file():
        raise CandidError(
            f"params.yaml: model.weights = {model.weights!r}: expected null, imagenet or a .keras file"
        )

    def build() -> Any:
        preset = "imagenet" if model.weights == "imagenet" else None
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
        weights=weights,
        settings={"model": model.model_dump(), "arch": own.model_dump()},
        about={
            "classes": data.classes,
            "image_size": side,
            "color": "grey" if channels == 1 else "rgb",
            "crop": settings.augment.crop,
        },
    )
