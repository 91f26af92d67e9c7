"""Make one zip of a folder or a tar: stored, fixed dates, so that equal files give equal bytes."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tqdm import tqdm

from candid.data.packed import DAMAGED, MAX_EXPANSION, open_tar, read_to_end
from candid.errors import CandidError, is_disk_fault
from candid.files import writing


def pack_folder(folder: Path, target: Path) -> int:
    """Zip all files below `folder`, sorted by path; gives their number, and writes nothing where that is 0.

    Hidden files are left out. Links are followed, so that a set made of links to a store can be packed; a
    link to a folder that holds it is not.
    """
    files = sorted((path.relative_to(folder).as_posix(), path) for path in _walk(folder))
    if not files:
        return 0
    with writing(target) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
        for name, path in tqdm(files, desc=f"packing {folder}", unit=" files", disable=None, leave=False):
            with path.open("rb") as file:
                _add(archive, name, path.stat().st_size, file)
    return len(files)


def pack_tar(path: Path, target: Path) -> int:
    """Zip the files of a tar archive (plain, gz, bz2, xz) in the order they have there; gives their number.

    Nothing is unpacked to disk. Raises CandidError for links, devices and a name that comes twice, for an
    archive that is cut or damaged, and for one that unpacks to more than MAX_EXPANSION times its size.
    """
    room = MAX_EXPANSION * path.stat().st_size
    names: set[str] = set()
    try:
        with open_tar(path) as source, writing(target) as aside, zipfile.ZipFile(aside, "w") as archive:
            for member in tqdm(source, desc=f"packing {path}", unit=" files", disable=None, leave=False):
                if member.size < 0:  # it would lead tarfile back, and round for ever
                    raise CandidError(f"{path}: {member.name!r} has a size of {member.size} bytes")
                if member.isdir() or _hidden(member.name):
                    continue
                file = source.extractfile(member) if member.isreg() else None
                if file is None:
                    raise CandidError(
                        f"{path}: {member.name!r} is no plain file; expected no links or devices (try tar -h)"
                    )
                room -= member.size
                if room < 0:
                    raise CandidError(f"{path}: unpacks to more than {MAX_EXPANSION} times its size")
                if member.name in names:
                    raise CandidError(f"{path}: {member.name!r} is in it twice")
                _add(archive, member.name, member.size, file)
                names.add(member.name)
            read_to_end(source, room)
    except DAMAGED as error:
        if is_disk_fault(error):
            raise
        raise CandidError(f"{path}: not a whole tar archive: {error}") from None
    return len(names)


def _add(archive: zipfile.ZipFile, name: str, size: int, file: IO[bytes]) -> None:
    entry = zipfile.ZipInfo(_utf8(name), date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr, entry.file_size = 3, 0o644 << 16, size
    with archive.open(entry, "w") as into:
        shutil.copyfileobj(file, into, 1 << 20)


def _utf8(name: str) -> str:
    """The name by its bytes, whatever encoding the locale has Python read names in."""
    try:
        return os.fsencode(name).decode("utf-8")
    except UnicodeError:
        shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
        raise CandidError(f"file name {shown}: not UTF-8; expected one that a table can hold") from None


def _walk(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:  # a link back to a folder that holds it
        return
    for path in folder.iterdir():
        if _hidden(path.name):
            continue
        if path.is_dir():
            yield from _walk(path, (*above, real))
        elif path.is_file():
            yield path


def _hidden(name: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))
