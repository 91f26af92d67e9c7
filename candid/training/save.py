"""Writing a net as a .keras file whose bytes follow from its weights alone, and starting from such a file."""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from candid.errors import CandidError
from candid.evaluation.model_file import load_model_file
from candid.files import stamped_entry, writing
from candid.training.lineage import ABOUT


def write_model(
    path: str | Path, net: Any, about: dict[str, Any], entries: Mapping[str, bytes] | None = None
) -> None:
    """Write a net as Keras does, without the time of saving and with `about` and `entries` beside it.

    Keras stamps the present time into metadata.json and into the zip entries, and numbers objects that layers
    share by their addresses in memory: with these, equal weights would give unequal files. It does not look
    at further entries.
    """
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "model.keras"
        net.save(plain)
        with zipfile.ZipFile(plain) as source, writing(path) as aside, zipfile.ZipFile(aside, "w") as target:
            for name in sorted(source.namelist()):
                content = source.read(name)
                if name == "metadata.json":
                    metadata = json.loads(content)
                    del metadata["date_saved"]
                    content = json.dumps(metadata).encode()
                elif name == "config.json":
                    content = _renumbered(content)
                target.writestr(stamped_entry(name), content)
            target.writestr(stamped_entry(ABOUT), json.dumps(about, indent=2, ensure_ascii=False).encode())
            for name, content in (entries or {}).items():
                target.writestr(stamped_entry(name), content)


def _renumbered(config: bytes) -> bytes:
    """Number shared objects 1, 2, ... as they come."""
    numbers: dict[bytes, bytes] = {}

    def number(match: re.Match[bytes]) -> bytes:
        return numbers.setdefault(match[0], b"%d" % (len(numbers) + 1))

    return re.sub(rb'(?<="shared_object_id": )\d+', number, config)


class InitialWeights(NamedTuple):
    """Where the weights come from that a training starts with."""

    preset: str | None  # imagenet, or a folder with a keras-hub preset: weights of the body
    model: Path | None  # an earlier model of train
    files: list[Path]  # all files that are read for it


def initial_weights(weights: str | None) -> InitialWeights:
    """Say what `model.weights` names. CandidError: nothing is there."""
    if weights is None or weights == "imagenet":
        return InitialWeights(weights, None, [])
    if (path := Path(weights)).is_dir():
        return InitialWeights(weights, None, sorted(file for file in path.rglob("*") if file.is_file()))
    if path.is_file():
        return InitialWeights(None, path, [path])
    expected = "expected null, imagenet, a .keras file or a folder with a keras-hub preset"
    raise CandidError(f"params.yaml: model.weights = {weights!r}: no such file; {expected}")


def start_from(net: Any, path: str | Path, classes: list[str]) -> None:
    """Copy the weights of a .keras file into a fresh net; with other classes, all but the last layer's.

    CandidError: the file is no model of train's, of another net, or a weight has another shape.
    """
    earlier, card = load_model_file(path)
    last = next(layer for layer in reversed(net.layers) if layer.weights)
    fresh = [id(weight) for weight in last.weights] if card.classes != classes else []
    if len(earlier.weights) != len(net.weights):
        counts = f"{len(earlier.weights)} weights, but the net has {len(net.weights)}"
        raise CandidError(f"{path}: {counts}: expected a model of the same model.arch")
    for old, new in zip(earlier.weights, net.weights, strict=True):
        if id(new) in fresh:
            continue
        if old.shape != new.shape:
            shapes = f"{old.path} has shape {old.shape}, the net's is {new.shape}"
            raise CandidError(f"{path}: {shapes}: expected the same model.arch and data.image_size")
        new.assign(old)
