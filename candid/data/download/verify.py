"""Is this the archive that the catalogue means?"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from candid.data.catalogue import Archive
from candid.data.packed import DAMAGED, MAX_EXPANSION, check_method
from candid.errors import CandidError, is_disk_fault


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contents_digest(path: Path) -> str:
    """SHA-256 over the files in a zip, whatever their order, dates, compression and enclosing folder.

    For each file, sorted by name without the folder that encloses all of them: the name in UTF-8, a zero
    byte, and the SHA-256 of its bytes. Raises CandidError where the zip can't be read to its end, or
    declares far more data than it holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {info.filename: info for info in archive.infolist() if not info.is_dir()}
            declared = sum(info.file_size for info in names.values())
            if declared > MAX_EXPANSION * path.stat().st_size:
                raise ValueError(f"it declares {declared:,} bytes")
            root = len(_enclosing_folder(list(names)))
            digest = hashlib.sha256()
            for name in sorted(names):
                check_method(names[name])
                with archive.open(names[name]) as file:
                    inner = hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
                digest.update(name[root:].encode("utf-8", "surrogateescape") + b"\0" + inner)
            return digest.hexdigest()
    except DAMAGED as error:
        if is_disk_fault(error):
            raise
        raise CandidError(f"{path.name}: not a whole zip archive: {error}") from None


def check(path: Path, archive: Archive, origin: str) -> str:
    """Hold a file against the catalogue; gives what was checked, in a few words.

    Args:
        path: the file, under whatever name it has for now.
        archive: what it should be.
        origin: where it came from, for the message.

    Raises:
        CandidError: it is empty, or neither its hash nor that of its contents is the known one.
    """
    size = path.stat().st_size
    if size == 0:
        raise CandidError(f"{origin}: 0 bytes; expected {archive.name} with data in it")
    if archive.sha256 is None and archive.contents is None:
        return "no checksum is published"
    found = sha256(path)
    if found == archive.sha256 and archive.size in (None, size):
        return "sha256 as known"
    whole = zipfile.is_zipfile(path)
    if whole and archive.contents and contents_digest(path) == archive.contents:
        return "contents as published"
    cut = "" if whole or not archive.name.endswith(".zip") else ", truncated or no zip archive"
    wanted = f"{archive.size:,} bytes, " if archive.size else ""
    raise CandidError(
        f"{origin}: {size:,} bytes{cut}, sha256 {found}; expected {archive.name} with {wanted}"
        f"sha256 {archive.sha256}, or one with the same files in it"
    )


def _enclosing_folder(names: list[str]) -> str:
    """The folders that all names share, each with its slash ("" where there is none)."""
    shared = ""
    for levels in zip(*(name.split("/")[:-1] for name in names), strict=False):
        if len(set(levels)) > 1:
            break
        shared += f"{levels[0]}/"
    return shared
