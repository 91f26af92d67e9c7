"""Where each archive comes from: the mirror, then Kaggle, then the publisher's address, else a person."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from candid.data.catalogue import Archive
from candid.data.download import https, kaggle
from candid.data.download.pack import pack_folder
from candid.data.download.verify import check
from candid.errors import CandidError
from candid.files import writing

MIRROR = "CANDID_MIRROR"
PARTS = Path(".candid/downloads")
"""Half-fetched files: outside data/raw, which DVC empties before each run."""


def read_mirror(value: str | None) -> Path | None:
    """The folder that CANDID_MIRROR names, or None where it is unset; CandidError where it is no folder."""
    if not value:
        return None
    if not Path(value).is_absolute():
        raise CandidError(f"{MIRROR} = {value!r}: expected an absolute path, for queued runs too")
    if not Path(value).is_dir():
        raise CandidError(f"{MIRROR} = {value!r}: no such folder")
    return Path(value)


def obtain(archive: Archive, raw: Path, mirror: Path | None, parts: Path = PARTS) -> str:
    """Put one archive into `raw`, checked; gives one line on where it came from.

    Nothing stands under its final name before it has been checked.
    """
    names = [archive.name, *archive.also]
    if mirror:
        for name in names:
            if (mirror / name).is_file():
                return _copy(mirror / name, raw / name, archive)
    if archive.kaggle:
        return _from_kaggle(archive.kaggle, archive, raw, mirror)
    if archive.url:
        return _from_url(archive.url, archive, raw, mirror, parts)
    raise CandidError(
        f"{archive.name} can't be fetched by a program: {archive.get}; {_by_hand(archive, mirror)}"
    )


def _copy(source: Path, target: Path, archive: Archive) -> str:
    with writing(target) as aside:
        shutil.copyfile(source, aside)
        checked = check(aside, archive, str(source))
    return f"{target.name}: from {source} ({checked})"


def _from_kaggle(handle: str, archive: Archive, raw: Path, mirror: Path | None) -> str:
    try:
        found = kaggle.fetch(handle, archive.kaggle_file)
    except CandidError as error:
        raise CandidError(f"{error}; see docs/datasets.md, or {_by_hand(archive, mirror)}") from None
    if found.is_file():
        return _copy(found, raw / found.name, archive)
    target = raw / archive.name
    if pack_folder(found, target) == 0:
        raise CandidError(f"{found}: no file in it; remove the folder and run again to fetch {handle} anew")
    try:
        checked = check(target, archive, f"Kaggle, {handle}")
    except CandidError as error:
        # The client has checked the transfer; what differs is what the publisher offers. Say so, and go on:
        # ingest reports the counts.
        checked = f"other files than those this catalogue was checked with: {error}"
    return f"{target.name}: from Kaggle, {handle} ({checked})"


def _from_url(url: str, archive: Archive, raw: Path, mirror: Path | None, parts: Path) -> str:
    key = hashlib.sha256(url.encode()).hexdigest()[:12]
    part = parts / f"{key}-{archive.name}.part"
    try:
        https.fetch(url, part)
    except CandidError as error:
        raise CandidError(f"{error}; or {_by_hand(archive, mirror)}") from None
    try:
        checked = check(part, archive, url)
    except CandidError:
        part.unlink()  # a resume of wrong bytes would stay wrong
        raise
    raw.mkdir(parents=True, exist_ok=True)
    with writing(raw / archive.name) as aside:
        shutil.move(part, aside)
    part.with_name(part.name + ".json").unlink(missing_ok=True)
    return f"{archive.name}: from {url} ({checked})"


def _by_hand(archive: Archive, mirror: Path | None) -> str:
    names = " or ".join([archive.name, *archive.also[:1]])
    if mirror:
        return f"put {names} into {mirror}, the folder that {MIRROR} names"
    return f"put {names} into a folder and set {MIRROR} to its absolute path"
