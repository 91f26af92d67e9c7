"""ResNet-18 and ResNet-50 (He et al. 2016) with bodies from keras-hub."""

from __future__ import annotations

from typing import Any

import keras

from candid.training.nets.hub import attach
from candid.training.nets.parts import (
    BodySettings,
    NormedSettings,
    Tensor,
    average,
    probabilities,
    scaled,
    three_channels,
)

COMMON: dict[str, Any] = {
    "input_conv_filters": [64],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 128, 256, 512],
    "stackwise_num_strides": [1, 2, 2, 2],
}


class ResNetSettings(BodySettings, NormedSettings):
    """`archs.resnet18` and `archs.resnet50`."""


def resnet18(faces: Tensor, settings: ResNetSettings, classes: int) -> Tensor:
    """Build qutub2023's ResNet18: global average, softmax; 11,180,103 trainable parameters with 7 classes."""
    body = {**COMMON, "stackwise_num_blocks": [2, 2, 2, 2], "block_type": "basic_block"}
    return _net(faces, settings, classes, body)


def resnet50(faces: Tensor, settings: ResNetSettings, classes: int) -> Tensor:
    """Build the ResNet50 of li2021, adebo2023 and rehman2024: global average, softmax."""
    body = {**COMMON, "stackwise_num_blocks": [3, 4, 6, 3], "block_type": "bottleneck_block"}
    return _net(faces, settings, classes, body)


def _net(faces: Tensor, settings: ResNetSettings, classes: int, body: dict[str, Any]) -> Tensor:
    def edit(layer: Any, config: dict[str, Any]) -> None:
        if isinstance(layer, keras.layers.BatchNormalization):
            config["momentum"] = settings.batch_norm_momentum

    prepared = scaled(three_channels(faces), settings)
    size = faces.shape[1]
    config = {**body, "image_shape": (size, size, prepared.shape[-1])}
    x = attach("ResNetBackbone", config, faces, prepared, edit)
    return probabilities(average(x), classes, settings.dropout)
