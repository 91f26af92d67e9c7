"""Zip archives, read in memory: nothing is unpacked to disk, and what isn't plain is refused in one line."""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from candid.data.ingest.decode import UnreadableError
from candid.data.packed import DAMAGED, MAX_EXPANSION, check_method, read_member
from candid.errors import CandidError, is_disk_fault

MAX_FILE_BYTES = 256 << 20
"""No picture of MAX_PIXELS is larger as a file."""

NOT_PICTURES = re.compile(
    r"\.(txt|md|rst|csv|tsv|jsonl?|xml|ya?ml|html?|pdf|docx?|xlsx?|py|ipynb|ini|cfg|log|db|mat|np[yz]|pkl|pts|bib)$",
    re.IGNORECASE,
)
"""Files by these names are no pictures that failed: they are passed over."""


class Archive:
    """The files of a zip archive, by name."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._zip = archive
        self._members = _plain_members(path, archive)
        self._clutter = sorted(filter(_is_clutter, self._members))
        self._names = sorted(self._members.keys() - set(self._clutter))

    def names(self) -> list[str]:
        """Names of all files, sorted; folders and what operating systems leave behind are not among them."""
        return self._names

    def clutter(self) -> list[str]:
        """Names of hidden files and of those that operating systems leave behind, sorted."""
        return self._clutter

    def read(self, name: str) -> bytes:
        """One file's bytes; UnreadableError where it is damaged or too long."""
        info = self._members[name]
        if info.file_size > MAX_FILE_BYTES:
            raise UnreadableError(f"{info.file_size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
        if info.file_size == 0:
            raise UnreadableError("0 bytes")
        try:
            return read_member(self._zip, info)
        except DAMAGED as error:
            if is_disk_fault(error):
                raise
            reason = str(error).replace(repr(info.filename), "the file").strip()
            raise UnreadableError(f"damaged in the archive: {reason[:120] or type(error).__name__}") from None

    def stream(self, name: str) -> IO[bytes]:
        """Open one file for reading from its beginning; CandidError where it can't be."""
        try:
            check_method(self._members[name])
            return self._zip.open(self._members[name])
        except DAMAGED as error:
            if is_disk_fault(error):
                raise
            raise CandidError(f"{self.path}: {name}: damaged in the archive: {error}") from None

    def read_text(self, name: str) -> str:
        """One file as UTF-8 text, with or without a byte-order mark; CandidError where it is none."""
        try:
            return self.read(name).decode("utf-8-sig")
        except UnreadableError as error:
            raise CandidError(f"{self.path}: {name}: {error}") from None
        except UnicodeDecodeError:
            raise CandidError(f"{self.path}: {name}: not UTF-8 text") from None


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open a zip archive; CandidError, in one line, where it is none or holds what no data set needs.

    Refused: paths that are absolute or lead outside, links, encrypted files, a name twice, names that are not
    UTF-8, and more data declared than an archive of that size can hold.
    """
    if not path.is_file():
        raise CandidError(f"{path}: no such file; expected the output of download")
    if path.stat().st_size == 0:
        raise CandidError(f"{path}: 0 bytes; expected a zip archive")
    with _open(path) as archive:
        yield Archive(path, archive)


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        raise CandidError(f"{path}: a file's name in it is not UTF-8") from None
    except DAMAGED as error:
        if is_disk_fault(error):
            raise
        raise CandidError(f"{path}: not a zip archive, or cut short: {error}") from None


def is_not_picture(name: str) -> bool:
    """Does the name say that this is no picture?"""
    return NOT_PICTURES.search(name) is not None


def _plain_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    declared = 0
    for info in archive.infolist():
        name = safe_name(path, info.filename)
        if info.is_dir() or name == "":
            continue
        if name in members:
            raise CandidError(f"{path}: {name!r} is in it twice; expected each name once")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise CandidError(f"{path}: {name!r} is a symbolic link; expected files only")
        if info.flag_bits & 1:
            raise CandidError(f"{path}: {name!r} is encrypted; expected files that need no password")
        members[name] = info
        declared += info.file_size
    if declared > max(MAX_EXPANSION * path.stat().st_size, 1 << 30):
        raise CandidError(f"{path}: declares {declared:,} bytes of files, which it can't hold")
    return members


def safe_name(path: Path, name: str) -> str:
    """The name with forward slashes and without empty parts; CandidError where it leads outside."""
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or ".." in parts or (len(parts[0]) == 2 and parts[0][1] == ":"):
        raise CandidError(f"{path}: {name[:80]!r} leads outside the archive; expected relative paths")
    return "/".join(part for part in parts if part not in ("", "."))


def _is_clutter(name: str) -> bool:
    parts = name.split("/")
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1].lower() in (
        "thumbs.db",
        "desktop.ini",
    )
