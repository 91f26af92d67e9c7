"""A user's own pictures: a folder, a zip or a tar of one folder a class becomes data/raw/folder.zip."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from candid.data.download.pack import pack_folder, pack_tar
from candid.data.packed import is_tar
from candid.errors import CandidError
from candid.files import writing


def take_own(path: Path, target: Path) -> str:
    """Pack the folder or tar at `path` into `target`, or copy a zip; gives one line on what was done.

    Raises:
        CandidError: there is nothing at `path`, or nothing in it.
    """
    expected = "expected a folder, zip or tar of one folder a class"
    mode = _mode(path)
    if S_ISDIR(mode):
        if pack_folder(path, target) == 0:
            raise CandidError(f"data.path = '{path}': no file in it; {expected}")
        return f"{target.name}: packed from {path}"
    if not S_ISREG(mode):
        absolute = "" if path.is_absolute() else " here (a queued run needs an absolute path)"
        raise CandidError(f"data.path = '{str(path)[:200]}': no such file or folder{absolute}; {expected}")
    if path.stat().st_size == 0:
        raise CandidError(f"data.path = '{path}': 0 bytes; {expected}")
    if zipfile.is_zipfile(path):
        with writing(target) as aside:
            shutil.copyfile(path, aside)
        return f"{target.name}: copied from {path}"
    if is_tar(path):
        pack_tar(path, target)
        return f"{target.name}: packed from {path}"
    raise CandidError(f"data.path = '{path}': neither a zip nor a tar archive (or cut short); {expected}")


def _mode(path: Path) -> int:
    """What is at the path; 0 where nothing is, or where nothing can be by that name."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0
