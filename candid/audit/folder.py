"""The report's folder: filled whole, and never at the cost of somebody's own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from candid.errors import CandidError
from candid.files import read_json, write_json, writing

MANIFEST = "audit.json"
MADE_BY = "candid audit"


def check_folder(folder: Path) -> set[str]:
    """Make sure that a report can go here; return the files of an earlier report, which it replaces.

    Reports in folders below are left alone.

    Raises:
        CandidError: the folder holds anything that no audit wrote, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise CandidError(f"{folder}: is a file; expected a folder for the report, new or empty")
    below = {
        manifest.parent / name
        for manifest in folder.glob(f"*/{MANIFEST}")
        for name in _listed(manifest.parent)
    }
    files = [path for path in folder.rglob("*") if not path.is_dir() and path not in below]
    here = {path.relative_to(folder).as_posix() for path in files}
    ours = here & _listed(folder)
    if foreign := sorted(here - ours):
        raise CandidError(
            f"{folder}: holds files that no audit wrote ({foreign[0]!r}, {len(foreign)} in all); "
            "expected a new or empty folder: name one by --out"
        )
    return ours


def write_report(folder: Path, facts: dict[str, Any], writers: dict[str, Callable[[Path], object]]) -> None:
    """Replace an earlier report.

    Args:
        folder: made if need be; what is in it is checked again.
        facts: what audit.json says beside the list of files.
        writers: file name -> writes that file, given a path.
    """
    for name in sorted(check_folder(folder)):
        (folder / name).unlink()
    # The list goes first: a run that is cut short leaves nothing that the next one takes for somebody else's.
    write_json(folder / MANIFEST, {"made_by": MADE_BY, "files": sorted(writers), **facts})
    for name, write in writers.items():
        with writing(folder / name) as aside:
            write(aside)


def _listed(folder: Path) -> set[str]:
    """Names that the report in this folder lists as its own, itself included."""
    if not (folder / MANIFEST).is_file():
        return set()
    said = read_json(folder / MANIFEST)
    if (
        not isinstance(said, dict)
        or said.get("made_by") != MADE_BY
        or not isinstance(said.get("files"), list)
    ):
        return set()
    return {MANIFEST, *map(str, said["files"])}
