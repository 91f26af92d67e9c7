"""A plain CNN for faces of 40 to 48 pixels: 3x3 convolutions from full resolution down, 1.2 M parameters.

The shape of the nets with which FER2013 is trained from scratch in the literature (VGG without its fully
connected layers), narrow enough for two CPU cores: 82 million multiply-adds for a face of 40 pixels, of which
each stage has about a quarter.
"""

from __future__ import annotations

from typing import Annotated, Self

from keras import layers
from pydantic import Field, model_validator

from stages.train.nets.parts import NormedSettings, Tensor, average, probabilities, scaled


class PlainSettings(NormedSettings):
    """`archs.plain_cnn`."""

    widths: list[Annotated[int, Field(ge=1, le=4096)]] = Field(
        default=[32, 64, 128, 256], min_length=1, max_length=5
    )
    """Channels of each stage; between stages max pooling halves the side."""
    depths: list[Annotated[int, Field(ge=1, le=8)]] = Field(default=[2, 2, 2, 2], min_length=1, max_length=5)
    """Convolutions of each stage."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """In the head."""

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if len(self.widths) != len(self.depths):
            raise ValueError(
                f"{len(self.widths)} widths and {len(self.depths)} depths: expected one each a stage"
            )
        return self


def plain_cnn(faces: Tensor, settings: PlainSettings, classes: int) -> Tensor:
    """Build stages of 3x3 convolutions, each with batch norm and ReLU, max pooling between, global average.

    1,174,439 trainable parameters with the default widths and depths.
    """
    x = scaled(faces, settings)
    for stage, (width, depth) in enumerate(zip(settings.widths, settings.depths, strict=True), start=1):
        if stage > 1:
            x = layers.MaxPooling2D(name=f"stage{stage}_pool")(x)
        for number in range(1, depth + 1):
            name = f"stage{stage}_{number}"
            x = layers.Conv2D(
                width, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
            )(x)
            x = layers.BatchNormalization(momentum=settings.batch_norm_momentum, name=f"{name}_norm")(x)
            x = layers.ReLU(name=f"{name}_relu")(x)
    return probabilities(average(x), classes, settings.dropout)
