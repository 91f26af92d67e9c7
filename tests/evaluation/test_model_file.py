"""Model files: a right one is loaded; any other ends in one line, runs nothing and takes no memory."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from candid.backend import use_backend
from candid.evaluation import hdf5_check
from candid.evaluation.model_file import load_model_file, read_card
from candid.evaluation.predict import check_input
from candid.training.save import write_model
from tests.conftest import refusal
from tests.predict.tiny_model import change

CARD: dict[str, Any] = {"classes": ["angry", "happy", "sad"], "image_size": 24, "color": "grey"}
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


@pytest.fixture
def model(tmp_path: Path, tiny: Callable[..., Path]) -> Path:
    """A right model file, its weights still unchecked."""
    return tiny(tmp_path / "m.keras")


def config_of(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as file:
        config: dict[str, Any] = json.loads(file.read(CONFIG))
    return config


def test_a_model_of_train_is_loaded_with_its_card(model):
    change(model, {"candid.json": CARD | {"best_epoch": 7, "later": "passed over"}})
    use_backend("tensorflow")
    loaded, card = load_model_file(model)
    assert loaded.output_shape == (None, 3)
    assert (card.classes, card.image_size, card.color, card.best_epoch) == (CARD["classes"], 24, "grey", 7)
    change(model, {"candid.json": CARD})
    assert read_card(model).best_epoch is None, "as of models from before"


def test_what_keras_drops_is_no_reason_to_refuse(model):
    """A compiled model: its optimiser is not loaded."""
    config = config_of(model) | {"compile_config": {"optimizer": {"class_name": "Nadam", "module": "keras"}}}
    read_card(change(model, {CONFIG: config}))


def npy_header(shape: tuple[int, ...]) -> bytes:
    """The beginning of an array of digests, without its numbers."""
    content = io.BytesIO()
    header = {"descr": "<u8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(content, header)
    return content.getvalue()


LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "code"}}
FUNCTION = {"module": "builtins", "class_name": "function", "config": "x", "registered_name": "function"}
WIDE = {"config": {"axis": 1}, "build_config": {"input_shape": [None, 10**8, 1, 1]}}


def layer(**changes: Any) -> Callable[[dict[str, Any]], None]:
    """Change the last layer but the softmax, a Dense."""
    return lambda config: config["config"]["layers"][-2].update(changes)


def setting(number: int = -2, **changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["config"]["layers"][number]["config"].update(changes)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (layer(class_name="TorchModuleWrapper"), "TorchModuleWrapper"),
        (layer(class_name="TextVectorization", config={"vocabulary": "/etc/passwd"}), "TextVectorization"),
        (layer(module="keras_hub.tokenizers", class_name="BytePairTokenizer"), "keras_hub.tokenizers"),
        (layer(module=None), "None.Dense"),  # the way of old files, which look a class up by name
        (layer(registered_name="other>Dense"), "Dense"),
        (layer(class_name=["Dense"]), "Dense"),
        (layer(class_name="\ud800"), "keras.layers."),
        (layer(class_name="Functional", module="keras.src.models.functional"), "Functional"),
        (setting(activation=FUNCTION), "builtins.function"),
        (setting(activation="get_file"), "activation 'get_file'"),
        (setting(kernel_initializer=LAMBDA), "Lambda"),
        (setting(deep=[{"deeper": [FUNCTION]}]), "builtins.function"),
        (setting(lora_rank=4), "lora_rank"),
        (setting(quantization_config={"mode": "int8"}), "quantization_config"),
        (setting(units=10**9), "weights"),
        (setting(units=10**30), "not the configuration"),
        (setting(units="3"), "not the configuration"),
        (layer(build_config={"input_shape": [None, 10**8]}), "weights"),
        (layer(build_config=None), "not the configuration"),
        (layer(class_name="Conv2D", config={"data_format": "channels_first"}), "not the configuration"),
        (layer(class_name="BatchNormalization", **WIDE), "its layers have 400,000,000 weights"),
        (lambda config: config["config"].update(layers=[{}] * 5000), "5000 layers"),
        (lambda config: config["config"].update(layers=7), "not the configuration"),
        (lambda config: config.update(class_name="Sequential", module="keras"), "Sequential"),
        (lambda config: config.update(registered_name="other>Functional"), "Functional"),
        (setting(0, batch_shape=[None, 20000, 20000]), "1024 px"),
    ],
)
def test_an_evil_configuration_is_refused_before_keras_sees_it(model, spoil, words):
    config = config_of(model)
    spoil(config)
    assert words in refusal(read_card, change(model, {CONFIG: config}))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({f"{number}": b"x" for number in range(20_000)}, "too many"),
        ({"candid-faces.npy": b"x"}, "candid-faces.npy is no array"),
        ({"candid-faces.npy": npy_header((10**11,))}, "candid-faces.npy is no list of digests"),
        ({CONFIG: b" " * 3_000_000}, "at most 2,097,152 are read"),
        ({CONFIG: []}, "not the configuration"),
        ({"candid.json": CARD | {"classes": "happy"}}, "candid.json.classes"),
        ({"candid.json": CARD | {"classes": ["a"] * 5000}}, "candid.json.classes"),
        ({"candid.json": CARD | {"classes": ["happy\n# Gate: pass"]}}, "candid.json.classes"),
        ({"candid.json": CARD | {"classes": ["\ud800"]}}, "candid.json.classes"),
        ({"candid.json": CARD | {"image_size": 20_000}}, "candid.json.image_size = 20000"),
        ({"candid.json": CARD | {"image_size": 10**30}}, "candid.json.image_size"),
        ({"candid.json": {"classes": ["a"]}}, "candid.json.image_size is missing"),
    ],
)
def test_an_archive_that_train_has_not_written_is_refused(model, changed, words):
    message = refusal(read_card, change(model, changed))
    assert words in message
    assert str(model) in message


class Bomb:
    """Unpickled, it would leave a file behind."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


