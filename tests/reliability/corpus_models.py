"""Files that are no model of ours, refused before Keras opens them; test_corpus_models.py has the others."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.reliability.corpus import Case
from tests.reliability.corpus_archives import encrypted

PATH = "models/model.keras"
CLASSES = ["happy", "sad", "neutral"]  # of the tiny set, in the order of outputs
CARD = {"classes": CLASSES, "image_size": 24, "color": "grey", "best_epoch": 1}
PLAIN: dict[str, Any] = {
    "module": "keras.src.models.functional",
    "class_name": "Functional",
    "config": {
        "layers": [
            {
                "module": "keras.layers",
                "class_name": "Dense",
                "config": {"units": 3},
                "build_config": {"input_shape": [None, 3]},
            }
        ]
    },
    "registered_name": "Functional",
}
HISTORY = "epoch,loss,accuracy,val_loss,val_accuracy\n1,1,0.5,1,0.5\n"


class Harmful:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch harm",)


def keras_file(config: Any = PLAIN, card: Any = CARD, **more: bytes | None) -> bytes:
    """The bytes of a .keras file; entries by keyword (dots as two underscores), None leaves one out."""
    entries: dict[str, bytes | None] = {
        "metadata.json": b'{"keras_version": "3.15.1"}',
        "config.json": config if isinstance(config, bytes) else json.dumps(config).encode(),
        "model.weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(500),
        "candid.json": card if isinstance(card, bytes) else json.dumps(card).encode(),
        **{name.replace("__", "."): data for name, data in more.items()},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in entries.items():
            if data is not None:
                archive.writestr(name, data)
    return buffer.getvalue()


def layer(module: str | None, name: str, **config: Any) -> dict[str, Any]:
    """A model with one layer of that class."""
    return {**PLAIN, "config": {"layers": [{"module": module, "class_name": name, "config": config}]}}


def lay(project: Path) -> None:
    """Add what evaluate reads beside the outputs of the data stages."""
    (project / "models").mkdir(exist_ok=True)
    (project / "plots").mkdir(exist_ok=True)
    (project / "plots/history.csv").write_text(HISTORY)


def model(name: str, data: bytes | Callable[[Path], object], *says: str) -> Case:
    """A file at models/model.keras."""

    def make(project: Path) -> None:
        lay(project)
        if isinstance(data, bytes):
            (project / PATH).write_bytes(data)
        else:
            data(project / PATH)

    return Case(f"model {name}", make, ("evaluate",), (PATH, *says), start=True)


def history(name: str, content: str, *says: str) -> Case:
    """A whole model, with another plots/history.csv beside it."""

    def make(project: Path) -> None:
        lay(project)
        (project / PATH).write_bytes(keras_file())
        (project / "plots/history.csv").write_text(content)

    return Case(f"history.csv {name}", make, ("evaluate",), ("plots/history.csv", *says), start=True)


WHOLE = keras_file()
CASES = [
    model("missing", lambda path: None, "no such file"),
    model("that is a folder", lambda path: path.mkdir(), "a folder"),
    model("of 0 bytes", b"", "not a .keras file"),
    model("that is a pickle", pickle.dumps(Harmful()), "not a .keras file"),
    model("cut at its end", WHOLE[:-12], "not a .keras file"),
    model("with a flipped bit", WHOLE.replace(b"PK\x01\x02", b"PK\x01\x03", 1), PATH),
    model("with a password", encrypted(WHOLE), "encrypted"),
    model("that is another zip", lambda path: zipfile.ZipFile(path, "w").close(), "not a .keras file"),
    model("without weights", keras_file(model__weights__h5=None), "no entry model.weights.h5"),
    model("of a pickle in a zip", keras_file(config=pickle.dumps(Harmful())), "config.json is not JSON"),
    model("with a configuration of nothing", keras_file(config=b""), "config.json is not JSON"),
    model("nested deeply", keras_file(config=b"[" * 100_000), "config.json"),
    model("with one entry too many", keras_file(harm=b"x"), "'harm' too many"),
    model(
        "of another class list",
        keras_file(card=CARD | {"classes": ["anger", "joy", "grief"]}),
        *("a model of the classes anger, joy, grief", "has happy, sad, neutral"),
    ),
    model("of classes in another order", keras_file(card=CARD | {"classes": CLASSES[::-1]}), "neutral, sad"),
    model("of fewer classes", keras_file(card=CARD | {"classes": ["happy"]}), "a model of the classes happy"),
    model("of no class", keras_file(card=CARD | {"classes": []}), "candid.json.classes"),
    model("of faces of 0 pixels", keras_file(card=CARD | {"image_size": 0}), "candid.json.image_size"),
    model("whose card is a list", keras_file(card=[1]), "candid.json"),
    model("whose card is no JSON", keras_file(card=b"{"), "candid.json is not JSON"),
    model(
        "with a Lambda layer",
        keras_file(layer("keras.layers", "Lambda", function="x")),
        "keras.layers.Lambda",
    ),
    model("with a layer of os", keras_file(layer("os", "system", command="touch harm")), "os.system"),
    model("with a saved graph", keras_file(layer("keras.layers", "TFSMLayer", filepath="/etc")), "TFSMLayer"),
    model("with a module that is a number", keras_file(layer(7, "X")), "7.X"),  # type: ignore[arg-type]
    history("empty", "", "not a CSV table"),
    history("without epochs", "epoch,loss,accuracy,val_loss,val_accuracy\n", "no epoch"),
    history("without val_loss", "epoch,loss,accuracy,val_accuracy\n1,1,1,1\n", "val_loss"),
    history("with epoch 1.5", HISTORY.replace("1,1,", "1.5,1,"), "'epoch'"),
]
