"""Weights of keras-hub's presets: a small one made here, one that does not fit, and no hub in reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from candid.errors import CandidError
from candid.training.nets import NETS, body_layers, build_model, resnet
from candid.training.nets.parts import IMAGENET

FACES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), dtype=np.uint8)
SMALL = [64, 8, 8, 8]


@pytest.fixture(autouse=True)
def _small_resnet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make resnet18 narrow, so that its preset is a small file."""
    monkeypatch.setitem(resnet.COMMON, "stackwise_num_filters", SMALL)


def backbone(blocks: int = 2) -> Any:
    """A body with random weights and statistics, as keras-hub itself builds it."""
    keras.utils.set_random_seed(1)
    made = keras_hub.models.ResNetBackbone(
        **resnet.COMMON, stackwise_num_blocks=[2, 2, 2, blocks], block_type="basic_block"
    )
    rng = np.random.default_rng(1)
    made.set_weights(
        [rng.uniform(0.1, 0.3, weight.shape) - 0.1 * (weight.ndim > 1) for weight in made.weights]
    )
    return made


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preset") / "resnet_small"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(resnet.COMMON, "stackwise_num_filters", SMALL)
        backbone().save_to_preset(str(folder))
    return folder


def assert_body_is(model: Any, source: Any) -> None:
    """Compare the maps that both make of the same faces, prepared by hand for keras-hub's."""
    mean, std = IMAGENET[3]
    prepared = ((FACES.repeat(3, axis=3) / 255 - mean) / std).astype(np.float32)
    below = keras.Model(model.input, model.get_layer("head_average").input)
    expected = np.asarray(source(prepared, training=False))
    assert np.ptp(expected) > 0
    given = np.asarray(below(FACES, training=False))
    np.testing.assert_allclose(given, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_weights_of_a_folder(preset: Path) -> None:
    assert_body_is(build_model("resnet18", image_size=32, weights=str(preset)), backbone())


def test_head_stays_new_and_names_stay(preset: Path) -> None:
    keras.utils.set_random_seed(0)
    plain = build_model("resnet18", image_size=32)
    keras.utils.set_random_seed(0)
    loaded = build_model("resnet18", image_size=32, weights=str(preset))
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in plain.layers]
    one, other = (model.get_layer("head_logits").get_weights() for model in (plain, loaded))
    np.testing.assert_array_equal(one[0], other[0])


def test_imagenet_asks_for_the_nets_own_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetched(preset: str) -> Any:
        asked.append(preset)
        return backbone()

    monkeypatch.setattr(keras_hub.models.Backbone, "from_preset", fetched)
    assert_body_is(build_model("resnet18", image_size=32, weights="imagenet"), backbone())
    assert asked == ["resnet_18_imagenet"]


def test_keras_hub_knows_each_preset() -> None:
    known = keras_hub.models.Backbone.presets
    wanted = {name: net.preset for name, net in NETS.items() if net.preset}
    assert len(wanted) == 6
    assert not [name for name, preset in wanted.items() if preset not in known]


def test_no_hub_in_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(preset: str) -> Any:
        raise ConnectionError("Failed to resolve\n'www.kaggle.com'")

    monkeypatch.setattr(keras_hub.models.Backbone, "from_preset", unreachable)
    with pytest.raises(CandidError) as caught:
        build_model("resnet18", image_size=32, weights="imagenet")
    line = str(caught.value)
    assert "resnet_18_imagenet" in line
    assert "www.kaggle.com" in line
    assert line.endswith("set model.weights: null to train from scratch")
    assert "\n" not in line


def test_preset_of_another_body(tmp_path: Path) -> None:
    backbone(blocks=1).save_to_preset(str(tmp_path / "shallow"))
    with pytest.raises(CandidError, match=r"layer 'stack3_block1_1_bn' differs: expected .* resnet18"):
        build_model("resnet18", image_size=32, weights=str(tmp_path / "shallow"))


@pytest.mark.parametrize("content", [None, "{}", "no json"])
def test_folder_without_a_preset(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(CandidError, match=r"^params\.yaml: model\.weights = .*preset"):
        build_model("resnet18", image_size=32, weights=str(tmp_path))


def test_frozen_body_keeps_its_statistics_in_training(preset: Path) -> None:
    model = build_model("resnet18", image_size=32, weights=str(preset))
    for layer in body_layers(model):
        layer.trainable = False
    below = keras.Model(model.input, model.get_layer("head_average").input)
    np.testing.assert_array_equal(
        np.asarray(below(FACES, training=True)), np.asarray(below(FACES, training=False))
    )
