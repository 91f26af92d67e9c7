"""Model files: a right one is read, any other ends in one line, and none runs code."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from candid.backend import use_backend
from candid.errors import CandidError
from candid.evaluation.model_file import check_classes, read_card
from candid.evaluation.predict import check_input, check_probabilities, load_model, predict

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CONFIG: dict[str, Any] = {
    "module": "keras",
    "class_name": "Functional",
    "config": {"layers": []},
    "registered_name": None,
}
CARD: dict[str, Any] = {"classes": ["angry", "happy", "sad"], "image_size": 24, "color": "grey"}


def archive(path: Path, **changed: Any) -> Path:
    """Write a .keras archive of the right entries; an entry given as None is left out."""
    entries = {"config.json": CONFIG, "candid.json": CARD, "model.weights.h5": b"weights"}
    entries |= {name.replace("__", "."): value for name, value in changed.items()}
    with zipfile.ZipFile(path, "w") as file:
        for name, value in entries.items():
            if value is not None:
                file.writestr(name, value if isinstance(value, bytes) else json.dumps(value))
    return path


def refusal(call: Callable[..., Any], *args: Any) -> str:
    with pytest.raises(CandidError) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Bomb:
    """Unpickled, it would leave a file behind."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


def test_the_card_is_read(tmp_path):
    card = read_card(archive(tmp_path / "m.keras", candid__json=CARD | {"epoch": 7, "later": "ignored"}))
    assert (card.classes, card.image_size, card.color, card.epoch) == (
        ["angry", "happy", "sad"],
        24,
        "grey",
        7,
    )


def test_a_pickle_is_neither_loaded_nor_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "m.keras"
    path.write_bytes(pickle.dumps(Bomb()))
    assert "not a .keras file" in refusal(read_card, path)
    with zipfile.ZipFile(path, "w") as file:  # as PyTorch packs one
        file.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    assert "without config.json" in refusal(read_card, path)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"candid__json": None}, "candid.json"),
        ({"config__json": None}, "config.json"),
        ({"model__weights__h5": None, "model.weights.h5": None}, "model.weights.h5"),
        ({"candid__json": b"{"}, "not JSON"),
        ({"candid__json": b"[" * 100_000}, "not JSON"),
        ({"candid__json": ["happy"]}, "candid.json"),
        ({"candid__json": CARD | {"classes": "happy"}}, "candid.json.classes"),
        ({"candid__json": CARD | {"image_size": "big"}}, "candid.json.image_size"),
        ({"candid__json": {"classes": ["a"]}}, "candid.json.image_size is missing"),
        ({"config__json": b"\xff\xfe"}, "config.json is not JSON"),
    ],
)
def test_an_archive_that_is_no_model_of_ours(tmp_path, changed, words):
    path = archive(tmp_path / "m.keras", **changed)
    message = refusal(read_card, path)
    assert words in message
    assert str(path) in message


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 cut", b"\x89HDF\r\n\x1a\n", "no model".encode("utf-16")]
)
def test_a_file_that_is_no_archive(tmp_path, content):
    (tmp_path / "m.keras").write_bytes(content)
    assert "not a .keras file" in refusal(read_card, tmp_path / "m.keras")


