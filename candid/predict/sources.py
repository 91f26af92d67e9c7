"""What to label: files, folders, archives and the frames of videos, one picture after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from candid.data.archives import MAX_FILE_BYTES, VIDEOS, UnreadableError, one_line, open_files, skip_reason
from candid.data.images import MAX_COMPOSITE_PIXELS as MAX_PIXELS
from candid.data.images import PixelBudget, open_picture
from candid.errors import CandidError

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")
PICTURE_NAMES = re.compile(
    r"\.(jpe?g|jpe|jfif|mpo|png|bmp|gif|tiff?|webp|p[gp]m|hei[cf]|avif|jxl|dng|jp2)$", re.IGNORECASE
)
"""Names of pictures, of formats that are not read too: of such files it is told that they were not."""


class Picture(NamedTuple):
    """Something that may show faces."""

    file: str  # as the user would name it
    inside: str  # its path below what the user named: the copy's name follows from it
    seconds: float | None  # of a frame, from the video's beginning
    image: Image.Image  # upright, mode L or RGB, full size


class Skipped(NamedTuple):
    """A file that gave no picture."""

    file: str
    reason: str


def pictures(paths: Sequence[Path], leave_out: Path | None, every: float) -> Iterator[Picture | Skipped]:
    """Open what lies under `paths` (pictures, videos, folders, zip and tar archives), in order.

    Of a folder come the pictures and then the videos, each sorted by name; of a tar, as they lie in it. The
    folder `leave_out`, the results', is passed over where it lies inside one. `every`: seconds between the
    frames of a video. CandidError: a path that does not exist or is no file, or an archive that is none.
    """
    for path in paths:
        if not (path.is_file() or path.is_dir()):  # a named pipe would be waited on for ever
            what = "neither a file nor a folder" if path.exists() else "no such file or folder"
            raise CandidError(f"{path}: {what}; expected pictures, videos or folders of them")
    return chain.from_iterable(
        _inside(path, leave_out, every)
        if path.is_dir() or path.name.lower().endswith(ARCHIVES)
        else _file(path, one_line(str(path)), path.name, every)
        for path in paths
    )


def _file(path: Path, name: str, inside: str, every: float) -> Iterator[Picture | Skipped]:
    try:
        if VIDEOS.search(path.name):
            for seconds, image in frames(path, every):
                yield Picture(name, inside, seconds, image)
        elif path.stat().st_size > MAX_FILE_BYTES:
            yield Skipped(name, f"{path.stat().st_size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
        else:
            yield Picture(name, inside, None, open_picture(path.read_bytes()))
    except (UnreadableError, OSError) as error:
        yield Skipped(name, getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _inside(path: Path, leave_out: Path | None, every: float) -> Iterator[Picture | Skipped]:
    """Pictures and videos of a folder; in an archive a video is passed over. Other files don't count."""
    with open_files(path, leave_out) as source:
        where = one_line(str(path))
        # a folder's files have bounds of their own
        budget = None if path.is_dir() else PixelBudget(path.stat().st_size)
        videos = [name for name in source.names if VIDEOS.search(name)]
        others = (name for name in source.names if skip_reason(name) not in ("not_a_picture", "video"))
        for name, data in source.read_all(others):  # at once: else a compressed tar is unpacked anew for each
            shown = f"{where}/{name}"
            try:
                if isinstance(data, UnreadableError):
                    raise data
                yield Picture(shown, name, None, open_picture(data, budget))
            except UnreadableError as error:
                if PICTURE_NAMES.search(shown) or "known format" not in str(error):
                    yield Skipped(shown, str(error))
        for name in videos:
            if (file := source.location(name)) is not None:
                yield from _file(file, f"{where}/{name}", name, every)
            else:
                yield Skipped(f"{where}/{name}", "a video in an archive; expected it in a folder")


STARTS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"OggS",
    b"FLV\x01",
    b"\x30\x26\xb2\x75",  # Windows Media
    b"\x00\x00\x01\xba",  # MPEG
    b"\x00\x00\x01\xb3",
    b"G",  # MPEG transport stream
)
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # MP4, QuickTime: bytes 4 to 8


def frames(path: Path, every: float) -> Iterator[tuple[float, Image.Image]]:
    """Give the first frame and then one each `every` seconds (0: all): seconds from the beginning, RGB.

    The file's first bytes are read before FFmpeg is called, which also reads lists that name other files.
    UnreadableError: no video in a known container, or nothing in it that can be decoded.
    """
    with path.open("rb") as file:
        head = file.read(16)
    known = head[4:8] in BOXES or head[4:5] == b"G" or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
    if not known and not head.startswith(STARTS):
        raise UnreadableError("no video in a known format")
    import cv2

    capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    try:
        pixels = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if pixels > MAX_PIXELS:  # a frame takes three bytes a pixel, and the decoder keeps several
            raise UnreadableError(f"frames of {pixels:,} pixels; at most {MAX_PIXELS:,} are read")
        rate, number = capture.get(cv2.CAP_PROP_FPS), 0
        due, last, decoded = 0.0, -1.0, False
        while capture.isOpened() and capture.grab():
            seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if number and seconds <= last:  # a container without time stamps
                seconds = number / rate if rate > 0 else last + 1e-3
            number, last = number + 1, seconds
            if seconds + 1e-6 < due:
                continue
            due = max(due, seconds - every) + every
            good, frame = capture.retrieve()
            if good:
                decoded = True
                yield round(seconds, 3), Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        if not decoded:
            raise UnreadableError("no frame that can be decoded")
    finally:
        capture.release()
