"""Nets of plain convolutions, each made for faces of about 48 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import layers

from candid.training.nets.parts import (
    HEAD,
    Tensor,
    average,
    dense_relu,
    probabilities,
    scaled,
    three_channels,
)
from candid.training.settings import (
    BaselineSettings,
    BasicSettings,
    PlainSettings,
    ResidualSettings,
    SelfBuiltSettings,
)

RESIDUAL_WIDTHS = (32, 64, 128, 256, 512)
"""Of the blocks that end in max pooling, behind the first two convolutions."""
LAST_BLOCK = (256, 512)
"""The last of Table 1's three convolutional blocks: conv2d_13 to conv2d_16, dropout_5 and dropout_6."""
FIRST_WIDTH = 16
BASELINE_STEM = 32
BASELINE_STAGES = ((48, 2), (128, 2), (192, 1))
"""Width and number of residual blocks; each stage halves the side."""
BASELINE_HIDDEN = 208


def residual_cnn(faces: Tensor, settings: ResidualSettings, classes: int) -> Tensor:
    """Build the residual CNN of Bah et al. (2022), Table 1: twelve convolutions, three residual blocks.

    9,766,391 trainable parameters (48 px, grey, 7 classes).
    Convolutions have a bias and He-normal initial weights; ReLU stands before batch norm in the plain blocks
    and behind it in the residual ones.
    """
    return _blocks(faces, settings, classes, settings.residual_after, settings.skip)


def basic_cnn(faces: Tensor, settings: BasicSettings, classes: int) -> Tensor:
    """Build the basic CNN of Bah et al. (2022): residual_cnn without its residual blocks."""
    return _blocks(faces, settings, classes)


def _blocks(
    faces: Tensor, settings: BasicSettings, classes: int, residual_after: Sequence[int] = (), skip: str = ""
) -> Tensor:
    momentum = settings.batch_norm_momentum
    x = scaled(faces, settings.scaling)
    for part in "ab":
        x = _plain(x, FIRST_WIDTH, 5, momentum, f"block0{part}")
    x = layers.Dropout(settings.dropout, name="block0_dropout")(x)
    for number, width in enumerate(RESIDUAL_WIDTHS, start=1):
        for part in "ab":
            x = _plain(x, width, 3, momentum, f"block{number}{part}")
        x = layers.MaxPooling2D(name=f"block{number}_pool")(x)
        rate = settings.last_dropout if width in LAST_BLOCK else settings.dropout
        x = layers.Dropout(rate, name=f"block{number}_dropout")(x)
        if number in residual_after:
            x = _residual(x, width, momentum, f"residual{number}", skip)
    return probabilities(average(x), classes)


def _biased(width: int, kernel: int, name: str, activation: str | None = None) -> Any:
    return layers.Conv2D(
        width,
        kernel,
        padding="same",
        activation=activation,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )


def _plain(x: Tensor, width: int, kernel: int, momentum: float, name: str) -> Tensor:
    x = _biased(width, kernel, name, "relu")(x)
    return layers.BatchNormalization(momentum=momentum, name=f"{name}_norm")(x)


def _residual(x: Tensor, width: int, momentum: float, name: str, skip: str) -> Tensor:
    inner = _biased(width, 3, f"{name}a")(x)
    inner = layers.BatchNormalization(momentum=momentum, name=f"{name}a_norm")(inner)
    inner = layers.ReLU(name=f"{name}a_relu")(inner)
    inner = _biased(width, 3, f"{name}b")(inner)
    inner = layers.BatchNormalization(momentum=momentum, name=f"{name}b_norm")(inner)
    if skip == "conv":
        x = _biased(width, 1, f"{name}_skip")(x)
        x = layers.BatchNormalization(momentum=momentum, name=f"{name}_skip_norm")(x)
    added = layers.Add(name=f"{name}_add")([x, inner])
    return layers.ReLU(name=f"{name}_relu")(added)


def baseline_cnn(faces: Tensor, settings: BaselineSettings, classes: int) -> Tensor:
    """Build a small residual net: a 7x7 convolution, three stages, global average, a hidden layer.

    A stage is a convolution with max pooling and residual blocks of two convolutions with an identity skip.
    Every convolution is followed by batch norm and ReLU, and has no bias of its own. It has the 1,672,775
    trainable parameters of qutub2023's baseline, of which the paper gives no more; the layers were chosen for
    accuracy by time on two CPU cores: the first convolution halves the side, and most of the 64 million
    multiply-adds lie at 24 and 12 pixels.
    """
    momentum = settings.batch_norm_momentum
    x = _normed(scaled(faces, settings.scaling), BASELINE_STEM, 7, momentum, "stem", strides=2)
    for number, (width, blocks) in enumerate(BASELINE_STAGES, start=1):
        x = _normed(x, width, 3, momentum, f"stage{number}")
        x = layers.MaxPooling2D(name=f"stage{number}_pool")(x)
        for block in range(1, blocks + 1):
            name = f"stage{number}_block{block}"
            inner = _normed(x, width, 3, momentum, f"{name}a")
            inner = _normed(inner, width, 3, momentum, f"{name}b")
            x = layers.Add(name=f"{name}_add")([x, inner])
    # Not the global maximum: sums of residual branches make it so large that the hidden layer dies at
    # a learning rate of 0.002, and the net gives the class shares for every face.
    x = layers.Dropout(settings.dropout, name=f"{HEAD}average_dropout")(average(x))
    x = dense_relu(x, BASELINE_HIDDEN, "dense1", settings.dropout)
    return probabilities(x, classes)


def _normed(x: Tensor, width: int, kernel: int, momentum: float, name: str, strides: int = 1) -> Tensor:
    x = layers.Conv2D(
        width,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(momentum=momentum, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def plain_cnn(faces: Tensor, settings: PlainSettings, classes: int) -> Tensor:
    """Build stages of 3x3 convolutions with max pooling between, from full resolution down; global average.

    The shape of the nets with which FER2013 is trained from scratch in the literature (VGG without its fully
    connected layers), narrow enough for two CPU cores: 1,174,439 trainable parameters and 82 million
    multiply-adds for a face of 40 pixels with the default widths and depths, of which each stage has about a
    quarter.
    """
    x, momentum = scaled(faces, settings.scaling), settings.batch_norm_momentum
    for stage, (width, depth) in enumerate(zip(settings.widths, settings.depths, strict=True), start=1):
        if stage > 1:
            x = layers.MaxPooling2D(name=f"stage{stage}_pool")(x)
        for number in range(1, depth + 1):
            x = _normed(x, width, 3, momentum, f"stage{stage}_{number}")
    return probabilities(average(x), classes, settings.dropout)


def self_built(faces: Tensor, settings: SelfBuiltSettings, classes: int) -> Tensor:
    """Build the self-built net of Adebo (2023): two convolutions (5x5, 3x3), then 4096, 512 and the classes.

    Behind each convolution stand batch norm, ReLU and max pooling. The paper gives the 5x5, the three
    channels of the input and the fully connected layers; the widths, the second kernel and the ReLU behind
    batch norm are ours.
    """
    x = scaled(three_channels(faces), settings.scaling)
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
