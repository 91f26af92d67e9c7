"""Zip and tar archives that somebody else packed: what reading them may raise, and how far to follow them."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

from candid.errors import is_disk_fault

DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, OverflowError, RuntimeError, OSError),
)
"""What zipfile and tarfile raise over archives that are cut, garbled, encrypted or packed in an unknown way
(NotImplementedError is a RuntimeError); OSError over a disk that fails, too: see errors.is_disk_fault."""

MAX_EXPANSION = 100
"""Pictures hardly compress; text does ten times. What unpacks to more times its size is a bomb."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Of packing in a zip. zipfile unpacks bz2 and lzma without a bound, whatever a file declares."""

MAX_HEADER_BYTES = 1 << 20
"""Of an extended header of a tar: a name and a few numbers."""


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Read a file of a zip in no more memory than it declares.

    ZipFile.read unpacks all that is there before it looks at the size. Raises one of DAMAGED.
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
        raise zipfile.BadZipFile(
            f"{info.filename!r} is packed by method {info.compress_type}; expected stored or deflated"
        )


class _PlainInfo(tarfile.TarInfo):
    """A header; tarfile reads extended ones whole, however long they say they are."""

    EXTENDED = (
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    )

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """Read what follows the header: the place that tarfile names for subclasses."""
        if self.type in self.EXTENDED and self.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"an extended header of {self.size:,} bytes")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return found


def open_tar(path: Path) -> tarfile.TarFile:
    """Open a tar archive (plain, gz, bz2, xz). Raises one of DAMAGED."""
    return tarfile.open(path, tarinfo=_PlainInfo)


def is_tar(path: Path) -> bool:
    """Tell a tar archive (plain, gz, bz2, xz) by its first header; one that is cut within it is none."""
    try:
        open_tar(path).close()
        return True
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
