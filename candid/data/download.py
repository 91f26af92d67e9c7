"""Where each archive comes from (mirror, Kaggle, the publisher's address, a person) and whether it is right.

Nothing stands under its final name before it has been checked.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import zipfile
import zlib
from itertools import takewhile
from pathlib import Path

from tqdm import tqdm

from candid.data.archives import Files, open_files, pack
from candid.data.catalogue import Archive
from candid.errors import CandidError, cannot_write
from candid.files import writing
from candid.text import clean

MIRROR = "CANDID_MIRROR"
SCHEME = "https://"
TIMEOUT_SECONDS = 30
MAX_DOWNLOAD_BYTES = 8 << 30  # of any file: a server could send for ever
SECRETS = ("KAGGLE_API_TOKEN", "KAGGLE_KEY")
KEY_LIKE = re.compile(r"(?=[\w+=%-]*\d)(?=[\w+=%-]*[A-Za-z])[\w+=%-]{20,}")
"""What could be a key, or a key in another writing."""

MEMBERS = Path(__file__).with_name("members")  # <archive>.txt.gz: checksum and name of each file
EXTRAS = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$|Thumbs\.db$|desktop\.ini$|Icon\\r$)", re.IGNORECASE)
"""What macOS and Windows add when somebody packs an archive again."""

MAX_REASON, MAX_NAMED = 240, 3  # characters of another program's message, and files that a message names


def read_mirror(value: str | None) -> Path | None:
    """Return the folder that CANDID_MIRROR names; None where it is unset; CandidError for no folder."""
    if not value:
        return None
    if not Path(value).is_absolute():
        raise CandidError(f"{MIRROR} = {value!r}: expected an absolute path, for queued runs too")
    if not Path(value).is_dir():
        raise CandidError(f"{MIRROR} = {value!r}: no such folder")
    return Path(value)


def obtain(archive: Archive, raw: Path, mirror: Path | None) -> str:
    """Put an archive into `raw`, checked, or raise CandidError; gives one line on where it came from."""
    if mirror:
        for name in (archive.name, *archive.also):
            if (mirror / name).is_file():
                return _copy(mirror / name, raw / name, archive)
    if archive.kaggle:
        return _from_kaggle(archive.kaggle, archive, raw, mirror)
    if archive.url:
        return _from_url(archive.url, archive, raw, mirror)
    get = f"{archive.get}; {_by_hand(archive, mirror)}"
    raise CandidError(f"{archive.name} can't be fetched by a program: {get}")


def take_own(path: Path, target: Path) -> str:
    """Make one zip of the user's folder or tar, or copy a zip; gives one line on what was done."""
    shown = f"data.path = '{clean(str(path))[:200]}'"
    expected = "expected a folder, zip or tar of one folder a class"
    try:
        path.stat()
    except (OSError, ValueError):
        here = "" if path.is_absolute() else "; a queued run needs an absolute path"
        raise CandidError(f"{shown}: no such file or folder; {expected}{here}") from None
    try:
        if path.is_file() and zipfile.is_zipfile(path):
            with writing(target) as aside:
                shutil.copyfile(path, aside)
            return f"{target.name}: copied from {clean(str(path))}"
        if pack(path, target):
            return f"{target.name}: packed from {clean(str(path))}"
    except CandidError as error:
        reason = str(error).removeprefix(f"{path}: ").rpartition("; ")[0] or str(error)
        raise CandidError(f"{shown}: {reason}; {expected}") from None
    raise CandidError(f"{shown}: no picture in it; {expected}")


def check(path: Path, archive: Archive, origin: str) -> str:
    """Compare a file that came from `origin` with the catalogue; gives what was checked, in a few words.

    CandidError: it is empty, or neither its hash nor that of its contents is known.
    """
    size = path.stat().st_size
    if size == 0:
        raise CandidError(f"{origin}: 0 bytes; expected {archive.name} with data in it")
    if archive.sha256 is None and not archive.contents:
        return "no checksum is published"
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 == archive.sha256:
        return "sha256 as known"
    whole = zipfile.is_zipfile(path)
    difference = "truncated or no zip archive" if archive.name.endswith(".zip") and not whole else ""
    if whole and archive.contents:
        try:
            with open_files(path) as files:
                if contents_digest(files) in archive.contents:
                    return "contents as published"
                difference = _difference(files, archive)
        except CandidError as error:
            difference = str(error).removeprefix(f"{path}: ")
    content = f"{size:,} bytes, sha256 {sha256}{', ' * bool(difference)}{difference}"
    expected = f"{archive.name} with sha256 {archive.sha256}, or one with the same files in it"
    raise CandidError(f"{origin}: {content}; expected {expected}")


def contents_digest(files: Files) -> str:
    """SHA-256 over the files of a set, whatever their order, dates, compression and enclosing folder.

    For each file but EXTRAS, sorted by name without the folder that encloses all of them: the name in UTF-8,
    a zero byte, and the SHA-256 of its bytes.
    """
    digest = hashlib.sha256()
    names = _published_names(files)
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    root = sum(len(level[0]) + 1 for level in takewhile(lambda level: len(set(level)) == 1, levels))
    for name in names:
        with files.stream(name) as file:
            inner = hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
        digest.update(name[root:].encode() + b"\0" + inner)
    return digest.hexdigest()


