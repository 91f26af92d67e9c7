"""Nets with bodies from keras-hub, laid out as plain Keras layers, and the weights of its presets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
from keras import layers

from candid.errors import CandidError
from candid.files import read_json
from candid.training.nets.parts import HEAD, Tensor, average, dense_relu, probabilities, scaled
from candid.training.settings import EfficientNetSettings, NormedSettings, ResNetSettings, VGGSettings

BACKBONES = ("ResNetBackbone", "VGGBackbone", "EfficientNetBackbone")
"""Classes of keras-hub that a preset in a folder may be of."""

# What a layer computes; a preset must agree with the net in these.
COMPUTES = ("filters", "kernel_size", "strides", "padding", "use_bias", "activation", "axis", "epsilon")
RESNET: dict[str, Any] = {
    "input_conv_filters": [64],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 128, 256, 512],
    "stackwise_num_strides": [1, 2, 2, 2],
}
VGG_WIDTHS = [64, 128, 256, 512, 512]
VGG_LAST_POOL = "block5_pool"
VGG_LAST_POOL_STRIDE = 16  # the map below the last pool is the face's side over this
EFFICIENTNET_B0: dict[str, Any] = {
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
}


def resnet(
    faces: Tensor, settings: ResNetSettings, classes: int, blocks: Sequence[int], block_type: str
) -> Tensor:
    """Build a ResNet: global average, softmax.

    resnet18 of qutub2023 has 11,180,103 trainable parameters with 7 classes; resnet50 is that of li2021,
    adebo2023 and rehman2024.
    """
    config = {**RESNET, "stackwise_num_blocks": list(blocks), "block_type": block_type}
    x = _attach("ResNetBackbone", config, faces, settings)
    return probabilities(average(x), classes, settings.dropout)


def vgg(
    faces: Tensor, settings: VGGSettings, classes: int, repeats: Sequence[int], last_map: int | None = None
) -> Tensor:
    """Build a VGG: global average, or a map of `last_map` squared laid flat, then 4096, 4096.

    vgg11 is adebo2023's, which gives two layers of 4096 and no map size, so that the map is averaged; vgg16
    (33,625,927 parameters with 7 classes) and vgg19 (45,227,079) are qutub2023's. The paper says that vgg19's
    map is pooled to 1x1, but its count needs 2x2, at 48 px as at its crops of 40: here the last pooling is as
    wide as it takes to leave 2x2 of a face of any side from 32 px.
    """

    def edit(layer: Any, config: dict[str, Any]) -> None:
        if isinstance(layer, layers.Conv2D):
            # With keras-hub's Glorot each ReLU halves the variance, and no batch norm makes up for it.
            config["kernel_initializer"] = keras.initializers.HeNormal()
        elif layer.name == VGG_LAST_POOL and last_map:
            below = faces.shape[1] // VGG_LAST_POOL_STRIDE
            stride = below // last_map
            config |= {"strides": stride, "pool_size": below - stride * (last_map - 1)}

    config = {"stackwise_num_repeats": list(repeats), "stackwise_num_filters": VGG_WIDTHS}
    x = _attach("VGGBackbone", config, faces, settings, edit)
    x = layers.Flatten(name=f"{HEAD}flat")(x) if last_map else average(x)
    for name in ("dense1", "dense2"):
        x = dense_relu(x, 4096, name, settings.dropout)
    return probabilities(x, classes)


def efficientnet_b0(faces: Tensor, settings: EfficientNetSettings, classes: int) -> Tensor:
    """Build qutub2023's EfficientNet-B0; 4,016,515 trainable parameters with 7 classes."""
    config = {**EFFICIENTNET_B0, "dropout": settings.drop_connect}
    x = _attach("EfficientNetBackbone", config, faces, settings)
    return probabilities(average(x), classes, settings.dropout)


def _attach(kind: str, config: dict[str, Any], faces: Tensor, settings: Any, edit: Any = None) -> Tensor:
    """Build a keras-hub body on top of the scaled faces and return its feature map, N x h x w x F.

    The body's layers are made anew in the net itself, so that no class of keras-hub is in the saved file and
    loading it takes Keras alone; `edit` changes the configuration of a layer before it is made.
    """
    import keras_hub  # takes seconds, and half of the nets need none of it

    def made(layer: Any) -> Any:
        layer_config = layer.get_config()
        if isinstance(settings, NormedSettings) and isinstance(layer, layers.BatchNormalization):
            layer_config["momentum"] = settings.batch_norm_momentum
        if edit is not None:
            edit(layer, layer_config)
        return type(layer).from_config(layer_config)

    def call(layer: Any, inputs: Any, **options: Any) -> Any:
        return layer(prepared if inputs is faces else inputs, **options)

    prepared = scaled(faces, settings.scaling, rgb=True)
    shape = "input_shape" if kind == "EfficientNetBackbone" else "image_shape"
    backbone = getattr(keras_hub.models, kind)(**config, **{shape: prepared.shape[1:]})
    body = keras.models.clone_model(backbone, input_tensors=faces, clone_function=made, call_function=call)
    return body.output


def load_preset(model: Any, body: list[Any], preset: str, weights: str) -> None:
    """Copy the weights of a preset (`weights`: imagenet, or its folder) into the body, layer by layer.

    CandidError: no hub can be reached, or the weights are not of this net's body.
    """
    theirs = {layer.name: layer for layer in _source(preset, weights).layers if layer.weights}
    ours = {layer.name: layer for layer in body}
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in theirs or name not in ours or _signature(theirs[name]) != _signature(ours[name]):
            expected = f"expected weights of the body of {model.name} (preset {preset})"
            raise CandidError(f"params.yaml: model.weights = {weights!r}: layer {name!r} differs: {expected}")
    for name, layer in ours.items():
        layer.set_weights(theirs[name].get_weights())


def _signature(layer: Any) -> list[Any]:
    config = layer.get_config()
    return [[tuple(value.shape) for value in layer.weights], *(config.get(key) for key in COMPUTES)]


def _source(preset: str, weights: str) -> Any:
    """Return keras-hub's backbone with the weights of its preset, or of a folder."""
    import keras_hub

    if weights != "imagenet":
        _check_preset(Path(weights) / "config.json")
    try:
        return keras_hub.models.Backbone.from_preset(preset if weights == "imagenet" else weights)
    except Exception as error:  # each hub's client has errors of its own
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        tip = f"expected keras-hub's preset {preset}; set model.weights: null to train from scratch"
        raise CandidError(f"params.yaml: model.weights = {weights!r}: {reason}; {tip}") from None


def _check_preset(path: Path) -> None:
    """Refuse a preset of more than a backbone: a tokenizer, say, opens the file that its settings name."""
    import keras_hub

    kinds = [getattr(keras_hub.models, name) for name in BACKBONES]
    backbones = [(kind.__module__, kind.__name__, f"keras_hub>{kind.__name__}") for kind in kinds]
    config = read_json(path)
    waiting = [config]
    for value in waiting:
        if isinstance(value, dict):
            waiting.extend(value.values())
            named = value.get("module"), value.get("class_name"), value.get("registered_name")
            allowed = backbones if value is config else [("keras", "DTypePolicy", None)]
            if (value is config or any(named)) and named not in allowed:
                known = ", ".join(BACKBONES)
                raise CandidError(f"{path}: names {named}; expected a keras-hub preset of one of {known}")
        elif isinstance(value, list):
            waiting.extend(value)
