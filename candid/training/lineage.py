"""Digests of all training images of a model and of the models it was initialised from, kept in its file.

Files are read that model_file.read_card has checked, or that train wrote.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from candid.data.faces import digest
from candid.errors import CandidError
from candid.files import md5

ABOUT = "candid.json"
TRAINED_ON, ANCESTORS = "candid-faces.npy", "candid-earlier.npy"
"""Entries of a .keras file: training and validation images of the model, and of all models before it."""
Digests = NDArray[np.uint64]


def digests(images: NDArray[np.uint8]) -> Digests:
    """Return the first 64 bits of each image's digest, as numbers: N."""
    return np.array([int(digest(image)[:16], 16) for image in images], np.uint64)


def lineage(
    about: dict[str, Any], images: NDArray[np.uint8], start: str | Path | None
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return candid.json and the further entries of the file of a model trained on N x H x W (x C) images.

    A model that started from a file (`start`) with images of another size or colour says so: their digests
    match nothing.
    """
    entries = {TRAINED_ON: _packed(digests(images))}
    if start is None:
        return about, entries
    ancestors, other = seen_digests(start), read_about(start)
    same = all(other.get(key) == about[key] for key in ("image_size", "color"))
    if ancestors is not None:
        entries[ANCESTORS] = _packed(ancestors)
    known = "known" if same and ancestors is not None else "unknown"
    return {**about, "started_from": {"file": Path(start).name, "md5": md5(start), "faces": known}}, entries


def read_about(path: str | Path) -> dict[str, Any]:
    """Return candid.json of a .keras file; KeyError where it has none."""
    with zipfile.ZipFile(path) as archive:
        about: dict[str, Any] = json.loads(archive.read(ABOUT))
    return about


def seen_digests(path: str | Path) -> Digests | None:
    """Return digests of all images that a model and its ancestors were trained on; None: not in its file."""
    own = _read(path, TRAINED_ON)
    return None if own is None else np.union1d(own, ancestor_digests(path))


def ancestor_digests(path: str | Path) -> Digests:
    """Return digests of the images that the models were trained on from which this one started."""
    ancestors = _read(path, ANCESTORS)
    return np.zeros(0, np.uint64) if ancestors is None else ancestors


def _packed(values: Digests) -> bytes:
    content = io.BytesIO()
    np.save(content, np.unique(values).astype("<u8"), allow_pickle=False)
    return content.getvalue()


def _read(path: str | Path, name: str) -> Digests | None:
    with zipfile.ZipFile(path) as archive:
        if name not in archive.namelist():
            return None
        return parse_digests(archive.read(name), f"{path}: {name}")


def parse_digests(content: bytes, where: str) -> Digests:
    """Turn an entry into digests; no memory is taken on the word of its header. CandidError: no list."""
    stream = io.BytesIO(content)
    try:
        npy.read_magic(stream)
        shape, _, dtype = npy.read_array_header_1_0(stream)
    except Exception as error:  # NumPy has Python's own tokenizer and literals read the header
        raise CandidError(f"{where} is no array: {error}; expected a model of train") from None
    if dtype != np.uint64 or len(shape) != 1 or stream.tell() + 8 * shape[0] != len(content):
        raise CandidError(f"{where} is no list of digests; expected a model of train")
    return np.frombuffer(content, "<u8", offset=stream.tell()).astype(np.uint64)
