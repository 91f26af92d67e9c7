"""The nets: `build_model` is the one door to them. Their settings are in candid.training.settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras

from candid.errors import CandidError
from candid.settings import check
from candid.training.nets.cnn import baseline_cnn, plain_cnn, residual_cnn, self_built
from candid.training.nets.hog import hog_svm
from candid.training.nets.hub import efficientnet_b0, load_preset, resnet, vgg
from candid.training.nets.parts import HEAD, Tensor
from candid.training.settings import NETS

BUILDERS: dict[str, Callable[[Tensor, Any, int], Tensor]] = {
    "residual_cnn": residual_cnn,
    "basic_cnn": residual_cnn,
    "baseline_cnn": baseline_cnn,
    "plain_cnn": plain_cnn,
    "self_built": self_built,
    "resnet18": partial(resnet, blocks=(2, 2, 2, 2), block_type="basic_block"),
    "resnet50": partial(resnet, blocks=(3, 4, 6, 3), block_type="bottleneck_block"),
    "vgg11": partial(vgg, repeats=(1, 1, 2, 2, 2)),
    "vgg16": partial(vgg, repeats=(2, 2, 3, 3, 3)),
    "vgg19": partial(vgg, repeats=(2, 2, 4, 4, 4), last_map=2),
    "efficientnet_b0": efficientnet_b0,
    "hog_svm": hog_svm,
}
"""Take the input for uint8 faces, the settings and the number of classes; give N x classes probabilities."""


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
        where = "params.yaml: data.image_size (or train.augment.crop)"
        raise CandidError(f"{where} = {image_size}: {name} needs at least {net.smallest}")
    if channels not in (1, 3):
        raise CandidError(f"faces of {channels} channels: {name} takes 1 (grey) or 3 (rgb)")
    if weights is not None and net.preset is None:
        raise CandidError(f"params.yaml: model.weights = {weights!r}: {name} has no preset; expected null")
    faces = keras.Input((image_size, image_size, channels), dtype="uint8", name="faces")
    model = keras.Model(faces, BUILDERS[name](faces, own, count), name=name)
    if weights is not None and net.preset is not None:
        load_preset(model, body_layers(model), net.preset, weights)
    return model


def body_layers(model: Any) -> list[Any]:
    """Return the layers with weights below the head, also of a model that was loaded from a file.

    With `trainable = False` they are frozen, and batch norm among them runs on its stored statistics.
    """
    return [layer for layer in model.layers if layer.weights and not layer.name.startswith(HEAD)]
