"""The one way to load a model file: checked whole before Keras opens it, so that a stranger's runs no code.

Only what train writes passes: a zip with the entries of ENTRIES, layers of LAYERS, and as many weights as
these layers have. What is not promised stands in docs/reliability.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
import zipfile
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from candid.errors import CandidError, cannot_write, is_disk_fault
from candid.evaluation import hdf5_check
from candid.settings import Section, check
from candid.text import clean
from candid.training.lineage import ABOUT, ANCESTORS, TRAINED_ON, parse_digests

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
ENTRIES = {CONFIG, WEIGHTS, ABOUT, "metadata.json", TRAINED_ON, ANCESTORS}
LAYERS = {
    *("InputLayer", "Rescaling", "Conv2D", "DepthwiseConv2D", "Dense", "BatchNormalization", "Dropout"),
    *("Activation", "ReLU", "LeakyReLU", "Softmax", "Add", "Multiply", "Concatenate", "Flatten", "Reshape"),
    *("MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "ZeroPadding2D"),
    "UnitNormalization",
}
"""Layers that a model may have; a new net that needs another adds it here, and its weights to `_weights`."""
INITIALIZERS = {
    *("Zeros", "Ones", "Constant", "RandomNormal", "TruncatedNormal", "VarianceScaling"),
    *("GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform"),
}
ALLOWED = (
    {("keras.layers", name) for name in LAYERS}
    | {("keras.initializers", name) for name in INITIALIZERS}
    | {("keras", "DTypePolicy"), (None, "__keras_tensor__")}
)
"""Module and class of all objects that a configuration may name: none is a function, none opens a file."""
ACTIVATIONS = {
    *("linear", "relu", "relu6", "elu", "selu", "gelu", "silu", "swish", "tanh", "sigmoid", "softmax")
}
MAX_CONFIG_BYTES = 2 << 20  # the largest net of the registry needs 0.3 MiB
MAX_LAYERS = 2_000
MAX_SIDE = 1024  # pixels, of an image
MAX_VALUES = 1 << 27  # of the output of a layer for one face
Name = Annotated[str, Field(max_length=200, pattern=r"^\P{Cc}+$")]  # no control characters


class Start(Section):
    """What a model started from."""

    file: Name  # its name, without folders
    md5: Name
    faces: Literal["known", "unknown"]  # whether its file says which faces it had seen


class Card(Section, extra="ignore"):
    """Entry candid.json of the model file, written by train."""

    classes: list[Name] = Field(min_length=1, max_length=1000)  # in the order of the model's outputs
    image_size: int = Field(ge=1, le=MAX_SIDE)  # side of the faces that it was trained on, in pixels
    color: Literal["grey", "rgb"]
    best_epoch: int | None = Field(default=None, ge=1)  # whose weights these are, as plots/history.csv counts
    started_from: Start | None = None  # an earlier model; None: random weights, or a preset


def load_model_file(path: str | Path) -> tuple[Any, Card]:
    """Check a .keras file, load it in Keras's safe mode without its optimiser, and return it with its card.

    Choose the backend first (candid.backend.use_backend). The model takes uint8 faces, N x size x size, x 1
    or x 3, and gives N x K probabilities of `card.classes`. CandidError: not a model of train's (see
    read_card), Keras can't rebuild it, or it does not take faces or give one score a class. OSError,
    MemoryError: there is no room for the weights.
    """
    card = read_card(path)
    _check_weights(path)
    import keras

    try:
        with warnings.catch_warnings():  # Keras only warns where weights stay as they were drawn
            warnings.simplefilter("error", UserWarning)
            model = keras.models.load_model(str(path), compile=False, safe_mode=True)
    except MemoryError:
        raise
    except Exception as error:  # Keras raises whatever the layer at fault does
        if isinstance(error, OSError) and cannot_write(error):
            raise
        reason = clean(" ".join(str(error).split())[:200])
        raise CandidError(f"{path}: Keras can't load it: {reason}; expected a model made by train") from None
    gives, takes = getattr(model, "output_shape", None), getattr(model, "input_shape", None)
    if gives != (None, len(card.classes)):
        raise CandidError(f"{path}: gives {gives}; expected (None, {len(card.classes)}), one output a class")
    if not isinstance(takes, tuple) or takes[1:2] != takes[2:3] or takes[3:] not in ((), (1,), (3,)):
        raise CandidError(f"{path}: takes {takes}; expected faces: (None, size, size), x 1 or x 3")
    for layer in model.layers:
        if prod(shape := layer.output.shape[1:]) > MAX_VALUES:
            raise CandidError(f"{path}: layer {layer.name!r} gives {shape}: refused as too large")
    return model, card


def read_card(path: str | Path) -> Card:
    """Check all of a model file but its weights, and return its card; Keras is not needed.

    CandidError: no file, no .keras file (HDF5, a pickle), damaged, with other entries than train writes,
    without card, or with layers that are not in LAYERS.
    """
    try:
        with _open(Path(path)) as archive:
            check_config(_read_json(archive, CONFIG), archive.getinfo(WEIGHTS).file_size)
            for name in {TRAINED_ON, ANCESTORS} & set(archive.namelist()):
                parse_digests(archive.read(name), f"{path}: {name}")
            return check(ABOUT, Card, _read_json(archive, ABOUT), path)
    except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, OSError) as error:
        if is_disk_fault(error):
            raise
        damage = "" if isinstance(error, ValueError) else "not a .keras file, or damaged: "
        raise CandidError(f"{path}: {damage}{error}; expected a .keras model as train writes it") from None


def _open(path: Path) -> zipfile.ZipFile:
    """Open the archive if its entries are those of train, stored as they are so that none unpacks to more."""
    if not path.is_file():  # nothing is read from pipes and devices
        raise ValueError("a folder" if path.is_dir() else "no such file")
    if path.suffix != ".keras":
        raise CandidError(f"{path}: expected a model of train, whose name ends in .keras")
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":  # a zip may have anything in front, HDF5 say
            raise zipfile.BadZipFile("no zip archive")
    archive = zipfile.ZipFile(path)
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    problem = next((f"has no entry {name}" for name in (CONFIG, WEIGHTS, ABOUT) if name not in names), "")
    for entry in entries[: len(ENTRIES) + 1]:
        if entry.filename not in ENTRIES or names.count(entry.filename) > 1:
            problem = f"has an entry {entry.filename[:100]!r} too many"
        elif entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            problem = f"has packed its entry {entry.filename}"
    if problem:
        archive.close()
        raise ValueError(problem)
    return archive


def _read_json(archive: zipfile.ZipFile, name: str) -> Any:
    size = archive.getinfo(name).file_size
    if size > MAX_CONFIG_BYTES:
        raise ValueError(f"{name} is of {size:,} bytes; at most {MAX_CONFIG_BYTES:,} are read")
    try:
        return json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON: {error}") from None


def check_config(config: Any, weights_bytes: int) -> None:
    """Refuse a configuration with a class that is not in ALLOWED, or with other weights than the file holds.

    Keras's safe mode refuses code as well; that this comes first means that nothing is imported or called
    on the word of a stranger's file, and that no memory is taken for weights that are not there.
    """
    try:
        layers = config["config"]["layers"]
        kind = (config["module"], config["class_name"], config["registered_name"])
        if kind != ("keras.src.models.functional", "Functional", "Functional"):
            _refuse(config)
        if len(layers) > MAX_LAYERS:
            raise ValueError(f"{len(layers)} layers; at most {MAX_LAYERS} are read")
        waiting = [config["config"], config.get("build_config")]  # compile_config is dropped by Keras
        while waiting:
            value = waiting.pop()
            if isinstance(value, list):
                waiting.extend(value)
            elif isinstance(value, dict):
                waiting.extend(value.values())
                _check_object(value)
        weights = sum(map(_weights, layers))
    except (KeyError, TypeError, AttributeError, IndexError):
        raise ValueError(f"{CONFIG} is not the configuration of a model of train") from None
    if not 2 * weights <= weights_bytes <= 8 * weights + (1 << 14) * (len(layers) + 64):  # float16 to float64
        raise ValueError(f"its layers have {weights:,} weights; {WEIGHTS} is of {weights_bytes:,} bytes")


def _check_object(value: dict[str, Any]) -> None:
    name = value.get("class_name", value.get("registered_name"))
    allowed = isinstance(name, str) and (value.get("module"), name) in ALLOWED
    if name is not None and not (allowed and value.get("registered_name") in (None, name)):
        _refuse(value)
    activation = value.get("activation")
    if isinstance(activation, str) and activation not in ACTIVATIONS:
        raise ValueError(f"activation {activation[:100]!r} is none of {', '.join(sorted(ACTIVATIONS))}")
    for key in ("lora_rank", "quantization_config", "function", "fn", "custom_objects"):
        if value.get(key) is not None:
            raise ValueError(f"a layer with {key}")


def _refuse(value: dict[str, Any]) -> None:
    name = f"{value.get('module')}.{value.get('class_name')}"[:100]
    raise ValueError(f"holds {name!r}")


def _weights(layer: dict[str, Any]) -> int:
    """Count the weights that Keras makes for a layer; those of the wrong shape it refuses later."""
    name, settings = layer["class_name"], layer["config"]
    if layer["module"] != "keras.layers":
        _refuse(layer)
    if name == "InputLayer" and max(_size(side) for side in settings["batch_shape"][1:]) > MAX_SIDE:
        raise ValueError(f"takes {settings['batch_shape']}, above {MAX_SIDE} px")
    if name not in ("Dense", "Conv2D", "DepthwiseConv2D", "BatchNormalization"):
        return 0
    if settings.get("data_format", "channels_last") != "channels_last":
        raise TypeError
    channels = _size(layer["build_config"]["input_shape"][settings.get("axis", -1)])
    if name == "BatchNormalization":
        return 4 * channels
    if name == "Dense":
        return (channels + 1) * _size(settings["units"])
    kernel = prod(_size(side) for side in settings["kernel_size"])
    if name == "DepthwiseConv2D":
        return (kernel + 1) * channels * _size(settings["depth_multiplier"])
    return (kernel * channels // _size(settings["groups"]) + 1) * _size(settings["filters"])


def _size(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 1 << 30:
        raise TypeError
    return value


def _check_weights(path: str | Path) -> None:
    """Have the weights read by a process of its own, with bounds: a file can hit faults of HDF5."""
    with _open(Path(path)) as archive:
        content = archive.read(WEIGHTS)
    command = [sys.executable, "-I", hdf5_check.__file__]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        raise CandidError(f"{path}: {WEIGHTS} takes too long to read; expected plain arrays") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] if done.returncode > 0 else []
        reason = clean(said[0][:300]) if said else f"HDF5 ends by signal {-done.returncode}"
        raise CandidError(f"{path}: {WEIGHTS}: {reason}; expected plain arrays, as train writes them")


def check_classes(card: Card, classes: list[str], path: str | Path) -> None:
    """Stop unless the model's classes are those of the split, in the same order."""
    if card.classes != classes:
        own, others = f"a model of the classes {', '.join(card.classes)}", ", ".join(classes)
        raise CandidError(f"{path}: {own}; data/splits.csv has {others}: expected the same, train anew")
