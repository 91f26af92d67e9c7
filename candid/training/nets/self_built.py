"""The self-built net of Adebo (2023)."""

from __future__ import annotations

from typing import Annotated, Literal

from keras import layers
from pydantic import Field

from candid.training.nets.parts import (
    HEAD,
    NormedSettings,
    Tensor,
    dense_relu,
    probabilities,
    scaled,
    three_channels,
)


class SelfBuiltSettings(NormedSettings):
    """`archs.self_built`."""

    scaling: Literal["unit", "standard", "imagenet"] = "standard"
    widths: list[Annotated[int, Field(ge=1, le=4096)]] = Field(default=[32, 64], min_length=2, max_length=2)
    """Channels of the two convolutions."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Behind each of the two fully connected layers."""


def self_built(faces: Tensor, settings: SelfBuiltSettings, classes: int) -> Tensor:
    """Two convolutions (5x5, 3x3), each with batch norm and max pooling, then 4096, 512 and the classes.

    The paper gives the 5x5, the three channels of the input and the fully connected layers; the widths, the
    second kernel and the ReLU behind batch norm are ours.
    """
    x = scaled(three_channels(faces), settings)
    for number, (width, kernel) in enumerate(zip(settings.widths, (5, 3), strict=True), start=1):
        x = layers.Conv2D(
            width, kernel, padding="same", kernel_initializer="he_normal", name=f"conv{number}"
        )(x)
        x = layers.BatchNormalization(momentum=settings.batch_norm_momentum, name=f"conv{number}_norm")(x)
        x = layers.ReLU(name=f"conv{number}_relu")(x)
        x = layers.MaxPooling2D(name=f"conv{number}_pool")(x)
    x = layers.Flatten(name=f"{HEAD}flat")(x)
    x = dense_relu(x, 4096, "dense1", settings.dropout)
    x = dense_relu(x, 512, "dense2", settings.dropout)
    return probabilities(x, classes)
