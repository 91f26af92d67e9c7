"""Every net: its size, what goes in and comes out, a step of training, a file, the table in the docs."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from benchmarks.operations import multiply_adds
from candid.settings import read_section, read_yaml
from candid.training.nets import NETS, SETTINGS, body_layers, build_model

ROOT = Path(__file__).parents[2]
TRAINABLE = {  # bah2022, Table 1; qutub2023, Table 10
    "residual_cnn": 9_766_391,
    "baseline_cnn": 1_672_775,
    "resnet18": 11_180_103,
    "vgg16": 33_625_927,
    "vgg19": 45_227_079,
    "efficientnet_b0": 4_016_515,
}
FACES = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 1), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 6])


@pytest.fixture(scope="module", params=NETS)
def net(request: pytest.FixtureRequest) -> Any:
    """One net after the other, each built once."""
    keras.utils.set_random_seed(0)
    return build_model(request.param)


def count(weights: list[Any]) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


def outputs(model: Any, faces: Any) -> Any:
    return np.asarray(model(faces, training=False))


def weights_of(some: list[Any]) -> list[Any]:
    return [weight for layer in some for weight in layer.get_weights()]


def test_counts(net: Any) -> None:
    if net.name in TRAINABLE:
        assert count(net.trainable_weights) == TRAINABLE[net.name]
    if net.name == "residual_cnn":
        assert count(net.weights) == 9_773_111


def test_docs_tell_the_size(net: Any) -> None:
    row = re.search(rf"^\| `{net.name}` \|.*$", (ROOT / "docs/nets.md").read_text(encoding="utf-8"), re.M)
    assert row, f"docs/nets.md: no row for {net.name}"
    cells = [cell.strip() for cell in row.group().strip("|").split("|")]
    sizes = [f"{count(net.trainable_weights):,}", f"{count(net.weights):,}"]
    assert cells[2:5] == [*sizes, f"{multiply_adds(net) / 1e6:.1f} M"]
    assert re.search(rf"^def {net.name}\(", (ROOT / cells[-1].strip("`")).read_text(encoding="utf-8"), re.M)


def test_grey_bytes_to_probabilities(net: Any) -> None:
    assert net.input.dtype == "uint8"
    given = outputs(net, FACES)
    assert given.shape == (4, 7)
    assert given.dtype == np.float32
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(given, axis=0).max() > 1e-6  # depends on the face
    np.testing.assert_array_equal(given, outputs(net, FACES[..., 0]))


def test_file_loads_with_keras_alone(net: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    net.save(path)
    with zipfile.ZipFile(path) as file:
        config = json.loads(file.read("config.json"))
    assert {layer["module"] for layer in config["config"]["layers"]} == {"keras.layers"}
    loaded = keras.models.load_model(path, safe_mode=True)
    path.unlink()
    expected = outputs(net, FACES)
    np.testing.assert_array_equal(outputs(loaded, FACES), expected)
    assert [layer.name for layer in body_layers(loaded)] == [layer.name for layer in body_layers(net)]


def test_batch_norm_follows_within_an_epoch_of_13_steps(net: Any) -> None:
    momenta = {layer.momentum for layer in net.layers if isinstance(layer, layers.BatchNormalization)}
    assert momenta == (set() if net.name.startswith("vgg") else {0.9})


def test_frozen_body_stays_and_thawed_body_learns(net: Any) -> None:
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


def test_params_holds_a_valid_section_for_each_net() -> None:
    assert list(read_yaml(ROOT / "params.yaml")["archs"]) == list(NETS)
    for name, kind in SETTINGS.items():
        read_section(f"archs.{name}", kind, ROOT / "params.yaml")
