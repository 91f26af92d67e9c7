"""Zip and tar archives that somebody else packed: what reading them may raise, and how far to follow them."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

from stages.errors import is_disk_fault

DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, OverflowError, RuntimeError, OSError),
)
"""What zipfile and tarfile raise over archives that are cut, garbled, encrypted or packed in an unknown way
(NotImplementedError is a RuntimeError); OSError over a disk that fails, too: see errors.is_disk_fault."""

MAX_EXPANSION = 100
"""Pictures hardly compress; text does ten times. What unpacks to more times its size is a bomb."""


def is_tar(path: Path) -> bool:
    """Tell a tar archive (plain, gz, bz2, xz) by its first header; one that is cut within it is none."""
    try:
        return tarfile.is_tarfile(path)
    except DAMAGED as error:
        if is_disk_fault(error):
            raise
        return False


def read_to_end(archive: tarfile.TarFile, room: int) -> None:
    """Read what follows the last member: gzip and xz check what they unpacked at their end, and only there.

    Raises one of DAMAGED where a bit has flipped, or where more than `room` bytes follow.
    """
    assert archive.fileobj is not None
    while data := archive.fileobj.read(1 << 20):
        room -= len(data)
        if room < 0:
            raise tarfile.ReadError("too much follows its last file")
