"""Nets of plain convolutions, each made for faces of about 48 pixels."""

from __future__ import annotations

from functools import partial
from typing import Any

from keras import layers

from candid.training.nets.parts import HEAD, Tensor, average, dense_relu, probabilities, scaled
from candid.training.settings import (
    BaselineSettings,
    BasicSettings,
    PlainSettings,
    ResidualSettings,
    SelfBuiltSettings,
)

RESIDUAL_WIDTHS = (32, 64, 128, 256, 512)  # of the blocks that end in max pooling, behind two convolutions
LAST_BLOCK = (256, 512)  # of Table 1's three: conv2d_13 to conv2d_16, dropout_5 and dropout_6
FIRST_WIDTH = 16
BASELINE_STEM = 32
BASELINE_STAGES = ((48, 2), (128, 2), (192, 1))  # width, residual blocks; each stage halves the side
BASELINE_HIDDEN = 208


def residual_cnn(faces: Tensor, settings: BasicSettings, classes: int) -> Tensor:
    """Build the residual CNN of Bah et al. (2022), Table 1: twelve convolutions, three residual blocks.

    9,766,391 trainable parameters (48 px, grey, 7 classes). The basic CNN is without the residual blocks.
    Convolutions have a bias and He-normal initial weights; ReLU stands before batch norm in the plain blocks
    and behind it in the residual ones.
    """
    momentum, plain = settings.batch_norm_momentum, partial(_normed, activation="relu", relu=False)
    x = scaled(faces, settings.scaling)
    for part in "ab":
        x = plain(x, FIRST_WIDTH, 5, momentum, f"block0{part}")
    x = layers.Dropout(settings.dropout, name="block0_dropout")(x)
    for number, width in enumerate(RESIDUAL_WIDTHS, start=1):
        for part in "ab":
            x = plain(x, width, 3, momentum, f"block{number}{part}")
        x = layers.MaxPooling2D(name=f"block{number}_pool")(x)
        rate = settings.last_dropout if width in LAST_BLOCK else settings.dropout
        x = layers.Dropout(rate, name=f"block{number}_dropout")(x)
        if isinstance(settings, ResidualSettings) and number in settings.residual_after:
            name = f"residual{number}"
            inner = _normed(x, width, 3, momentum, f"{name}a")
            inner = _normed(inner, width, 3, momentum, f"{name}b", relu=False)
            if settings.skip == "conv":
                x = _normed(x, width, 1, momentum, f"{name}_skip", relu=False)
            x = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, inner]))
    return probabilities(average(x), classes)


def _normed(
    x: Tensor, width: int, kernel: int, momentum: float, name: str, relu: bool = True, **options: Any
) -> Tensor:
    """Convolve, normalise and, if `relu`, rectify; `options` are those of Conv2D."""
    options = {"padding": "same", "kernel_initializer": "he_normal", "name": f"{name}_conv", **options}
    x = layers.Conv2D(width, kernel, **options)(x)
    x = layers.BatchNormalization(momentum=momentum, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def baseline_cnn(faces: Tensor, settings: BaselineSettings, classes: int) -> Tensor:
    """Build a small residual net: a 7x7 convolution, three stages, global average, a hidden layer.

    A stage is a convolution with max pooling and residual blocks of two convolutions with an identity skip.
    Every convolution is followed by batch norm and ReLU, and has no bias of its own. It has the 1,672,775
    trainable parameters of qutub2023's baseline, of which the paper gives no more; the layers were chosen for
    accuracy by time on two CPU cores: the first convolution halves the side, and most of the 64 million
    multiply-adds lie at 24 and 12 pixels.
    """
    normed = partial(_normed, momentum=settings.batch_norm_momentum, use_bias=False)
    x = normed(scaled(faces, settings.scaling), BASELINE_STEM, 7, name="stem", strides=2)
    for number, (width, blocks) in enumerate(BASELINE_STAGES, start=1):
        x = normed(x, width, 3, name=f"stage{number}")
        x = layers.MaxPooling2D(name=f"stage{number}_pool")(x)
        for block in range(1, blocks + 1):
            name = f"stage{number}_block{block}"
            inner = normed(normed(x, width, 3, name=f"{name}a"), width, 3, name=f"{name}b")
            x = layers.Add(name=f"{name}_add")([x, inner])
    # Not the global maximum: sums of residual branches make it so large that the hidden layer dies at
    # a learning rate of 0.002, and the net gives the class shares for every face.
    x = layers.Dropout(settings.dropout, name=f"{HEAD}average_dropout")(average(x))
    x = dense_relu(x, BASELINE_HIDDEN, "dense1", settings.dropout)
    return probabilities(x, classes)


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
            x = _normed(x, width, 3, momentum, f"stage{stage}_{number}", use_bias=False)
    return probabilities(average(x), classes, settings.dropout)


def self_built(faces: Tensor, settings: SelfBuiltSettings, classes: int) -> Tensor:
    """Build the self-built net of Adebo (2023): two convolutions (5x5, 3x3), then 4096, 512 and the classes.

    Behind each convolution stand batch norm, ReLU and max pooling. The paper gives the 5x5, the three
    channels of the input and the fully connected layers; the widths, the second kernel and the ReLU behind
    batch norm are ours.
    """
    x = scaled(faces, settings.scaling, rgb=True)
    for width, kernel, name in zip(settings.widths, (5, 3), ("conv1", "conv2"), strict=True):
        x = _normed(x, width, kernel, settings.batch_norm_momentum, name)
        x = layers.MaxPooling2D(name=f"{name}_pool")(x)
    x = dense_relu(layers.Flatten(name=f"{HEAD}flat")(x), 4096, "dense1", settings.dropout)
    return probabilities(dense_relu(x, 512, "dense2", settings.dropout), classes)
