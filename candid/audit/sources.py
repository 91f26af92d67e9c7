"""The files of an image set, wherever they lie: in a folder, a zip or a tar. Nothing is unpacked to disk."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from candid.data.ingest.archives import MAX_FILE_BYTES, Archive, opened, safe_name
from candid.data.ingest.decode import UnreadableError
from candid.data.packed import DAMAGED, MAX_EXPANSION, is_tar, open_tar, read_to_end
from candid.errors import CandidError, is_disk_fault

EXPECTED = "expected a folder, zip or tar of images"


class Source(Protocol):
    """Files by name: paths inside the set, with forward slashes."""

    def names(self) -> list[str]:
        """All files, sorted; hidden ones and what operating systems leave behind are passed over."""

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | UnreadableError]]:
        """Bytes of these files, or why there are none, in the order that is quickest."""


@contextmanager
def open_source(path: Path, leave_out: Path) -> Iterator[Source]:
    """Open an image set.

    Args:
        path: a folder, zip or tar (plain or compressed).
        leave_out: a folder that is passed over if it lies inside: the report's own.

    Raises:
        CandidError: no such path, or neither of the three.
    """
    if path.is_dir():
        yield _Folder(path, leave_out)
    elif not path.is_file():  # a pipe would keep us waiting, a device go on for ever
        raise CandidError(f"{path}: no such file or folder; {EXPECTED}")
    elif zipfile.is_zipfile(path):
        with opened(path) as archive:
            yield _Zip(archive)
    elif is_tar(path):
        with _damage_told(path):
            tar = open_tar(path)
        with tar:
            yield _Tar(path, tar)
    else:
        raise CandidError(f"{path}: neither a folder nor a whole zip or tar archive; {EXPECTED}")


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Turn what tarfile raises over a damaged archive into one line."""
    try:
        yield
    except DAMAGED as error:
        if is_disk_fault(error):
            raise
        raise CandidError(f"{path}: not a whole tar archive: {error}") from None


class _Folder:
    def __init__(self, path: Path, leave_out: Path) -> None:
        self._files: dict[str, Path] = {}
        self._left_out = os.path.realpath(leave_out)
        for file in self._walk(path, ()):
            self._files[printable(file.relative_to(path).as_posix())] = file

    def names(self) -> list[str]:
        return sorted(self._files)

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | UnreadableError]]:
        for name in names:
            yield name, self._bytes(self._files[name])

    def _bytes(self, file: Path) -> bytes | UnreadableError:
        try:
            size = file.stat().st_size
            return _too_long(size) or file.read_bytes()
        except OSError as error:
            return UnreadableError(error.strerror or type(error).__name__)

    def _walk(self, folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
        """Follow links, since sets are often made of them, but not back to a folder that holds the link."""
        real = os.path.realpath(folder)
        if real in above or real == self._left_out:
            return
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            raise CandidError(f"{folder}: {error.strerror}; expected a folder that can be read") from None
        for entry in entries:
            if _is_clutter(entry.name):
                continue
            if entry.is_dir():
                yield from self._walk(entry, (*above, real))
            elif entry.is_file():
                yield entry


class _Zip:
    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def names(self) -> list[str]:
        return self._archive.names()

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | UnreadableError]]:
        for name in names:
            try:
                yield name, self._archive.read(name)
            except UnreadableError as error:
                yield name, error


class _Tar:
    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        self._path, self._tar = path, tar
        self._members: dict[str, tarfile.TarInfo] = {}
        with _damage_told(path):
            for member in tar:
                if member.size < 0:  # it would lead tarfile back, and round for ever
                    raise tarfile.ReadError(f"{member.name!r} has a size of {member.size} bytes")
                name = safe_name(path, member.name)
                if name and not member.isdir() and not any(map(_is_clutter, name.split("/"))):
                    self._members[printable(name)] = member
            read_to_end(tar, MAX_EXPANSION * path.stat().st_size)

    def names(self) -> list[str]:
        return sorted(self._members)

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | UnreadableError]]:
        """In the order of the archive: going back means to unpack it from the start."""
        for name in sorted(names, key=lambda name: self._members[name].offset):
            yield name, self._bytes(self._members[name])

    def _bytes(self, member: tarfile.TarInfo) -> bytes | UnreadableError:
        if not member.isreg():
            return UnreadableError("a link or a device in the archive")
        if fault := _too_long(member.size):
            return fault
        with _damage_told(self._path):
            file = self._tar.extractfile(member)
            data = file.read() if file else b""
        return data if len(data) == member.size else UnreadableError("damaged in the archive: cut short")


def printable(name: str) -> str:
    r"""Replace what UTF-8 can't write (bytes of a file name in another encoding) by \\x codes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _too_long(size: int) -> UnreadableError | None:
    if 0 < size <= MAX_FILE_BYTES:
        return None
    return UnreadableError(f"{size:,} bytes; at most {MAX_FILE_BYTES:,} are read" if size else "0 bytes")


def _is_clutter(name: str) -> bool:
    return (
        (name.startswith(".") and name not in (".", ".."))
        or name == "__MACOSX"
        or name.lower() in ("thumbs.db", "desktop.ini")
    )
