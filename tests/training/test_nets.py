"""Every net: its size, what goes in and comes out, a step of training, a file, the docs, presets."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest
from keras import layers
from skimage.feature import hog

from candid.errors import CandidError
from candid.training.nets import BUILDERS, body_layers, build_model, hub
from candid.training.nets.hog import LUMA
from candid.training.nets.parts import IMAGENET
from candid.training.settings import NETS
from tests.conftest import REPOSITORY, refusal

TRAINABLE = {  # bah2022, Table 1; qutub2023, Table 10
    "residual_cnn": 9_766_391,
    "baseline_cnn": 1_672_775,
    "resnet18": 11_180_103,
    "vgg16": 33_625_927,
    "vgg19": 45_227_079,
    "efficientnet_b0": 4_016_515,
}
RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 256, (4, 48, 48, 1), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 6])
COLOUR = RNG.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
GREY = COLOUR[..., :1]
STANDARD = {"name": "standard", "mean": 0.5, "std": 0.25}


@pytest.fixture(scope="module", params=NETS)
def net(request: pytest.FixtureRequest) -> Any:
    """One net after the other, each built once."""
    keras.utils.set_random_seed(0)
    return build_model(request.param)


BODIES = [name for name in NETS if name not in ("basic_cnn", "resnet50", "vgg11", "vgg16")]
"""One of those that one function builds."""
each_body = pytest.mark.parametrize("net", BODIES, indirect=True)
each_trained_body = pytest.mark.parametrize("net", [x for x in BODIES if x != "hog_svm"], indirect=True)


@pytest.fixture
def small_resnet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resnet18 that is narrow and has half of the blocks."""
    monkeypatch.setitem(hub.RESNET, "stackwise_num_filters", [64, 8, 8, 8])
    small = partial(hub.resnet, blocks=(1, 1, 1, 1), block_type="basic_block")
    monkeypatch.setitem(BUILDERS, "resnet18", small)


def count(weights: list[Any]) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


def outputs(model: Any, faces: Any) -> Any:
    return np.asarray(model(faces, training=False))


def weights_of(some: list[Any]) -> list[Any]:
    return [weight for layer in some for weight in layer.get_weights()]


def multiply_adds(net: Any) -> int:
    """Of the convolutions and fully connected layers, for one face forward."""
    total = 0
    for layer in net.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
            positions = np.prod(layer.output.shape[1:-1]) if layer.kernel.ndim == 4 else 1
            total += int(positions * np.prod(layer.kernel.shape))
    return total


def test_the_size_is_the_published_one_and_that_of_the_docs(net: Any) -> None:
    assert count(net.trainable_weights) == TRAINABLE.get(net.name, count(net.trainable_weights))
    page = (REPOSITORY / "docs/nets.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{net.name}` \|.*$", page, re.M)
    assert row, f"docs/nets.md: no row for {net.name}"
    cells = [cell.strip() for cell in row.group().strip("|").split("|")]
    sizes = [f"{count(net.trainable_weights):,}", f"{count(net.weights):,}"]
    assert cells[2:5] == [*sizes, f"{multiply_adds(net) / 1e6:.1f} M"]


def test_grey_bytes_to_probabilities(net: Any) -> None:
    assert net.input.dtype == "uint8"
    given = outputs(net, FACES)
    assert given.shape == (4, 7)
    assert given.dtype == np.float32
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(given, axis=0).max() > 1e-6  # depends on the face
    np.testing.assert_array_equal(given, outputs(net, FACES[..., 0]))


