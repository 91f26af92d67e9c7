"""Bodies from keras-hub, laid out as plain Keras layers, and the weights of its presets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from candid.errors import CandidError
from candid.training.nets.parts import Tensor

# What a layer computes; a preset must agree with the net in these.
COMPUTES = ("filters", "kernel_size", "strides", "padding", "use_bias", "activation", "axis", "epsilon")


def attach(
    kind: str,
    config: dict[str, Any],
    faces: Tensor,
    prepared: Tensor,
    edit: Callable[[Any, dict[str, Any]], None],
) -> Tensor:
    """Build a keras-hub body on top of `prepared` and return its feature map, N x h x w x F.

    The body's layers are made anew in the net itself, so that no class of keras-hub is in the saved file and
    loading it takes Keras alone.

    Args:
        kind: class in keras_hub.models, e.g. VGGBackbone.
        config: its arguments.
        faces: the net's input.
        prepared: what the body sees, N x H x W x 3; made from `faces`.
        edit: changes the configuration of a layer before it is made, e.g. the momentum of batch norm.
    """
    import keras_hub  # takes seconds, and half of the nets need none of it

    def made(layer: Any) -> Any:
        settings = layer.get_config()
        edit(layer, settings)
        return type(layer).from_config(settings)

    def call(layer: Any, inputs: Any, **options: Any) -> Any:
        return layer(prepared if inputs is faces else inputs, **options)

    backbone = getattr(keras_hub.models, kind)(**config)
    body = keras.models.clone_model(backbone, input_tensors=faces, clone_function=made, call_function=call)
    return body.output


def load_preset(model: Any, layers: list[Any], preset: str, weights: str) -> None:
    """Copy the weights of a preset into the body, layer by layer by name.

    Args:
        model: a net with a keras-hub body.
        layers: its body.
        preset: keras-hub's name of the ImageNet weights.
        weights: imagenet, or a folder written by save_to_preset of keras-hub.

    Raises:
        CandidError: no hub can be reached, or what was found is not this net's body.
    """
    source = _fetch(preset) if weights == "imagenet" else _read(weights)
    theirs = {layer.name: layer for layer in source.layers if layer.weights}
    ours = {layer.name: layer for layer in layers}
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in theirs or name not in ours or _signature(theirs[name]) != _signature(ours[name]):
            raise CandidError(
                f"params.yaml: model.weights = {weights!r}: layer {name!r} differs: "
                f"expected weights of the body of {model.name} (preset {preset})"
            )
    for name, layer in ours.items():
        layer.set_weights(theirs[name].get_weights())


def _signature(layer: Any) -> list[Any]:
    config = layer.get_config()
    return [[tuple(value.shape) for value in layer.weights], *(config.get(key) for key in COMPUTES)]


def _fetch(preset: str) -> Any:
    import keras_hub

    try:
        return keras_hub.models.Backbone.from_preset(preset)
    except Exception as error:  # each hub's client has errors of its own
        reason = " ".join(str(error).split())[:200]
        raise CandidError(
            f"params.yaml: model.weights = 'imagenet': ImageNet weights need keras-hub's preset {preset}, "
            f"which could not be fetched ({type(error).__name__}: {reason}); "
            "set model.weights: null to train from scratch"
        ) from None


def _read(folder: str) -> Any:
    import keras_hub

    if not (Path(folder) / "config.json").is_file():
        raise CandidError(
            f"params.yaml: model.weights = {folder!r}: "
            "expected null, imagenet or a folder that holds a keras-hub preset"
        )
    try:
        return keras_hub.models.Backbone.from_preset(str(folder))
    except (ValueError, OSError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CandidError(f"params.yaml: model.weights = {folder!r}: no keras-hub preset: {reason}") from None
