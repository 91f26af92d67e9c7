"""VGG-11, VGG-16 and VGG-19 (Simonyan and Zisserman 2015) with bodies from keras-hub."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers
from pydantic import Field

from candid.training.nets.hub import attach
from candid.training.nets.parts import (
    HEAD,
    BodySettings,
    Tensor,
    average,
    dense_relu,
    probabilities,
    scaled,
    three_channels,
)

WIDTHS = [64, 128, 256, 512, 512]
LAST_POOL = "block5_pool"
LAST_POOL_STRIDE = 16  # the map below the last pool is the face's side over this


class VGGSettings(BodySettings):
    """`archs.vgg11`, `archs.vgg16` and `archs.vgg19`."""

    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Behind each of the two fully connected layers of 4096."""


def vgg11(faces: Tensor, settings: VGGSettings, classes: int) -> Tensor:
    """Build adebo2023's VGG11; as the paper gives two layers of 4096 and no map size, the map is averaged."""
    return _head(average(_body(faces, settings, [1, 1, 2, 2, 2])), settings, classes)


def vgg16(faces: Tensor, settings: VGGSettings, classes: int) -> Tensor:
    """Build qutub2023's VGG16: global average, 4096, 4096; 33,625,927 parameters with 7 classes."""
    return _head(average(_body(faces, settings, [2, 2, 3, 3, 3])), settings, classes)


def vgg19(faces: Tensor, settings: VGGSettings, classes: int) -> Tensor:
    """Build qutub2023's VGG19: a 2x2 map laid flat, 4096, 4096; 45,227,079 parameters with 7 classes.

    The paper says that the map is pooled to 1x1, but its count needs 2x2, at 48 px as at its crops of 40:
    here the last pooling is as wide as it takes to leave 2x2 of a face of any side from 32 px.
    """
    x = _body(faces, settings, [2, 2, 4, 4, 4], last_map=2)
    return _head(layers.Flatten(name=f"{HEAD}flat")(x), settings, classes)


def _body(faces: Tensor, settings: VGGSettings, repeats: list[int], last_map: int | None = None) -> Tensor:
    size = faces.shape[1]

    def edit(layer: Any, config: dict[str, Any]) -> None:
        if isinstance(layer, layers.Conv2D):
            # With keras-hub's Glorot each ReLU halves the variance, and no batch norm makes up for it.
            config["kernel_initializer"] = keras.initializers.HeNormal()
        elif layer.name == LAST_POOL and last_map is not None:
            below = size // LAST_POOL_STRIDE
            stride = below // last_map
            config |= {"strides": stride, "pool_size": below - stride * (last_map - 1)}

    prepared = scaled(three_channels(faces), settings)
    config = {
        "stackwise_num_repeats": repeats,
        "stackwise_num_filters": WIDTHS,
        "image_shape": (size, size, prepared.shape[-1]),
    }
    return attach("VGGBackbone", config, faces, prepared, edit)


def _head(x: Tensor, settings: VGGSettings, classes: int) -> Tensor:
    for name in ("dense1", "dense2"):
        x = dense_relu(x, 4096, name, settings.dropout)
    return probabilities(x, classes)
