"""The door to the nets: what its arguments do, and how a wrong one ends."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from stages.errors import CandidError
from stages.train.nets import NETS, body_layers, build_model

COLOUR = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
GREY = COLOUR[..., :1]


def outputs(model: Any, faces: Any) -> Any:
    return np.asarray(model(faces, training=False))


@pytest.mark.parametrize("name", ["baseline_cnn", "resnet18"])
def test_same_seed_same_net(name: str) -> None:
    made = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        made.append(build_model(name, image_size=32))
    for one, other in zip(made[0].get_weights(), made[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    # Names too: the second net of a process must give the same file as the first.
    assert json.dumps(made[0].get_config()) == json.dumps(made[1].get_config())


@pytest.mark.parametrize("name", ["baseline_cnn", "resnet18"])
def test_colour_faces(name: str) -> None:
    given = outputs(build_model(name, image_size=32, channels=3, classes=["happy", "sad"]), COLOUR)
    assert given.shape == (3, 2)
    assert np.isfinite(given).all()


def test_grey_is_repeated_for_a_body_of_three_channels() -> None:
    grey, colour = build_model("resnet18", image_size=32), build_model("resnet18", image_size=32, channels=3)
    colour.set_weights(grey.get_weights())
    np.testing.assert_allclose(outputs(grey, GREY), outputs(colour, GREY.repeat(3, axis=3)), atol=1e-6)


@pytest.mark.parametrize(("name", "size"), [("vgg19", 40), ("resnet18", 40)])
def test_counts_hold_for_crops(name: str, size: int) -> None:
    model = build_model(name, image_size=size)
    expected = {"vgg19": 45_227_079, "resnet18": 11_180_103}[name]
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == expected


@pytest.mark.parametrize(
    ("scaling", "channels", "mean", "std"),
    [
        ("unit", 1, 0.0, 1.0),
        ("standard", 1, 0.5, 0.25),
        ("standard", 3, 0.5, 0.25),
        ("imagenet", 1, 0.449, 0.226),
        ("imagenet", 3, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ],
)
def test_scaling(scaling: str, channels: int, mean: Any, std: Any) -> None:
    model = build_model("baseline_cnn", image_size=32, channels=channels, scaling=scaling, mean=0.5, std=0.25)
    faces = COLOUR if channels == 3 else GREY
    below = keras.Model(model.input, model.get_layer("scaling").output)
    np.testing.assert_allclose(outputs(below, faces), (faces / 255 - mean) / std, rtol=1e-5, atol=1e-5)


def test_plain_cnn_has_the_stages_that_are_set() -> None:
    model = build_model("plain_cnn", image_size=32, widths=[8, 16, 24], depths=[1, 3, 2])
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == [8, 16, 16, 16, 24, 24]
    assert [layer.output.shape[1] for layer in convolutions] == [32, 16, 16, 16, 8, 8]


@pytest.mark.parametrize("name", ["basic_cnn", "resnet18", "efficientnet_b0"])
def test_momentum_reaches_every_batch_norm(name: str) -> None:
    model = build_model(name, image_size=32, batch_norm_momentum=0.5)
    momenta = [layer.momentum for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    assert len(momenta) > 5
    assert set(momenta) == {0.5}


@pytest.mark.parametrize("name", ["baseline_cnn", "efficientnet_b0"])
def test_mixed_precision_ends_in_float32(name: str) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_model(name, image_size=32)
    finally:
        keras.config.set_dtype_policy(before)
    bodies = body_layers(model)
    assert {layer.compute_dtype for layer in bodies} == {"bfloat16"}
    assert {weight.dtype for layer in bodies for weight in layer.weights} == {"float32"}
    given = outputs(model, GREY)
    assert given.dtype == np.float32
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-6)


def test_learns_a_few_faces_by_heart() -> None:
    keras.utils.set_random_seed(0)
    model = build_model("baseline_cnn", image_size=32, classes=3)
    model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy", jit_compile=False)
    labels = np.arange(3)
    model.fit(GREY, labels, batch_size=3, epochs=30, verbose=0)
    np.testing.assert_array_equal(outputs(model, GREY).argmax(axis=1), labels)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("resnet19", {}, "model.arch = 'resnet19': expected one of " + ", ".join(NETS)),
        ("resnet18", {"drop": 0.1}, "unknown key archs.resnet18.drop; expected one of scaling, mean"),
        ("vgg11", {"batch_norm_momentum": 0.9}, "unknown key archs.vgg11.batch_norm_momentum"),
        ("residual_cnn", {"dropout": 1.0}, "archs.residual_cnn.dropout = 1.0: "),
        ("basic_cnn", {"dropout": "0.3"}, "archs.basic_cnn.dropout = '0.3': "),
        ("self_built", {"widths": [32]}, "archs.self_built.widths = [32]: "),
        ("plain_cnn", {"widths": [32, 64]}, "2 widths and 4 depths: expected one each a stage"),
        ("vgg16", {"scaling": "zscore"}, "archs.vgg16.scaling = 'zscore': "),
        ("residual_cnn", {"image_size": 24}, "= 24: residual_cnn needs at least 32"),
        ("vgg19", {"image_size": 31}, "= 31: vgg19 needs at least 32"),
        ("basic_cnn", {"classes": ["happy"]}, "1 classes: basic_cnn needs at least 2"),
        ("basic_cnn", {"channels": 4}, "faces of 4 channels"),
        ("baseline_cnn", {"weights": "imagenet"}, "model.weights = 'imagenet': baseline_cnn has no preset"),
    ],
)
def test_wrong_argument_ends_in_one_line(name: str, arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(CandidError) as caught:
        build_model(name, **arguments)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["residual_cnn", "baseline_cnn", "plain_cnn", "self_built", "resnet18", "vgg11", "efficientnet_b0"],
)
def test_smallest_face(name: str) -> None:
    size = NETS[name].smallest
    model = build_model(name, image_size=size)
    faces = np.random.default_rng(0).integers(0, 256, (2, size, size, 1), dtype=np.uint8)
    one, other = outputs(model, faces)
    assert np.isfinite(one).all()
    assert not np.array_equal(one, other)
