"""The faces that a model met in training, kept in its file: a net that starts from it has met them too."""

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
OWN, EARLIER = "candid-faces.npy", "candid-earlier.npy"
"""Entries of a .keras file: faces that trained it and chose its epoch; those that models before it met."""
Digests = NDArray[np.uint64]


def digests(faces: NDArray[np.uint8]) -> Digests:
    """Return the first 64 bits of each face's digest, as numbers: N."""
    return np.array([int(digest(face)[:16], 16) for face in faces], np.uint64)


def lineage(
    about: dict[str, Any], faces: NDArray[np.uint8], start: str | Path | None
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Give what the file of a model says of what it has met: candid.json, and further entries.

    A model of faces of another size or colour says nothing that could be found again.

    Args:
        about: candid.json so far.
        faces: of the training and the validation part: N x H x W (x C).
        start: file of the model that it starts from; None: from scratch or a preset.
    """
    entries = {OWN: _packed(digests(faces))}
    if start is None:
        return about, entries
    earlier, other = met(start), read_about(start)
    known = earlier is not None and all(other.get(key) == about[key] for key in ("image_size", "color"))
    if earlier is not None:
        entries[EARLIER] = _packed(earlier)
    of = {"file": Path(start).name, "md5": md5(start), "faces": "known" if known else "unknown"}
    return {**about, "started_from": of}, entries


def read_about(path: str | Path) -> dict[str, Any]:
    """Return candid.json of a .keras file; KeyError where it has none."""
    with zipfile.ZipFile(path) as source:
        about: dict[str, Any] = json.loads(read_member(source, source.getinfo(ABOUT)))
    return about


def met(path: str | Path) -> Digests | None:
    """Return digests of all faces that a model and those before it have met; None where it doesn't say."""
    own = _read(path, OWN)
    return None if own is None else np.union1d(own, before(path))


def before(path: str | Path) -> Digests:
    """Return digests of the faces that the models have met from which this one started."""
    found = _read(path, EARLIER)
    return np.zeros(0, np.uint64) if found is None else found


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
        found = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise CandidError(f"{path}: {name} is no array: {error}; expected a model of train") from None
    if not isinstance(found, np.ndarray) or found.dtype != np.uint64 or found.ndim != 1:
        raise CandidError(f"{path}: {name} is no list of digests; expected a model of train")
    return found
