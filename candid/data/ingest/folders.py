"""Reader: one folder a class, with the official part in a folder or in the file's name."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from candid.data.catalogue import Dataset
from candid.data.faces import LABELS
from candid.data.ingest.archives import Archive, is_not_picture, opened
from candid.data.ingest.decode import UnreadableError
from candid.data.ingest.records import Items, Record, Rejected, Skipped, Wanted, to_label


def read_folders(name: str, entry: Dataset, paths: list[Path], wanted: Wanted) -> Items:
    """Read `[enclosing folders/][part/]<class>/[further folders/]<file>` from a zip archive.

    `entry` says how labels and parts are called, and which patterns find part, subject and sequence in a
    file's name; a part in the name goes before one in a folder.
    """
    with opened(paths[0]) as archive:
        others = [*archive.clutter(), *filter(is_not_picture, archive.names())]
        yield from (Skipped(file, "not_a_picture") for file in others if file != entry.planted)
        files = sorted(set(archive.names()).difference(others))
        depth = _enclosing(files, entry)
        for folder, within in groupby(files, key=lambda file: file.rpartition("/")[0]):
            folders = folder.split("/")[depth:] if folder else []
            if not folders:
                yield from (Rejected(file, "not in the folder of a class") for file in within)
                continue
            part = entry.parts.get(folders[0].lower(), "") if len(folders) > 1 else ""
            label = to_label(folders[1 if part else 0], entry, f"{paths[0]}: {folder}/")
            above = "/".join([*folders[2 if part else 1 :], ""])
            for file in within:
                yield read_one(name, entry, archive, file, label, wanted, part, above)


def read_one(
    name: str,
    entry: Dataset,
    archive: Archive,
    file: str,
    label: str,
    wanted: Wanted,
    part: str = "",
    above: str = "",
) -> Record | Rejected | Skipped:
    """Read one picture whose label is known; what its name tells is added.

    Args:
        above: the folders between that of the class and the file, with a slash at the end.
    """
    base = file.rpartition("/")[2]
    part = entry.parts.get(_matched(entry.part_pattern, base).lower(), part)
    if reason := wanted.skips(label, part):
        return Skipped(file, reason, label)
    subject = _matched(entry.subject_pattern, above + base) or _matched(entry.subject_pattern, base)
    sequence = _matched(entry.sequence_pattern, base)
    try:
        data = archive.read(file)
    except UnreadableError as error:
        return Rejected(file, str(error))
    return Record(
        data,
        label,
        file,
        part,
        f"{name}:{subject}" if subject else "",
        f"{name}:{sequence}" if sequence else "",
    )


def _matched(pattern: str | None, base: str) -> str:
    found = re.match(pattern, base) if pattern else None
    return found.group(1) if found else ""


def _enclosing(names: list[str], entry: Dataset) -> int:
    """Number of outer folders that all files share and that are neither a part nor a class.

    A picture that lies in an outer folder itself (a cover, say) would make that one the class of all: where
    only one class would come of it, pictures that lie above others don't count.
    """
    depth = _shared(names, entry)
    folders = {name.rpartition("/")[0] for name in names}
    above = {
        folder
        for folder in folders
        if any(
            other != folder and f"{other}/".startswith(f"{folder}/" if folder else "") for other in folders
        )
    }
    if not above or len({(*folder.split("/"), "")[depth] for folder in folders} - {""}) > 1:
        return depth
    return _shared([name for name in names if name.rpartition("/")[0] not in above], entry)


def _shared(names: list[str], entry: Dataset) -> int:
    known = {*LABELS, *entry.labels, *entry.parts}
    depth = 0
    # zip ends with the shortest; a file's innermost folder is its class, if no other is
    for level in zip(*(name.split("/")[:-2] for name in names), strict=False):
        if len(set(level)) > 1 or level[0].lower() in known:
            break
        depth += 1
    return depth