def test_suffix_and_content_must_agree(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = model.read_bytes()
    h5 = Path(shutil.copy(model, tmp_path / "m.h5"))
    assert "ends in .keras" in refusal(read_card, h5), "Keras would take it for its old format"
    hdf5 = b"\x89HDF\r\n\x1a\n"
    for content in (b"", b"PK\x03\x04 cut", hdf5, hdf5 + whole, pickle.dumps(Bomb())):
        model.write_bytes(content)
        assert "not a .keras file" in refusal(read_card, model)
    with zipfile.ZipFile(model, "w") as file:  # as PyTorch packs one
        file.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    assert "archive/data.pkl" in refusal(read_card, model)
    assert not Path("ran").exists()


def test_missing_folder_pipe_device_cut_and_packed(model, tmp_path):
    assert "no such file" in refusal(read_card, tmp_path / "none.keras")
    assert "folder" in refusal(read_card, tmp_path)
    os.mkfifo(tmp_path / "pipe.keras")
    (tmp_path / "zero.keras").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):  # neither hangs nor fills memory
        assert "no such file" in refusal(read_card, tmp_path / f"{name}.keras")
    whole = model.read_bytes()
    for end in range(0, len(whole), len(whole) // 30):
        model.write_bytes(whole[:end])
        refusal(read_card, model)
    model.write_bytes(whole.replace(b'"batch_shape"', b'"batch_shame"'))
    assert "Bad CRC" in refusal(read_card, model)
    model.write_bytes(whole)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(model, "a") as file:
        file.writestr(CONFIG, "{}")
    assert "'config.json' too many" in refusal(read_card, model)
    model.write_bytes(whole)
    change(model, {WEIGHTS: bytes(10**7)}, zipfile.ZIP_DEFLATED)
    assert "packed its entry" in refusal(read_card, model)


def chunked(file: h5py.File) -> None:
    file.create_dataset("x", (30_000, 30_000), "f4", chunks=(100, 100))  # 3.6 GB in a few kB


def not_stored(file: h5py.File) -> None:
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    space = h5py.h5s.create_simple((30_000, 30_000))
    h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, layout)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((10, 10), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (10, 10))
    file.create_virtual_dataset("x", layout)


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (lambda file: file.update({"x": h5py.ExternalLink("/etc/passwd", "/")}), "link to another place"),
        (lambda file: file.update({"x": h5py.SoftLink("/")}), "link to another place"),
        (chunked, "chunked"),
        (not_stored, "3,600,000,000 bytes"),
        (lambda file: file.create_dataset("x", data=np.zeros(999), compression="gzip"), "chunked"),
        (lambda file: file.create_dataset("x", (9,), "f8", external=[("/etc/passwd", 0, 72)]), "another"),
        (virtual, "virtual"),
        (lambda file: file.create_dataset("x", data="text"), "no array of numbers"),
        (lambda file: file.create_dataset("x", data=file.ref, dtype=h5py.ref_dtype), "no array of numbers"),
        (lambda file: file.update({"x": np.dtype("f4")}), "no array of numbers"),
    ],
)
def test_evil_weights_are_refused(fill, words):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        fill(file)
    with pytest.raises(ValueError, match=words):
        hdf5_check.check(content.getvalue())


def test_plain_weights_pass_and_a_cycle_of_groups_ends():
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["layers/dense/vars/0"] = np.ones((3, 4), np.float16)
        file["layers/again"] = file["/"]
    hdf5_check.check(content.getvalue())


def test_weights_are_read_by_a_process_of_its_own(model, tmp_path, monkeypatch):
    use_backend("tensorflow")
    for code, words in (
        ("import os; os.kill(os.getpid(), 11)", "signal 11"),
        ("raise SystemExit('\\x1b[31mevil')", r"\x1b[31mevil"),
    ):
        (tmp_path / "script.py").write_text(code)
        monkeypatch.setattr(hdf5_check, "__file__", str(tmp_path / "script.py"))
        assert words in refusal(load_model_file, model)


def test_a_model_that_keras_cannot_rebuild_is_refused(model):
    use_backend("tensorflow")
    config = config_of(model)
    config["config"]["layers"][-1]["inbound_nodes"][0]["args"] = []
    assert "Keras can't load it" in refusal(load_model_file, change(model, {CONFIG: config}))


def test_a_layer_that_fills_memory_at_work_is_refused(tmp_path):
    keras = use_backend("tensorflow")
    faces = keras.Input((24, 24, 1), dtype="uint8")
    x = keras.layers.ZeroPadding2D(6000)(keras.layers.Rescaling(1 / 255)(faces))
    x = keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(x))
    write_model(tmp_path / "m.keras", keras.Model(faces, x), CARD)
    assert "too large" in refusal(load_model_file, tmp_path / "m.keras")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"channels": 1}, None),
        ({"channels": 3}, "the faces are grey"),
        ({"color": "rgb"}, "the faces are grey"),
        ({"size": 20}, "takes 20 x 20 px"),
        ({"size": 20, "image_size": 24}, None),
    ],
)
def test_a_model_takes_its_own_faces(tmp_path, tiny, kind, words):
    path, faces = tiny(tmp_path / "m.keras", **kind), np.zeros((2, 24, 24), np.uint8)
    model, card = load_model_file(path)
    if words:
        assert words in refusal(check_input, model, card, faces, "none", path)
    else:
        check_input(model, card, faces, "none", path)
    if kind.get("size") == 20:  # ten_crop makes crops for it, whatever it was trained on
        check_input(model, card, faces, "ten_crop", path)