def checksum(files: Files, name: str) -> str:
    """CRC-32 of a file in hexadecimal, as MEMBERS has it."""
    crc = 0
    with files.stream(name) as file:
        while block := file.read(1 << 20):  # a table of pixels is too large for one piece
            crc = zlib.crc32(block, crc)
    return f"{crc:08x}"


def _published_names(files: Files) -> list[str]:
    return sorted(name for name in (*files.names, *files.clutter) if not EXTRAS.search(name))


def _difference(files: Files, archive: Archive) -> str:
    """Say which files an archive lacks, has beyond the published ones, or has with other content."""
    path = MEMBERS / f"{archive.name}.txt.gz"
    if not path.is_file():
        return "other files than published"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    published = {_tail(name): crc for crc, _, name in (line.partition(" ") for line in lines)}
    here = {_tail(name): name for name in _published_names(files)}
    common = here.keys() & published.keys()
    different = {name for name in common if checksum(files, here[name]) != published[name]}
    kinds = {"missing": published.keys() - here, "extra": here.keys() - published, "different": different}
    shown = [
        f"{len(names):,} {kind} ({', '.join(sorted(names)[:MAX_NAMED])}{', ...' * (len(names) > MAX_NAMED)})"
        for kind, names in kinds.items()
        if names
    ]
    return ", ".join(shown) or "the same files in other folders"


def _tail(name: str) -> str:
    """The file and the folder that it is in: what encloses a set is called otherwise here and there."""
    return "/".join(name.split("/")[-2:])


def _copy(source: Path, target: Path, archive: Archive) -> str:
    with writing(target) as aside:
        shutil.copyfile(source, aside)
        checked = check(aside, archive, str(source))
    return f"{target.name}: from {source} ({checked})"


def _from_kaggle(handle: str, archive: Archive, raw: Path, mirror: Path | None) -> str:
    """Fetch a dataset (owner/name[/versions/N]) or a contest's data (competitions/name) by Kaggle's client.

    kagglehub resumes, checks the MD5 that the server gives, keeps what it fetched in its own cache
    (KAGGLEHUB_CACHE) and unpacks archives: what comes back is a folder, or one file.
    """
    import kagglehub  # type: ignore[import-untyped]  # half a second, and only needed here

    contest = handle.startswith("competitions/")
    fetch = kagglehub.competition_download if contest else kagglehub.dataset_download
    try:
        fetched = Path(fetch(handle.removeprefix("competitions/"), path=archive.kaggle_file))
    except Exception as error:  # the client has a dozen kinds of its own
        if isinstance(error, OSError) and error.filename is not None and cannot_write(error):
            raise
        reason = without_secrets(f"{type(error).__name__}: {error}")[:MAX_REASON]
        advice = f"see docs/datasets.md, or {_by_hand(archive, mirror)}"
        raise CandidError(f"Kaggle's client can't fetch {handle}: {reason}; {advice}") from None
    if fetched.is_file():
        return _copy(fetched, raw / fetched.name, archive)
    target = raw / archive.name
    if pack(fetched, target) == 0:
        raise CandidError(f"{fetched}: no file in it; remove the folder and run again to fetch {handle} anew")
    try:
        checked = check(target, archive, f"Kaggle, {handle}")
    except CandidError as error:
        # The client has checked the transfer; what differs is what the publisher offers. Say so, and go on:
        # ingest reports the counts.
        checked = f"other files than those this catalogue was checked with: {error}"
    return f"{target.name}: from Kaggle, {handle} ({checked})"


def without_secrets(text: str) -> str:
    """Cut out of a message what the environment holds, and whatever could be a key."""
    for name in SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, "<secret>")
    return clean(KEY_LIKE.sub("<...>", text))


def _from_url(url: str, archive: Archive, raw: Path, mirror: Path | None) -> str:
    import requests

    session = requests.Session()
    session.adapters.clear()  # no redirect leads out of HTTPS
    session.mount(SCHEME, requests.adapters.HTTPAdapter())
    try:
        with (
            session,
            session.get(url, stream=True, timeout=TIMEOUT_SECONDS) as response,
            writing(raw / archive.name) as aside,
            aside.open("wb") as file,
        ):
            response.raise_for_status()
            blocks = tqdm(response.iter_content(1 << 20), desc=url, unit=" MiB", disable=None, leave=False)
            for block in blocks:
                if file.write(block) and file.tell() > MAX_DOWNLOAD_BYTES:
                    raise CandidError(f"more than {MAX_DOWNLOAD_BYTES:,} bytes")
            file.flush()
            checked = check(aside, archive, url)
    except (CandidError, ValueError, OSError) as error:
        if isinstance(error, OSError) and cannot_write(error):
            raise
        reason = clean(str(error).removeprefix(f"{url}: "))[:MAX_REASON] or type(error).__name__
        if isinstance(error, requests.exceptions.InvalidSchema):
            reason += "; expected an https address"
        raise CandidError(f"{url}: {reason}; run again, or {_by_hand(archive, mirror)}") from None
    return f"{archive.name}: from {url} ({checked})"


def _by_hand(archive: Archive, mirror: Path | None) -> str:
    names = " or ".join([archive.name, *archive.also[:1]])
    if mirror:
        return f"put {names} into {mirror}, the folder that {MIRROR} names"
    return f"put {names} into a folder and set {MIRROR} to its absolute path"
