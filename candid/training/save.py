"""Writing a trained net as a .keras file whose bytes follow from its weights alone."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from candid.files import writing
from candid.training.lineage import ABOUT

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip entry can carry


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
                    content = _json(
                        {key: value for key, value in json.loads(content).items() if key != "date_saved"}
                    )
                elif name == "config.json":
                    content = _json(_renumber(json.loads(content), {}))
                target.writestr(_entry(name), content)
            target.writestr(_entry(ABOUT), json.dumps(about, indent=2, ensure_ascii=False).encode())
            for name, content in (entries or {}).items():
                target.writestr(_entry(name), content)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _renumber(value: Any, numbers: dict[int, int]) -> Any:
    """Number shared objects 1, 2, ... as they come."""
    if isinstance(value, list):
        return [_renumber(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: numbers.setdefault(item, len(numbers) + 1)
        if key == "shared_object_id"
        else _renumber(item, numbers)
        for key, item in value.items()
    }


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.external_attr = 0o644 << 16
    entry.create_system = 3  # as on Unix, whatever this machine is
    return entry
