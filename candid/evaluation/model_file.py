"""What a model file says about itself, read and checked before Keras opens it."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from candid.data.packed import check_method, read_member
from candid.errors import CandidError, is_disk_fault
from candid.settings import Section, check
from candid.training.lineage import ABOUT

LARGEST_JSON = 64 * 2**20  # bytes; the largest net of the registry needs a quarter of a MiB
DENSEST = 100  # weights hardly compress: an entry that grows more than this many times is a bomb
MODULES = ("keras", "keras_hub", "builtins")
REFUSED = (
    "Lambda",
    "TorchModuleWrapper",
    "TFSMLayer",
    "FlaxLayer",
    "JaxLayer",
)  # carry code or open other files


class Start(Section):
    """What a model started from."""

    file: str
    """Its name, without folders."""
    md5: str
    faces: Literal["known", "unknown"]
    """Whether its file says which faces it had met."""


class Card(Section):
    """Entry candid.json of the model file, written by train."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)

    classes: list[str] = Field(min_length=1)
    """Names in the order of the model's outputs."""
    image_size: int = Field(ge=1)
    """Side of the faces that it was trained on, in pixels."""
    color: Literal["grey", "rgb"]
    epoch: int | None = None
    """The epoch whose weights these are, as plots/history.csv counts, where train says so."""
    started_from: Start | None = None
    """An earlier model; None: random weights, or a preset."""


def read_card(path: str | Path) -> Card:
    """Read the card and look through the model's configuration for anything but Keras's own layers.

    Keras's safe mode refuses code as well; that this looks first means that no module is imported
    on the word of a stranger's file, and that the message is one line.

    Raises:
        CandidError: missing, no .keras file (a pickle, say), damaged, without card, or not of plain layers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {entry.filename: entry for entry in archive.infolist()}
            for wanted in ("config.json", "model.weights.h5"):
                if wanted not in names:
                    raise CandidError(
                        f"{path}: a zip archive without {wanted}; expected a .keras model of train"
                    )
            if ABOUT not in names:
                raise CandidError(f"{path}: no class names (entry {ABOUT}); expected a model made by train")
            for entry in names.values():
                check_method(entry)
                if entry.file_size > DENSEST * (entry.compress_size + 1024):
                    raise CandidError(
                        f"{path}: entry {entry.filename} unpacks to {entry.file_size} bytes: refused"
                    )
            refuse_code(_read_json(archive, names["config.json"], path), path)
            return check(ABOUT, Card, _read_json(archive, names[ABOUT], path), path)
    except FileNotFoundError:
        raise CandidError(f"{path}: no such file; expected the output of train") from None
    except IsADirectoryError:
        raise CandidError(f"{path}: a folder; expected a .keras model of train") from None
    except zipfile.BadZipFile:
        raise CandidError(f"{path}: not a .keras file (a zip archive); expected a model of train") from None
    except (RuntimeError, NotImplementedError, ValueError, zlib.error, EOFError, OSError) as error:
        if is_disk_fault(error):
            raise
        raise CandidError(
            f"{path}: damaged or encrypted: {error}; expected a .keras model of train"
        ) from None


def _read_json(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: str | Path) -> Any:
    if entry.file_size > LARGEST_JSON:
        raise CandidError(
            f"{path}: {entry.filename} is {entry.file_size} bytes; expected at most {LARGEST_JSON}"
        )
    try:
        return json.loads(read_member(archive, entry))
    except (ValueError, RecursionError) as error:
        raise CandidError(f"{path}: {entry.filename} is not JSON: {error}") from None


def refuse_code(config: Any, path: str | Path) -> None:
    """Stop at a layer that carries code, or an object from outside Keras and keras-hub."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        if not isinstance(value, dict):
            continue
        waiting.extend(value.values())
        if "class_name" not in value:
            continue
        name, module = value["class_name"], value.get("module") or "keras"
        known = isinstance(module, str) and module.split(".")[0] in MODULES
        if name in REFUSED or not known:
            found = f"{module}.{name}"
            raise CandidError(f"{path}: holds {found[:100]!r}; expected layers of Keras and keras-hub only")


def check_classes(card: Card, classes: list[str], path: str | Path) -> None:
    """Stop unless the model's classes are those of the split, in the same order."""
    if card.classes != classes:
        raise CandidError(
            f"{path}: a model of the classes {', '.join(card.classes)}; "
            f"data/splits.csv has {', '.join(classes)}: expected the same, train anew"
        )
