"""The model file: equal weights give equal bytes; it says what it is and which faces it has seen."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from candid.errors import CandidError
from candid.training.lineage import (
    ABOUT,
    ANCESTORS,
    TRAINED_ON,
    ancestor_digests,
    digests,
    lineage,
    read_about,
    seen_digests,
)
from candid.training.save import initial_weights, start_from, write_model
from tests.training import tiny_net

CLASSES = ["happy", "sad", "neutral"]
CARD = {"classes": CLASSES, "image_size": 12, "color": "grey"}
FACES = np.random.default_rng(0).integers(0, 256, (12, 4, 4), dtype=np.uint8)
SMALL = {"image_size": 4, "color": "grey"}


def built(**options: Any) -> Any:
    keras.utils.set_random_seed(3)
    keras.backend.clear_session()
    return tiny_net.build(**options)


def test_equal_weights_give_equal_bytes_and_others_others(tmp_path, monkeypatch):
    """Written twice, from two nets, at different times."""
    write_model(tmp_path / "a.keras", built(), CARD)
    net = built()
    monkeypatch.setattr("time.time", lambda: 2e9)
    write_model(tmp_path / "b.keras", net, CARD)
    written = (tmp_path / "a.keras").read_bytes()
    assert written == (tmp_path / "b.keras").read_bytes()
    faces = tiny_net.faces().faces[:3]
    assert np.array_equal(keras.saving.load_model(tmp_path / "a.keras")(faces), net(faces))
    net.get_layer("head_dense").bias.assign([1, 2, 3])
    write_model(tmp_path / "b.keras", net, CARD)
    assert written != (tmp_path / "b.keras").read_bytes()
    assert read_about(tmp_path / "a.keras") == CARD
    with zipfile.ZipFile(tmp_path / "a.keras") as file:
        assert "date_saved" not in json.loads(file.read("metadata.json"))
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.fixture
def earlier(tmp_path):
    net = built()
    for number, weight in enumerate(net.weights):
        weight.assign(np.full(weight.shape, number + 1))
    path = tmp_path / "earlier.keras"
    write_model(path, net, CARD)
    return path


@pytest.mark.parametrize("classes", [["happy", "sad"], ["sad", "happy", "neutral"]])
def test_a_run_starts_from_an_earlier_model_and_with_other_classes_the_head_is_new(earlier, classes):
    net = built()
    start_from(net, earlier, CLASSES)
    assert [weight.numpy().max() for weight in net.weights] == list(range(1, len(net.weights) + 1))
    net = built(classes=len(classes))
    fresh = net.get_layer("head_dense").get_weights()
    start_from(net, earlier, classes)
    for weights, drawn in zip(net.get_layer("head_dense").get_weights(), fresh, strict=True):
        assert np.array_equal(weights, drawn)
    assert (net.get_layer("body").kernel.numpy() == 1).all()


def test_what_does_not_fit_is_refused_in_one_line(earlier):
    with pytest.raises(CandidError, match="shape"):
        start_from(built(channels=3), earlier, CLASSES)
    smaller = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(CandidError, match="weights, but the net has"):
        start_from(smaller, earlier, CLASSES)


def test_weights_come_from_a_file_a_preset_or_nowhere(earlier, tmp_path):
    (tmp_path / "preset").mkdir()
    (tmp_path / "preset/config.json").write_text("{}")
    assert initial_weights(None) == (None, None, [])
    assert initial_weights("imagenet") == ("imagenet", None, [])
    assert initial_weights(str(earlier)) == (None, earlier, [earlier])
    folder = str(tmp_path / "preset")
    assert initial_weights(folder) == (folder, None, [tmp_path / "preset/config.json"])


def write(path: Path, about: dict[str, Any], entries: dict[str, bytes]) -> Path:
    """Stands for a .keras file."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(ABOUT, json.dumps(about))
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def model(path: Path, rows: slice, start: Path | None = None, about: dict[str, Any] = SMALL) -> Path:
    return write(path, *lineage(about, FACES[rows], start))


def same(found: Any, rows: slice) -> bool:
    return np.array_equal(found, np.unique(digests(FACES[rows])))


def test_what_a_model_has_seen_goes_on_from_file_to_file(tmp_path):
    first = model(tmp_path / "first.keras", slice(0, 4))
    assert same(seen_digests(first), slice(0, 4))
    assert not len(ancestor_digests(first))
    second = model(tmp_path / "second.keras", slice(3, 6), first)
    third = model(tmp_path / "third.keras", slice(8, 9), second)
    assert same(ancestor_digests(second), slice(0, 4))
    assert same(ancestor_digests(third), slice(0, 6))
    about = lineage(SMALL, FACES[:1], second)[0]["started_from"]
    assert (about["file"], about["faces"], len(about["md5"])) == ("second.keras", "known", 32)
    np.testing.assert_array_equal(digests(FACES), digests(FACES[..., None]))


def test_an_older_file_and_faces_of_another_size_are_unknown_and_said_so(tmp_path):
    older = write(tmp_path / "older.keras", SMALL, {})
    about, entries = lineage(SMALL, FACES, older)
    assert about["started_from"]["faces"] == "unknown"
    assert ANCESTORS not in entries
    larger = model(tmp_path / "larger.keras", slice(0, 4), about={**SMALL, "image_size": 96})
    assert lineage(SMALL, FACES, larger)[0]["started_from"]["faces"] == "unknown"


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_a_damaged_entry_ends_in_one_line(tmp_path, content):
    path = write(tmp_path / "bad.keras", SMALL, {TRAINED_ON: content, ANCESTORS: content})
    for read in (seen_digests, ancestor_digests):
        with pytest.raises(CandidError, match=r"bad\.keras: candid-(faces|earlier)\.npy is no"):
            read(path)
