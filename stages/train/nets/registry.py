"""The nets there are, and the one door to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from stages.errors import CandidError
from stages.settings import Section, check
from stages.train.nets.baseline import BaselineSettings, baseline_cnn
from stages.train.nets.efficientnet import EfficientNetSettings, efficientnet_b0
from stages.train.nets.hub import load_preset
from stages.train.nets.parts import HEAD, Tensor
from stages.train.nets.plain import PlainSettings, plain_cnn
from stages.train.nets.residual import ResidualSettings, basic_cnn, residual_cnn
from stages.train.nets.resnet import ResNetSettings, resnet18, resnet50
from stages.train.nets.self_built import SelfBuiltSettings, self_built
from stages.train.nets.vgg import VGGSettings, vgg11, vgg16, vgg19


@dataclass(frozen=True)
class Net:
    """One net: its section of `archs`, and how it is built."""

    settings: type[Section]
    build: Callable[[Tensor, Any, int], Tensor]
    """Takes the input for uint8 faces (N x S x S x C), the settings and the number of classes; gives the
    probabilities, N x classes."""
    smallest: int = 8
    """Side of the smallest face in pixels that the poolings leave something of."""
    preset: str | None = None
    """keras-hub's name of the ImageNet weights of its body."""


NETS: dict[str, Net] = {
    "residual_cnn": Net(ResidualSettings, residual_cnn, smallest=32),
    "basic_cnn": Net(ResidualSettings, basic_cnn, smallest=32),
    "baseline_cnn": Net(BaselineSettings, baseline_cnn, smallest=16),
    "plain_cnn": Net(PlainSettings, plain_cnn, smallest=16),
    "self_built": Net(SelfBuiltSettings, self_built),
    "resnet18": Net(ResNetSettings, resnet18, preset="resnet_18_imagenet"),
    "resnet50": Net(ResNetSettings, resnet50, preset="resnet_50_imagenet"),
    "vgg11": Net(VGGSettings, vgg11, smallest=32, preset="vgg_11_imagenet"),
    "vgg16": Net(VGGSettings, vgg16, smallest=32, preset="vgg_16_imagenet"),
    "vgg19": Net(VGGSettings, vgg19, smallest=32, preset="vgg_19_imagenet"),
    "efficientnet_b0": Net(EfficientNetSettings, efficientnet_b0, preset="efficientnet_b0_ra_imagenet"),
}

SETTINGS: dict[str, type[Section]] = {name: net.settings for name, net in NETS.items()}
"""The typed section `archs.<name>` of each net."""


def build_model(
    name: str,
    *,
    classes: int | Sequence[str] = 7,
    image_size: int = 48,
    channels: int = 1,
    weights: str | None = None,
    **settings: Any,
) -> Any:
    """Build a net; without further settings the paper's, for grey faces of 48 px and seven classes.

    Args:
        name: a key of NETS.
        classes: how many, or their names.
        image_size: height and width of a face in pixels.
        channels: 1 (grey) or 3 (RGB).
        weights: of the body: None (from scratch), "imagenet" (keras-hub's preset, fetched from its hub), or a
            folder written by keras-hub's save_to_preset. The head is always new.
        settings: keys of the net's own settings, as in `archs.<name>` of params.yaml.

    Returns:
        A keras.Model named `name` of plain Keras layers: uint8 faces N x S x S x C (grey also N x S x S) to
        float32 probabilities N x classes. It loads with keras.models.load_model alone. Initial weights
        follow from keras.utils.set_random_seed.

    Raises:
        CandidError: unknown net, setting or preset, or faces too small for the net.

    Example:
        build_model("resnet50", classes=["happy", "neutral", "sad"], weights="imagenet", scaling="imagenet")
    """
    if name not in NETS:
        raise CandidError(f"params.yaml: model.arch = {name!r}: expected one of {', '.join(NETS)}")
    net = NETS[name]
    own = check(f"archs.{name}", net.settings, settings)
    count = classes if isinstance(classes, int) else len(classes)
    if count < 2:
        raise CandidError(f"{count} classes: {name} needs at least 2")
    if image_size < net.smallest:
        raise CandidError(
            f"params.yaml: data.image_size (or train.augment.crop) = {image_size}: "
            f"{name} needs at least {net.smallest}"
        )
    if channels not in (1, 3):
        raise CandidError(f"faces of {channels} channels: {name} takes 1 (grey) or 3 (rgb)")
    if weights is not None and net.preset is None:
        raise CandidError(f"params.yaml: model.weights = {weights!r}: {name} has no preset; expected null")
    faces = keras.Input((image_size, image_size, channels), dtype="uint8", name="faces")
    model = keras.Model(faces, net.build(faces, own, count), name=name)
    if weights is not None and net.preset is not None:
        load_preset(model, body_layers(model), net.preset, weights)
    return model


def body_layers(model: Any) -> list[Any]:
    """Return the layers with weights below the head, also of a model that was loaded from a file.

    With `trainable = False` they are frozen, and batch norm among them runs on its stored statistics.
    """
    return [layer for layer in model.layers if layer.weights and not layer.name.startswith(HEAD)]
