from __future__ import annotations

import json
import zipfile

import keras
import numpy as np
import pytest

from candid.errors import CandidError
from candid.training.lineage import read_about
from candid.training.save import write_model
from candid.training.weights import start_from
from tests.training import tiny_net

CLASSES = ["happy", "sad", "neutral"]
ABOUT = {"classes": CLASSES, "image_size": 12, "color": "grey"}


def built(**options):
    keras.utils.set_random_seed(3)
    keras.backend.clear_session()
    return tiny_net.build(**options)


def test_equal_weights_give_equal_bytes_and_keras_loads_them(tmp_path, monkeypatch):
    """Written twice, from two nets, at different times."""
    write_model(tmp_path / "a.keras", built(), ABOUT)
    other = built()
    monkeypatch.setattr("time.time", lambda: 2e9)
    write_model(tmp_path / "b.keras", other, ABOUT)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    faces = tiny_net.faces().faces[:3]
    assert np.array_equal(loaded(faces), other(faces))


def test_the_file_says_what_it_is_for_and_not_when(tmp_path):
    path = tmp_path / "a.keras"
    write_model(path, built(), ABOUT)
    assert read_about(path) == ABOUT
    with zipfile.ZipFile(path) as file:
        assert "date_saved" not in json.loads(file.read("metadata.json"))
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_other_weights_give_other_bytes(tmp_path):
    net = built()
    write_model(tmp_path / "a.keras", net, ABOUT)
    net.get_layer("head").bias.assign([1, 2, 3])
    write_model(tmp_path / "b.keras", net, ABOUT)
    assert (tmp_path / "a.keras").read_bytes() != (tmp_path / "b.keras").read_bytes()


@pytest.fixture
def earlier(tmp_path):
    net = built()
    for number, weight in enumerate(net.weights):
        weight.assign(np.full(weight.shape, number + 1))
    path = tmp_path / "earlier.keras"
    write_model(path, net, ABOUT)
    return path


def test_a_run_starts_from_an_earlier_model(earlier):
    net = built()
    start_from(net, earlier, CLASSES)
    assert [weight.numpy().max() for weight in net.weights] == list(range(1, len(net.weights) + 1))


@pytest.mark.parametrize("classes", [["happy", "sad"], ["sad", "happy", "neutral"]])
def test_with_other_classes_the_head_is_new(earlier, classes):
    net = built(classes=len(classes))
    fresh = net.get_layer("head").get_weights()
    start_from(net, earlier, classes)
    assert all(np.array_equal(a, b) for a, b in zip(net.get_layer("head").get_weights(), fresh, strict=True))
    assert (net.get_layer("body").kernel.numpy() == 1).all()


def test_what_does_not_fit_is_told_in_one_line(earlier, tmp_path):
    with pytest.raises(CandidError, match="no such file"):
        start_from(built(), tmp_path / "nothing.keras", CLASSES)
    with pytest.raises(CandidError, match="shape"):
        start_from(built(channels=3), earlier, CLASSES)
    smaller = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(CandidError, match="weights, but the net has"):
        start_from(smaller, earlier, CLASSES)
    plain = tmp_path / "plain.keras"
    built().save(plain)
    with pytest.raises(CandidError, match=r"no candid\.json"):
        start_from(built(), plain, CLASSES)
    text = tmp_path / "text.keras"
    text.write_text("not a model")
    with pytest.raises(CandidError, match="not a Keras model"):
        start_from(built(), text, CLASSES)
