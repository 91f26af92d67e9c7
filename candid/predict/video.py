"""Frames of a video file, at a steady distance in time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from candid.data.archives import UnreadableError

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ogv", ".wmv", ".flv", ".3gp")
STARTS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"OggS",
    b"FLV\x01",
    b"\x30\x26\xb2\x75",  # Windows Media
    b"\x00\x00\x01\xba",  # MPEG
    b"\x00\x00\x01\xb3",
)
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # MP4, QuickTime: bytes 4 to 8


class Frame(NamedTuple):
    """One picture of a video."""

    seconds: float
    """From the beginning."""
    image: Image.Image
    """Upright, RGB."""


def is_video(path: Path) -> bool:
    """Does the name say that this is a video?"""
    return path.suffix.lower() in SUFFIXES


def frames(path: Path, every: float) -> Iterator[Frame]:
    """Give the first frame, and then one each `every` seconds.

    Args:
        path: its first bytes are looked at before FFmpeg is: that one also reads lists that name other files.
        every: seconds between frames, 0 for all of them.

    Raises:
        UnreadableError: no video in a known container, or nothing in it that can be decoded.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise UnreadableError(error.strerror or type(error).__name__) from None
    if not (head.startswith(STARTS) or head[4:8] in BOXES or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")):
        raise UnreadableError("no video in a known format")
    cv2 = _opencv()
    capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    try:
        seen = False
        for frame in _each(cv2, capture, every):
            seen = True
            yield frame
        if not seen:
            raise UnreadableError("no frame that can be decoded")
    finally:
        capture.release()


def _each(cv2: Any, capture: Any, every: float) -> Iterator[Frame]:
    rate = capture.get(cv2.CAP_PROP_FPS)
    due, last, number = 0.0, -1.0, 0
    while capture.isOpened() and capture.grab():
        seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if number and seconds <= last:  # a container without time stamps
            seconds = number / rate if rate > 0 else last + 1e-3
        number, last = number + 1, seconds
        if seconds + 1e-6 < due:
            continue
        due = max(due, seconds - every) + every
        good, pixels = capture.retrieve()
        if good:
            yield Frame(round(seconds, 3), Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)))


def _opencv() -> Any:
    """OpenCV, without what it and FFmpeg print about damaged files."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    import cv2

    return cv2
