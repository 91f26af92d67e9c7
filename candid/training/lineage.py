"""Digests of all training images of a model and of the models it was initialised from, kept in its file."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candid.data.faces import digest
from candid.data.packed import read_member
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
    """Return candid.json and the further entries of a model's file.

    A model that started from one with images of another size or colour says so: their digests match nothing.

    Args:
        about: candid.json so far.
        images: the training and validation set, N x H x W (x C).
        start: file of the model that it starts from; None: from scratch or a preset.
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
        about: dict[str, Any] = json.loads(read_member(archive, archive.getinfo(ABOUT)))
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
        content = read_member(archive, archive.getinfo(name))
    try:
        values = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise CandidError(f"{path}: {name} is no array: {error}; expected a model of train") from None
    if not isinstance(values, np.ndarray) or values.dtype != np.uint64 or values.ndim != 1:
        raise CandidError(f"{path}: {name} is no list of digests; expected a model of train")
    return values
