"""A .keras file at half its size: the same zip, its kernels stored as float16."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np

from candid.errors import CandidError
from candid.files import writing

WEIGHTS = "model.weights.h5"
MOST_BYTES = 5 * 10**6
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip entry can carry


def pack(source: str | Path, target: str | Path) -> int:
    """Write the model `source` again with float16 kernels, and give the bytes of the new file.

    Keras reads stored numbers into variables of the layers' own type, so the net still computes in float32.
    Vectors (biases, batch norm) stay as they are: they are few, and variances would lose the most. Equal
    weights give equal bytes, as in stages/train/save.py.

    Raises:
        CandidError: a weight is beyond float16 (65,504), the weights are no HDF5 file, or the result is
            larger than MOST_BYTES.
    """
    with zipfile.ZipFile(source) as given, writing(target) as aside:
        with zipfile.ZipFile(aside, "w") as packed:
            for name in sorted(given.namelist()):
                content = given.read(name)
                if name == WEIGHTS:
                    content = half(content, source)
                packed.writestr(_entry(name), content)
        size = aside.stat().st_size
        if size > MOST_BYTES:
            raise CandidError(
                f"{target}: {size:,} bytes with float16 kernels; expected at most {MOST_BYTES:,}: "
                "ship a smaller net"
            )
    return size


def half(content: bytes, where: str | Path) -> bytes:
    """An HDF5 file with its float32 arrays of two and more axes as float16; the rest is copied."""
    packed = io.BytesIO()
    try:
        with h5py.File(io.BytesIO(content), "r") as old, h5py.File(packed, "w") as new:
            _copy(old, new, where)
    except OSError as error:
        raise CandidError(f"{where}: {WEIGHTS} is no HDF5 file: {error}; expected a model of train") from None
    return packed.getvalue()


def _copy(old: h5py.Group, new: h5py.Group, where: str | Path) -> None:
    for key, value in old.attrs.items():
        new.attrs[key] = value
    for name in sorted(old):
        if not isinstance(old.get(name, getlink=True), h5py.HardLink):
            raise CandidError(f"{where}: {WEIGHTS} holds a link, {old.name}/{name}; expected arrays only")
        item = old[name]
        if isinstance(item, h5py.Group):
            _copy(item, new.create_group(name), where)
            continue
        values = np.asarray(item)
        if values.dtype == np.float32 and values.ndim > 1:
            if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
                raise CandidError(f"{where}: {item.name} has {np.abs(values).max():g}: beyond float16")
            values = values.astype(np.float16)
        stored = new.create_dataset(name, data=values)
        for key, value in item.attrs.items():
            stored.attrs[key] = value


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.external_attr = 0o644 << 16
    entry.create_system = 3  # as on Unix, whatever this machine is
    return entry
