"""EfficientNet-B0 (Tan and Le 2019) with its body from keras-hub."""

from __future__ import annotations

from typing import Any

import keras
from pydantic import Field

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

B0: dict[str, Any] = {
    "stackwise_width_coefficients": [1.0] * 7,
    "stackwise_depth_coefficients": [1.0] * 7,
    "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
    "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
    "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
    "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
    "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
    "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
    "stackwise_squeeze_and_excite_ratios": [0.25] * 7,
    "stackwise_block_types": ["v1"] * 7,
    "min_depth": None,
    "use_depth_divisor_as_min_depth": True,
    "cap_round_filter_decrease": True,
}


class EfficientNetSettings(BodySettings, NormedSettings):
    """`archs.efficientnet_b0`."""

    dropout: float = Field(default=0.2, ge=0, lt=1)
    drop_connect: float = Field(default=0.2, ge=0, lt=1)
    """Share of faces for which the last block is skipped in training; less for those before it."""


def efficientnet_b0(faces: Tensor, settings: EfficientNetSettings, classes: int) -> Tensor:
    """Build qutub2023's EfficientNet-B0; 4,016,515 trainable parameters with 7 classes."""

    def edit(layer: Any, config: dict[str, Any]) -> None:
        if isinstance(layer, keras.layers.BatchNormalization):
            config["momentum"] = settings.batch_norm_momentum

    prepared = scaled(three_channels(faces), settings)
    size = faces.shape[1]
    config = {**B0, "dropout": settings.drop_connect, "input_shape": (size, size, prepared.shape[-1])}
    x = attach("EfficientNetBackbone", config, faces, prepared, edit)
    return probabilities(average(x), classes, settings.dropout)
