"""Read all of an HDF5 file of weights; run as a process of its own, since a file can hit faults of HDF5.

Takes the file on standard input; ends with status 1 and one line where it is anything but plain arrays of
numbers, every byte of which is in the file.
"""

from __future__ import annotations

import io
import sys
from typing import Any

import h5py

MAX_OBJECTS = 100_000
SECONDS = 60
ROOM = 1 << 30  # bytes for Python and HDF5 beside the file, which is held twice


def check(content: bytes) -> None:
    """Raise ValueError, or whatever h5py stumbles over, unless the file is as Keras writes it."""
    objects = 0

    def wrong_link(name: str, link: Any) -> str | None:
        return None if isinstance(link, h5py.HardLink) else f"{name!r} is a link to another place"

    def wrong_object(name: str, item: Any) -> str | None:
        nonlocal objects
        objects += 1
        if objects > MAX_OBJECTS:
            return f"more than {MAX_OBJECTS:,} entries"
        dict(item.attrs)
        if isinstance(item, h5py.Group):
            return None
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu":
            return f"{name!r} is no array of numbers"
        layout = item.id.get_create_plist()
        plain = layout.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
        if not plain or layout.get_external_count() or layout.get_nfilters():
            return f"{name!r} is chunked, packed, virtual or in another file"
        if item.nbytes > len(content) or item.id.get_storage_size() != item.nbytes:
            return f"{name!r} is of {item.nbytes:,} bytes, which the file does not hold"
        item[()]
        return None

    with h5py.File(io.BytesIO(content), "r") as file:
        problem = file.visititems_links(wrong_link) or wrong_object("/", file)
        if problem := problem or file.visititems(wrong_object):
            raise ValueError(problem)


def limit(size: int) -> None:
    """Bound the memory and time of this process, and let it write no file; no bounds on Windows."""
    try:
        import resource
    except ImportError:
        return
    for name, value in (("AS", 2 * size + ROOM), ("CPU", SECONDS), ("FSIZE", 0), ("CORE", 0)):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def main() -> None:
    """Check standard input."""
    content = sys.stdin.buffer.read()
    limit(len(content))
    try:
        check(content)
    except MemoryError:
        sys.exit("takes too much memory")
    except Exception as error:  # h5py raises whatever it stumbles over
        sys.exit(" ".join(str(error).split())[:200] or type(error).__name__)


if __name__ == "__main__":
    main()