@each_body
def test_a_file_loads_with_keras_alone(net: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    net.save(path)
    with zipfile.ZipFile(path) as file:
        config = json.loads(file.read("config.json"))
    assert {layer["module"] for layer in config["config"]["layers"]} == {"keras.layers"}
    loaded = keras.models.load_model(path, safe_mode=True)
    path.unlink()
    np.testing.assert_array_equal(outputs(loaded, FACES), outputs(net, FACES))
    assert [layer.name for layer in body_layers(loaded)] == [layer.name for layer in body_layers(net)]


def test_batch_norm_follows_within_an_epoch_of_13_steps(net: Any) -> None:
    momenta = {layer.momentum for layer in net.layers if isinstance(layer, layers.BatchNormalization)}
    assert momenta == (set() if net.name.startswith(("vgg", "hog")) else {0.9})


@each_trained_body
def test_a_frozen_body_stays_and_a_thawed_one_learns(net: Any) -> None:
    body = body_layers(net)
    head = [layer for layer in net.layers if layer.weights and layer not in body]
    try:
        for frozen in (True, False):
            for layer in body:
                layer.trainable = not frozen
            net.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", run_eagerly=True)
            before = weights_of(body), weights_of(head)
            net.train_on_batch(FACES, LABELS)
            after = weights_of(body), weights_of(head)
            same = [np.array_equal(a, b) for a, b in zip(before[0], after[0], strict=True)]
            assert all(same) if frozen else not any(same)  # kernels, and statistics of batch norm
            assert not any(np.array_equal(a, b) for a, b in zip(before[1], after[1], strict=True))
    finally:
        for layer in body:
            layer.trainable = True


@pytest.mark.usefixtures("small_resnet")
@pytest.mark.parametrize("name", ["baseline_cnn", "resnet18"])
def test_the_same_seed_gives_the_same_net_and_file(name: str) -> None:
    made = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        made.append(build_model(name, image_size=32))
    for one, other in zip(made[0].get_weights(), made[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert json.dumps(made[0].get_config()) == json.dumps(made[1].get_config())


@pytest.mark.usefixtures("small_resnet")
@pytest.mark.parametrize("name", ["baseline_cnn", "resnet18"])
def test_colour_faces_and_grey_ones_repeated_for_a_body_of_three_channels(name: str) -> None:
    colour = build_model(name, image_size=32, channels=3, classes=["happy", "sad"])
    given = outputs(colour, COLOUR)
    assert given.shape == (3, 2)
    assert np.isfinite(given).all()
    if name == "resnet18":
        grey = build_model(name, image_size=32, classes=2)
        colour.set_weights(grey.get_weights())
        np.testing.assert_allclose(outputs(grey, GREY), outputs(colour, GREY.repeat(3, axis=3)), atol=1e-6)


@pytest.mark.parametrize(
    ("size", "channels", "own"),
    [(48, 1, {}), (44, 1, {"cell": 7, "block": 3}), (48, 1, {"orientations": 8, "cell": 6}), (32, 3, {})],
)
def test_hog_is_that_of_scikit_image(size: int, channels: int, own: dict[str, Any]) -> None:
    """Eight bins have edges at 45 degrees, on which gradients of whole grey levels lie; one face is flat."""
    model = build_model("hog_svm", image_size=size, channels=channels, **own)
    faces = RNG.integers(0, 256, (9, size // 4, size // 4, channels)).repeat(4, axis=1).repeat(4, axis=2)
    faces = faces // 2 + RNG.integers(0, 2, (9, size, size, channels))
    faces[0] = 7
    grey = faces @ (np.array(LUMA) if channels == 3 else np.ones(1))
    sides = [(own.get(name, default),) * 2 for name, default in (("cell", 8), ("block", 2))]
    expected = [hog(face, own.get("orientations", 9), *sides, "L2-Hys") for face in grey]
    below = keras.Model(model.input, model.get_layer("head_logits").input)
    np.testing.assert_allclose(outputs(below, faces.astype(np.uint8)), expected, atol=1e-5)


def test_counts_hold_for_crops() -> None:
    assert count(build_model("vgg16", image_size=40).trainable_weights) == TRAINABLE["vgg16"]


@pytest.mark.parametrize(
    ("scaling", "channels", "mean", "std"),
    [
        ("unit", 1, 0.0, 1.0),
        (STANDARD, 1, 0.5, 0.25),
        (STANDARD, 3, 0.5, 0.25),
        ("imagenet", 1, 0.449, 0.226),
        ("imagenet", 3, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ],
)
def test_scaling(scaling: Any, channels: int, mean: Any, std: Any) -> None:
    small: dict[str, Any] = {"image_size": 32, "widths": [4], "depths": [1]}
    model = build_model("plain_cnn", channels=channels, scaling=scaling, **small)
    faces = COLOUR if channels == 3 else GREY
    below = keras.Model(model.input, model.get_layer("scaling").output)
    np.testing.assert_allclose(outputs(below, faces), (faces / 255 - mean) / std, rtol=1e-5, atol=1e-5)


def test_plain_cnn_has_the_stages_that_are_set() -> None:
    model = build_model("plain_cnn", image_size=32, widths=[8, 16, 24], depths=[1, 3, 2])
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == [8, 16, 16, 16, 24, 24]
    assert [layer.output.shape[1] for layer in convolutions] == [32, 16, 16, 16, 8, 8]


@pytest.mark.usefixtures("small_resnet")
@pytest.mark.parametrize("name", ["basic_cnn", "resnet18"])
def test_momentum_reaches_every_batch_norm(name: str) -> None:
    model = build_model(name, image_size=32, batch_norm_momentum=0.5)
    momenta = [layer.momentum for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    assert len(momenta) > 5
    assert set(momenta) == {0.5}


@pytest.mark.usefixtures("small_resnet")
@pytest.mark.parametrize("name", ["baseline_cnn", "resnet18"])
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


def test_dropout_of_bah2022_is_higher_in_the_whole_last_block() -> None:
    rates = [one.rate for one in build_model("residual_cnn").layers if isinstance(one, layers.Dropout)]
    assert rates == [0.3, 0.3, 0.3, 0.3, 0.4, 0.4]


@pytest.mark.parametrize(
    ("after", "skip", "more"), [([], "conv", 0), ([2], "identity", 0), ([1, 4], "conv", 2)]
)
def test_residual_blocks_stand_where_they_are_set(after: list[int], skip: str, more: int) -> None:
    model = build_model("residual_cnn", image_size=32, residual_after=after, skip=skip)
    names = [layer.name for layer in model.layers]
    assert [name for name in names if name.endswith("_add")] == [f"residual{number}_add" for number in after]
    assert sum(name.endswith("_skip_conv") for name in names) == more


@pytest.mark.parametrize(
    "name",
    ["residual_cnn", "baseline_cnn", "plain_cnn", "self_built", "resnet18", "vgg11", "efficientnet_b0"],
)
def test_the_smallest_face_goes_through(name: str) -> None:
    size = NETS[name].smallest
    one, other = outputs(build_model(name, image_size=size), FACES[:2, :size, :size])
    assert np.isfinite(one).all()
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "arguments", "line"),
    [
        ("resnet19", {}, "model.arch = 'resnet19': expected one of " + ", ".join(NETS)),
        ("resnet18", {"drop": 0.1}, "unknown key archs.resnet18.drop; expected one of scaling, batch_norm"),
        ("vgg11", {"batch_norm_momentum": 0.9}, "unknown key archs.vgg11.batch_norm_momentum"),
        ("residual_cnn", {"dropout": 1.0}, "archs.residual_cnn.dropout = 1.0: "),
        ("self_built", {"widths": [32]}, "archs.self_built.widths = [32]: "),
        ("residual_cnn", {"image_size": 24}, "= 24: residual_cnn needs at least 32"),
        ("basic_cnn", {"classes": ["happy"]}, "1 classes: basic_cnn needs at least 2"),
        ("basic_cnn", {"channels": 4}, "faces of 4 channels"),
        ("hog_svm", {"cell": 32}, "a block of 2 x 2 cells of 32 px: expected at most the face's side of 48"),
        ("baseline_cnn", {"weights": "imagenet"}, "model.weights = 'imagenet': baseline_cnn has no preset"),
    ],
)
def test_a_wrong_argument_ends_in_one_line(name: str, arguments: dict[str, Any], line: str) -> None:
    assert line in refusal(build_model, name, **arguments)


def backbone(blocks: int = 1) -> Any:
    """A body with random weights and statistics, as keras-hub itself builds it."""
    keras.utils.set_random_seed(1)
    made = keras_hub.models.ResNetBackbone(
        **hub.RESNET, stackwise_num_blocks=[1, 1, 1, blocks], block_type="basic_block"
    )
    rng = np.random.default_rng(1)
    values = [rng.uniform(0.1, 0.3, weight.shape) - 0.1 * (weight.ndim > 1) for weight in made.weights]
    made.set_weights(values)
    return made


@pytest.fixture
def preset(tmp_path: Path, small_resnet: None) -> Path:
    """A preset of the small resnet18."""
    backbone().save_to_preset(str(tmp_path / "small"))
    return tmp_path / "small"


def assert_body_is(model: Any, source: Any) -> None:
    """Compare the maps that both make of the same faces, prepared by hand for keras-hub's."""
    mean, std = IMAGENET[3]
    prepared = ((GREY.repeat(3, axis=3) / 255 - mean) / std).astype(np.float32)
    below = keras.Model(model.input, model.get_layer("head_average").input)
    expected = np.asarray(source(prepared, training=False))
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(outputs(below, GREY), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_weights_of_a_preset_go_into_the_body_and_the_head_stays_new(preset: Path) -> None:
    keras.utils.set_random_seed(0)
    plain = build_model("resnet18", image_size=32)
    keras.utils.set_random_seed(0)
    loaded = build_model("resnet18", image_size=32, weights=str(preset))
    assert_body_is(loaded, backbone())
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in plain.layers]
    one, other = (model.get_layer("head_logits").get_weights() for model in (plain, loaded))
    np.testing.assert_array_equal(one[0], other[0])
    for layer in body_layers(loaded):
        layer.trainable = False
    below = keras.Model(loaded.input, loaded.get_layer("head_average").input)
    frozen = np.asarray(below(GREY, training=True))  # on the statistics that it came with
    np.testing.assert_array_equal(frozen, np.asarray(below(GREY, training=False)))


@pytest.mark.usefixtures("small_resnet")
def test_imagenet_asks_for_the_nets_own_preset_or_says_that_no_hub_is_in_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def fetch(preset: str) -> Any:
        asked.append(preset)
        if len(asked) > 1:
            raise ConnectionError("Failed to resolve\n'www.kaggle.com'")
        return backbone()

    known = keras_hub.models.Backbone.presets
    assert sum(net.preset in known for net in NETS.values()) == 6
    monkeypatch.setattr(keras_hub.models.Backbone, "from_preset", fetch)
    assert_body_is(build_model("resnet18", image_size=32, weights="imagenet"), backbone())
    assert asked == ["resnet_18_imagenet"]
    line = refusal(build_model, "resnet18", image_size=32, weights="imagenet")
    assert "resnet_18_imagenet" in line
    assert "www.kaggle.com" in line
    assert line.endswith("set model.weights: null to train from scratch")


@pytest.mark.parametrize("content", ["other body", "tokenizer", None, "{}", "no json"])
def test_a_folder_without_this_nets_preset_is_refused(preset: Path, content: str | None) -> None:
    line, path = r"config\.json", preset.parent / "other/config.json"
    path.parent.mkdir()
    if content == "other body":
        backbone(blocks=2).save_to_preset(str(path.parent))
        line = r"layer 'stack3_block1_1_bn' differs: expected .* resnet18"
    elif content == "tokenizer":  # keras-hub would open the file
        shutil.copytree(preset, path.parent, dirs_exist_ok=True)
        config = json.loads(path.read_text())
        inner = {"module": "keras_hub.tokenizers", "class_name": "BytePairTokenizer", "registered_name": None}
        config["config"]["dtype"] = {**inner, "config": {"vocabulary": "/dev/zero"}}
        path.write_text(json.dumps(config))
        line = "names .*BytePairTokenizer.*; expected a keras-hub preset of one of"
    elif content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(CandidError, match=line):
        build_model("resnet18", image_size=32, weights=str(path.parent))
