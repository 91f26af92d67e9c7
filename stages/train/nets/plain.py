"""A plain CNN for faces of 40 to 48 pixels: 3x3 convolutions from full resolution down, 1.2 M parameters.

The shape of the nets with which FER2013 is trained from scratch in the literature (VGG without its fully
connected layers), narrow enough for two CPU cores: 82 million multiply-adds for a face of 40 pixels, which
all stages share about equally.
"""

from __future__ import annotations

from typing import Annotated

from keras import layers
from pydantic import Field

from stages.train.nets.parts import NormedSettings, Tensor, average, probabilities, scaled


class PlainSettings(NormedSettings):
    """`archs.plain_cnn`."""

    widths: list[Annotated[int, Field(ge=1, le=4096)]] = Field(
        default=[32, 64, 128, 256], min_length=1, max_length=5
    )
    """Channels of each stage; between stages max pooling halves the side."""
    depth: int = Field(default=2, ge=1, le=8)
    """Convolutions a stage."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """In the head."""


def plain_cnn(faces: Tensor, settings: PlainSettings, classes: int) -> Tensor:
    """Build stages of 3x3 convolutions, each with batch norm and ReLU, max pooling between, global average.

    1,174,439 trainable parameters with the default widths.
    """
    x = scaled(faces, settings)
    for stage, width in enumerate(settings.widths, start=1):
        if stage > 1:
            x = layers.MaxPooling2D(name=f"stage{stage}_pool")(x)
        for number in range(1, settings.depth + 1):
            name = f"stage{stage}_{number}"
            x = layers.Conv2D(
                width, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
            )(x)
            x = layers.BatchNormalization(momentum=settings.batch_norm_momentum, name=f"{name}_norm")(x)
            x = layers.ReLU(name=f"{name}_relu")(x)
    return probabilities(average(x), classes, settings.dropout)
