"""What to look at: files, folders and archives, one picture or frame after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from candid.data.archives import MAX_FILE_BYTES, UnreadableError, is_not_picture, one_line, open_files
from candid.errors import CandidError
from candid.predict.pictures import open_picture
from candid.predict.video import frames, is_video

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")
SUFFIXES = re.compile(
    r"\.(jpe?g|jpe|jfif|mpo|png|bmp|gif|tiff?|webp|p[gp]m|hei[cf]|avif|jxl|dng|jp2)$", re.IGNORECASE
)
"""Names of pictures, of formats that are not read too: of such files it is told that they were not."""


class Picture(NamedTuple):
    """Something that may show faces."""

    file: str
    """As the user would name it."""
    inside: str
    """Its path below what the user named: the copy's name follows from it."""
    seconds: float | None
    """Of a frame, from the video's beginning."""
    image: Image.Image
    """Upright, mode L or RGB, full size."""


class Skipped(NamedTuple):
    """A file that was looked at in vain."""

    file: str
    reason: str


def pictures(paths: Sequence[Path], leave_out: Path, every: float) -> Iterator[Picture | Skipped]:
    """Open what lies under `paths`, in order.

    Of a folder come the pictures and then the videos, each sorted by name; of a tar, as they lie in it.

    Args:
        paths: pictures, videos, folders, zip and tar archives.
        leave_out: a folder that is passed over where it lies inside one: the results'.
        every: seconds between the frames of a video.

    Raises:
        CandidError: a path that does not exist or is no file, or an archive that is none.
    """
    for path in paths:
        if not (path.is_file() or path.is_dir()):  # a named pipe would be waited on for ever
            what = "neither a file nor a folder" if path.exists() else "no such file or folder"
            raise CandidError(f"{path}: {what}; expected pictures, videos or folders of them")
    return _all(paths, leave_out, every)


def _all(paths: Sequence[Path], leave_out: Path, every: float) -> Iterator[Picture | Skipped]:
    for path in paths:
        if path.is_dir() or path.name.lower().endswith(ARCHIVES):
            yield from _inside(path, leave_out, every)
        else:
            yield from _file(path, one_line(str(path)), path.name, every)


def _file(path: Path, name: str, inside: str, every: float) -> Iterator[Picture | Skipped]:
    try:
        if is_video(path):
            for frame in frames(path, every):
                yield Picture(name, inside, frame.seconds, frame.image)
        elif path.stat().st_size > MAX_FILE_BYTES:
            yield Skipped(name, f"{path.stat().st_size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
        else:
            yield Picture(name, inside, None, open_picture(path.read_bytes()))
    except UnreadableError as error:
        yield Skipped(name, str(error))
    except OSError as error:
        yield Skipped(name, error.strerror or type(error).__name__)


def _inside(path: Path, leave_out: Path, every: float) -> Iterator[Picture | Skipped]:
    """Pictures and videos of a folder; in an archive a video is passed over. Other files don't count."""
    with open_files(path, leave_out) as source:
        where = one_line(str(path))
        videos = [name for name in source.names if is_video(Path(name))]
        others = (name for name in source.names if not is_video(Path(name)) and not is_not_picture(name))
        for name, data in source.read_all(others):  # at once: else a compressed tar is unpacked anew for each
            yield from _one(f"{where}/{name}", name, data)
        for name in videos:
            if (file := source.location(name)) is not None:
                yield from _file(file, f"{where}/{name}", name, every)
            else:
                yield Skipped(f"{where}/{name}", "a video in an archive; expected it in a folder")


def _one(shown: str, name: str, data: bytes | UnreadableError) -> Iterator[Picture | Skipped]:
    try:
        if isinstance(data, UnreadableError):
            raise data
        yield Picture(shown, name, None, open_picture(data))
    except UnreadableError as error:
        if SUFFIXES.search(shown) or "known format" not in str(error):
            yield Skipped(shown, str(error))
