"""The residual CNN of Bah et al. (2022), Table 1, and their basic CNN, the same without residual blocks."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers
from pydantic import Field

from candid.training.nets.parts import NormedSettings, Tensor, average, probabilities, scaled

WIDTHS = (32, 64, 128, 256, 512)
"""Of the blocks that end in max pooling, behind the first two convolutions."""
FIRST_WIDTH = 16
RESIDUAL_AFTER = (32, 128, 512)


class ResidualSettings(NormedSettings):
    """`archs.residual_cnn` and `archs.basic_cnn`."""

    dropout: float = Field(default=0.3, ge=0, lt=1)
    last_dropout: float = Field(default=0.4, ge=0, lt=1)
    """In the last block with a pooling."""


def residual_cnn(faces: Tensor, settings: ResidualSettings, classes: int) -> Tensor:
    """Twelve convolutions, three residual blocks; 9,766,391 trainable parameters (48 px, grey, 7 classes).

    Convolutions have a bias and He-normal initial weights; ReLU stands before batch norm in the plain blocks
    and behind it in the residual ones; skips are identities.
    """
    return _net(faces, settings, classes, RESIDUAL_AFTER)


def basic_cnn(faces: Tensor, settings: ResidualSettings, classes: int) -> Tensor:
    """Build residual_cnn without its residual blocks."""
    return _net(faces, settings, classes, ())


def _net(faces: Tensor, settings: ResidualSettings, classes: int, residual_after: tuple[int, ...]) -> Tensor:
    momentum = settings.batch_norm_momentum
    x = scaled(faces, settings)
    for part in "ab":
        x = _plain(x, FIRST_WIDTH, 5, momentum, f"block0{part}")
    x = layers.Dropout(settings.dropout, name="block0_dropout")(x)
    for number, width in enumerate(WIDTHS, start=1):
        for part in "ab":
            x = _plain(x, width, 3, momentum, f"block{number}{part}")
        x = layers.MaxPooling2D(name=f"block{number}_pool")(x)
        rate = settings.last_dropout if width == WIDTHS[-1] else settings.dropout
        x = layers.Dropout(rate, name=f"block{number}_dropout")(x)
        if width in residual_after:
            x = _residual(x, width, momentum, f"residual{number}")
    return probabilities(average(x), classes)


def _conv(width: int, kernel: int, name: str, activation: str | None = None) -> Any:
    return layers.Conv2D(
        width,
        kernel,
        padding="same",
        activation=activation,
        kernel_initializer=keras.initializers.HeNormal(),
        name=f"{name}_conv",
    )


def _plain(x: Tensor, width: int, kernel: int, momentum: float, name: str) -> Tensor:
    x = _conv(width, kernel, name, "relu")(x)
    return layers.BatchNormalization(momentum=momentum, name=f"{name}_norm")(x)


def _residual(x: Tensor, width: int, momentum: float, name: str) -> Tensor:
    inner = _conv(width, 3, f"{name}a")(x)
    inner = layers.BatchNormalization(momentum=momentum, name=f"{name}a_norm")(inner)
    inner = layers.ReLU(name=f"{name}a_relu")(inner)
    inner = _conv(width, 3, f"{name}b")(inner)
    inner = layers.BatchNormalization(momentum=momentum, name=f"{name}b_norm")(inner)
    added = layers.Add(name=f"{name}_add")([x, inner])
    return layers.ReLU(name=f"{name}_relu")(added)
