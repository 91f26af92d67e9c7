"""What every net shares: the way in for the faces and the way out to probabilities."""

from __future__ import annotations

from typing import Any

import keras

from candid.training.settings import Scaling, StandardScaling

Tensor = Any  # keras.KerasTensor; Keras carries no types

HEAD = "head_"  # names of the layers above the body begin with this; `body_layers` goes by it
IMAGENET = {1: ([0.449], [0.226]), 3: ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])}
"""Means and standard deviations of each channel in units of 0..1; for grey their averages."""


def scaled(faces: Tensor, scaling: Scaling, rgb: bool = False) -> Tensor:
    """Scale uint8 pixels as `scaling` says, in `rgb` grey repeated to three channels.

    In float32 also where the net computes in bfloat16, which holds every pixel value, but pixel / 255 - mean
    would lose half of its digits.
    """
    if rgb and faces.shape[-1] == 1:
        faces = keras.layers.Concatenate(name="grey_to_rgb")([faces] * 3)
    channels = faces.shape[-1]
    means, stds = [0.0] * channels, [1.0] * channels
    if isinstance(scaling, StandardScaling):
        means, stds = [scaling.mean] * channels, [scaling.std] * channels
    elif scaling.name == "imagenet":
        means, stds = IMAGENET[channels]
    scale = [1 / (255 * std) for std in stds]
    offset = [-mean / std for mean, std in zip(means, stds, strict=True)]
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="scaling")(faces)


def probabilities(features: Tensor, classes: int, dropout: float = 0.0) -> Tensor:
    """Turn N x F features into N x classes probabilities, in float32 whatever the policy.

    The softmax is a layer of its own, so that training can take the logits below it.
    """
    if dropout > 0:
        features = keras.layers.Dropout(dropout, name=f"{HEAD}dropout")(features)
    logits = keras.layers.Dense(classes, dtype="float32", name=f"{HEAD}logits")(features)
    return keras.layers.Softmax(dtype="float32", name=f"{HEAD}softmax")(logits)


def dense_relu(x: Tensor, units: int, name: str, dropout: float = 0.0) -> Tensor:
    """Put a fully connected layer with ReLU and dropout into the head."""
    x = keras.layers.Dense(units, "relu", kernel_initializer="he_normal", name=f"{HEAD}{name}")(x)
    return keras.layers.Dropout(dropout, name=f"{HEAD}{name}_dropout")(x) if dropout > 0 else x


def average(x: Tensor) -> Tensor:
    """Global average over height and width, N x H x W x F to N x F."""
    return keras.layers.GlobalAveragePooling2D(name=f"{HEAD}average")(x)