def test_missing_folder_truncated_damaged_and_bomb(tmp_path):
    assert "no such file" in refusal(read_card, tmp_path / "none.keras")
    assert "folder" in refusal(read_card, tmp_path)
    whole = archive(tmp_path / "m.keras").read_bytes()
    for end in range(0, len(whole), 37):
        (tmp_path / "m.keras").write_bytes(whole[:end])
        refusal(read_card, tmp_path / "m.keras")
    damaged = whole.replace(b'"class_name"', b'"class_nome"')
    (tmp_path / "m.keras").write_bytes(damaged)
    assert "CRC" in refusal(read_card, tmp_path / "m.keras") or "not a .keras" in refusal(
        read_card, tmp_path / "m.keras"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", json.dumps(CONFIG))
        file.writestr("candid.json", json.dumps(CARD))
        file.writestr("model.weights.h5", bytes(20_000_000))
    (tmp_path / "m.keras").write_bytes(packed.getvalue())
    assert "20000000 bytes" in refusal(read_card, tmp_path / "m.keras")


@pytest.mark.parametrize(
    "layer",
    [
        {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "code"}},
        {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp/x"}},
        {"module": "os", "class_name": "system", "config": {}},
        {"module": "candid.training.nets", "class_name": "Own", "config": {}},
        {"module": 7, "class_name": "Dense", "config": {}},
        {"module": "kerasevil.layers", "class_name": "Dense", "config": {}},
    ],
)
def test_code_in_the_configuration_is_refused_before_keras_sees_it(tmp_path, layer):
    nested = CONFIG | {"config": {"layers": [{"deep": [layer]}]}}
    message = refusal(read_card, archive(tmp_path / "m.keras", config__json=nested))
    assert layer["class_name"] in message
    assert "expected layers of Keras" in message


def test_another_class_list_is_named_with_both():
    card = type("Card", (), {"classes": ["sad", "happy"]})()
    message = refusal(check_classes, card, ["happy", "sad"], "m.keras")
    assert "sad, happy" in message
    assert "has happy, sad" in message


def test_a_model_is_loaded_and_asked_for_what_it_takes(tmp_path, bare_model, add_card):
    keras = use_backend("tensorflow")
    faces = np.zeros((2, 24, 24), np.uint8)
    cases: list[tuple[int, tuple[int, ...], dict[str, Any], str | None]] = [
        (24, (), {}, None),
        (24, (1,), {}, None),
        (24, (3,), {"color": "rgb"}, "data/faces.npy is grey"),
        (24, (), {"color": "rgb"}, "data/faces.npy is grey"),
        (32, (), {"image_size": 32}, "takes 32 x 32 px; data/faces.npy holds 24 x 24 px"),
        (20, (), {"image_size": 20}, "takes 20 x 20 px"),
        (20, (), {"image_size": 24}, None),
    ]
    for number, (size, channels, changes, words) in enumerate(cases):
        path = Path(shutil.copy(bare_model(size=size, channels=channels), tmp_path / f"{number}.keras"))
        add_card(path, **changes)
        card = read_card(path)
        model = load_model(keras, path, card)
        if words:
            assert words in refusal(check_input, model, card, faces, "none", path)
        else:
            check_input(model, card, faces, "none", path)
        if size == 20:  # ten_crop makes crops for it, whatever it was trained on
            check_input(model, card, faces, "ten_crop", path)


def test_a_model_that_keras_cannot_rebuild(tmp_path, bare_model, add_card):
    keras = use_backend("tensorflow")
    path = archive(tmp_path / "m.keras")
    assert "Keras can't load it" in refusal(load_model, keras, path, read_card(path))
    path = Path(shutil.copy(bare_model(), tmp_path / "four.keras"))
    add_card(path, classes=["a", "b", "c", "d"])
    assert "gives (None, 3); expected (None, 4)" in refusal(load_model, keras, path, read_card(path))


@pytest.mark.parametrize(
    "row",
    [[0.5, 0.4], [2.0, -1.0], [np.nan, 0.5], [np.inf, 0.0], [7.0, 3.0]],
    ids=["sum", "negative", "nan", "inf", "raw"],
)
def test_outputs_that_are_no_probabilities_name_the_face(row):
    message = refusal(check_probabilities, np.array([[0.5, 0.5], row]), np.array([4, 9]))
    assert "for face 9" in message


def test_a_model_that_fails_at_work_ends_in_one_line():
    class Failing:
        input_shape = (None, 8, 8)

        def predict_on_batch(self, batch: np.ndarray) -> np.ndarray:
            raise RuntimeError("OOM when allocating\ntensor")

    faces = np.zeros((3, 8, 8), np.uint8)
    message = refusal(predict, Failing(), faces, np.arange(3), "none")
    assert message == "the model fails on a batch of 3 faces: OOM when allocating tensor"


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert "KERAS_BACKEND=jax" in refusal(use_backend, "tensorflow")
    monkeypatch.delenv("KERAS_BACKEND")
    assert "torch is not installed" in refusal(use_backend, "torch")
