"""From files to what the search needs: one small grey image each, and a digest that equal pictures share."""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from candid.audit.layout import read_layout
from candid.data.archives import Files, UnreadableError, is_not_picture
from candid.data.images import FORMATS, MAX_PIXELS, decode, open_picture
from candid.duplicates.hashes import to_grey
from candid.duplicates.views import SIZE
from candid.errors import CandidError

WAITING = 32  # files read but not decoded yet, at most
THREADS = 4  # more would hold too many large pictures at once
LEAST = 4 * SIZE  # pixels a side: enough to average over when reduced to SIZE
THUMBNAIL = 224  # pixels a side of the pictures that are shown
SUFFIXES = (*".jpg .jpeg .jpe .jfif .png .bmp .gif .tif .tiff .webp .ppm .pgm .pbm .pnm .mpo".split(),)  # noqa: SIM905

Made = TypeVar("Made")


class Decoded(NamedTuple):
    """What is kept of one image."""

    grey: NDArray[np.uint8]
    """SIZE x SIZE."""
    digest: bytes
    """16 bytes of its width, height and its pixels at SIZE x SIZE in colour."""


class ImageSet(NamedTuple):
    """What was read of a set."""

    images: pd.DataFrame
    """file, label, part; one row an image, in order of file."""
    pixels: NDArray[np.uint8]
    """N x SIZE x SIZE, grey."""
    digests: NDArray[np.void]
    """16 bytes an image, equal for exact copies: pixel for pixel at full size."""
    unreadable: pd.DataFrame
    """file, reason."""
    other_files: int
    """Files that are no images."""


def read_images(source: Files, use_labels: bool = True) -> ImageSet:
    """Decode all images of a set, straight to the working size.

    Raises:
        CandidError: there is no image in it.
    """
    names = source.names
    tried = [name for name in names if not is_not_picture(name)]
    kept: dict[str, Decoded] = {}
    faults: dict[str, str] = {}
    bar = tqdm(total=len(tried), desc="reading", unit=" images", disable=None, leave=False)
    with bar:
        for name, found in _in_threads(source.read_all(tried), _decoded):
            bar.update()
            if isinstance(found, Decoded):
                kept[name] = found
            elif name.lower().endswith(SUFFIXES) or "known format" not in str(found):
                faults[name] = str(found)
    if not kept:
        fault = next((f"; {name!r}: {reason}" for name, reason in sorted(faults.items())), "")
        raise CandidError(f"no image among {len(names)} files{fault}; expected some of {', '.join(FORMATS)}")
    order = sorted(kept)
    digests = {name: one.digest for name, one in kept.items()} | _full_digests(source, kept)
    layout = read_layout(order, use_labels)
    return ImageSet(
        pd.DataFrame({"file": order, "label": layout.labels, "part": layout.parts}, dtype=str),
        np.stack([kept[name].grey for name in order]),
        np.array([digests[name] for name in order], np.dtype((np.void, 16))),
        pd.DataFrame(sorted(faults.items()), columns=["file", "reason"], dtype=str),
        len(names) - len(kept) - len(faults),
    )


def thumbnails(source: Files, names: Iterable[str]) -> dict[str, NDArray[np.uint8]]:
    """Read some images once more for the eye: grey or RGB, THUMBNAIL pixels a side at most, not stretched."""
    return {
        name: _thumbnail(data)
        for name, data in source.read_all(sorted(set(names)))
        if isinstance(data, bytes)
    }


def _full_digests(source: Files, kept: dict[str, Decoded]) -> dict[str, bytes]:
    """Digests of all pixels, of the images that look equal once reduced: a retouched copy is no exact one.

    These are read a second time, since a large JPEG is never decoded at its full size the first time.
    """
    times = Counter(one.digest for one in kept.values())
    alike = [name for name, one in kept.items() if times[one.digest] > 1]
    return dict(_in_threads(source.read_all(alike), _full_digest))


def _in_threads(
    files: Iterator[tuple[str, bytes | UnreadableError]], make: Callable[[bytes | UnreadableError], Made]
) -> Iterator[tuple[str, Made]]:
    """Decode on several cores while this one reads; in the order of `files`."""
    waiting: deque[tuple[str, Future[Made]]] = deque()
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        for name, data in files:
            waiting.append((name, pool.submit(make, data)))
            if len(waiting) >= WAITING:
                first, future = waiting.popleft()
                yield first, future.result()
        for name, future in waiting:
            yield name, future.result()


def _decoded(data: bytes | UnreadableError) -> Decoded | UnreadableError:
    if isinstance(data, UnreadableError):
        return data
    try:
        size, pixels = _pixels(data)
    except UnreadableError as error:
        return error
    return Decoded(to_grey(pixels[None])[0], _digest(f"{size}".encode(), pixels.tobytes()))


def _full_digest(data: bytes | UnreadableError) -> bytes:
    """Of width, height and all pixels in colour; of the file where these are out of reach."""
    if isinstance(data, UnreadableError):
        return _digest(str(data).encode())
    try:
        image = open_picture(data)
    except UnreadableError:
        return _digest(data)
    return _digest(f"{image.size}".encode(), image.convert("RGB").tobytes())


def _digest(*parts: bytes) -> bytes:
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        made.update(part)
    return made.digest()


def _pixels(data: bytes) -> tuple[tuple[int, int], NDArray[np.uint8]]:
    """Width and height of an image, and its pixels at SIZE x SIZE x 3.

    A large JPEG is reduced by its decoder, to LEAST pixels a side or more: a tenth of the time.
    """
    size = (0, 0)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            size = image.size
            if image.format == "JPEG" and min(size) >= 2 * LEAST and size[0] * size[1] <= MAX_PIXELS:
                image.draft(None, (LEAST, LEAST))
                upright = ImageOps.exif_transpose(image).convert("RGB")
                return size, np.asarray(upright.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    except Exception:  # decoders raise whatever they stumble over; decode says it in words
        pass
    return size, np.ascontiguousarray(decode(data, SIZE, "rgb"))


def _thumbnail(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.mode not in ("L", "RGB"):  # 16 bits, transparency, palettes: as the search sees them
            return decode(data, THUMBNAIL, "rgb")
        upright = ImageOps.exif_transpose(image)
        upright.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        return np.asarray(upright)
