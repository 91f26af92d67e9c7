"""Zip archives that somebody else packed: what reading them may raise, and reading within bounds."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib

DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, OverflowError, RuntimeError, OSError),
)
"""What zipfile and tarfile raise over archives that are cut, garbled, encrypted or packed in an unknown way
(NotImplementedError is a RuntimeError); OSError over a disk that fails, too: see errors.is_disk_fault."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile unpacks others without a bound


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Read a file of a zip in no more memory than it declares.

    ZipFile.read unpacks all that is there before it compares sizes. Raises an error of DAMAGED.
    """
    check_method(info)
    with archive.open(info) as file:
        data = file.read(info.file_size + 1)  # one more, so that the end is seen and the checksum held
    if len(data) != info.file_size:
        raise zipfile.BadZipFile(f"{info.filename!r} ends after {len(data):,} of {info.file_size:,} bytes")
    return data


def check_method(info: zipfile.ZipInfo) -> None:
    """Raise BadZipFile over a method of packing that can't be read within bounds."""
    if info.compress_type not in METHODS:
        expected = "expected stored or deflated"
        raise zipfile.BadZipFile(f"{info.filename!r} is packed by method {info.compress_type}; {expected}")
