"""From files to what the search needs: one small grey image each, and a digest that exact copies share."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from candid.audit.sources import SUFFIXES, Source
from candid.data.archives import Files, UnreadableError, skip_reason
from candid.data.images import FORMATS, PixelBudget, content_digest, open_picture, opened
from candid.duplicates.closer import DETAILED, Originals
from candid.duplicates.closer import SIDE as CLOSE
from candid.duplicates.views import SIZE
from candid.errors import CandidError

if TYPE_CHECKING:
    from candid.audit.index import Index

WAITING = 32  # files read but not decoded yet, at most
THREADS = 4  # more would hold too many large pictures at once
LEAST = 4 * SIZE  # pixels a side: enough to average over when reduced to SIZE
ALIKE = 3.0  # grey levels, mean difference: by these a JPEG decoded at a reduced size may be off
ROUNDING = 0.15  # grey levels squared: rounding to whole levels makes half of this
THUMBNAIL = 192  # pixels a side of the pictures that are shown: twice what the page gives, for sharp screens

Made = TypeVar("Made")


class Decoded(NamedTuple):
    """What is kept of one image; dark, bright and sharpness are of LEAST pixels on the shorter side."""

    grey: NDArray[np.uint8]  # SIZE x SIZE
    digest: bytes  # 16 bytes of the size and of the pixels at SIZE x SIZE in colour
    reduced: bool  # whether it was decoded at a reduced size: a large JPEG, in a tenth of the time
    frames: bool  # whether the file holds several frames; the first is compared
    width: int  # pixels, upright
    height: int
    dark: int  # the 5 % quantile of the grey levels
    bright: int  # the 95 % quantile
    sharpness: float  # energy of structure up to 3 pixels over that of 3 to 9, which blur leaves
    contrast: float  # standard deviation of the grey levels / 128, at SIZE x SIZE


MEASURED = Decoded._fields[3:]  # columns of ImageSet.images


class ImageSet(NamedTuple):
    """What was read of a set."""

    images: pd.DataFrame  # file, label, part ("" where unknown), bytes and MEASURED; by file
    pixels: NDArray[np.uint8]  # N x SIZE x SIZE, grey
    digests: NDArray[np.void]  # 16 bytes an image, equal where all that the files show is
    originals: Originals  # the images again, in more pixels, while the source is open
    skipped: pd.DataFrame  # file, reason: unreadable pictures, raw photographs, videos
    other_files: int  # files that are no images


def read_images(source: Source, index: Index | None = None) -> ImageSet:
    """Decode all images of a set, straight to the working size; CandidError where there is none.

    What `index` holds of pictures that did not change is taken from it, and what is made is added to it.
    """
    files, made = source.files, index.made if index else in_threads
    tried, skipped = names_to_try(source)
    budget = PixelBudget(sum(_bytes(files, name) for name in tried))
    kept: dict[str, Decoded] = {}
    with tqdm(total=len(tried), desc="reading", unit=" images", disable=None, leave=False) as bar:
        for name, result in made(files, tried, partial(decode, budget=budget), "decoded"):
            bar.update()
            if isinstance(result, Decoded):
                kept[name] = result
            elif is_fault(source, name, str(result)):
                skipped[name] = str(result)
    names = sorted(kept)
    digests = {name: kept[name].digest for name in names}
    again = made(files, _alike(kept), full_digest, "full")
    digests |= {name: digest for name, digest in again if isinstance(digest, bytes)}
    measured = {key: [getattr(kept[name], key) for name in names] for key in MEASURED}
    measured["bytes"] = [_bytes(files, name) for name in names]
    pixels = np.array([kept[name].grey for name in names])
    return image_set(source, names, measured, pixels, [digests[name] for name in names], skipped)


def names_to_try(source: Source) -> tuple[list[str], dict[str, str]]:
    """Files that may be images, by their names; the others that are reported, with the reason."""
    reasons = {name: "" if source.listed else skip_reason(name) for name in source.files.names}
    skipped = {name: reason.replace("_", " ") for name, reason in reasons.items()
               if reason and reason != "not_a_picture"}  # fmt: skip
    return [name for name, reason in reasons.items() if not reason], skipped


def is_fault(source: Source, name: str, reason: str) -> bool:
    """Is a file that gave no picture reported? Not what never claimed to be one."""
    return source.listed or name.lower().endswith(SUFFIXES) or "known format" not in reason


def image_set(
    source: Source,
    names: list[str],
    measured: Mapping[str, Any],
    pixels: Any,
    digests: list[bytes],
    skipped: Mapping[str, str],
) -> ImageSet:
    """Join what was read of the images `names`, sorted; CandidError where there is none."""
    if not names:
        fault = next((f"; {name!r}: {reason}" for name, reason in sorted(skipped.items())), "")
        expected = f"expected some of {', '.join(FORMATS)}"
        raise CandidError(f"no image among {len(source.files.names)} files{fault}; {expected}")
    images = pd.DataFrame({"file": names, **source.describe(names)}, dtype=str).assign(**measured)
    return ImageSet(
        images,
        pixels,
        np.array(digests, np.dtype((np.void, 16))),
        originals(source.files, images),
        pd.DataFrame(sorted(skipped.items()), columns=["file", "reason"], dtype=str),
        len(source.files.names) - len(names) - len(skipped),
    )


def thumbnails(source: Files, names: Iterable[str]) -> dict[str, Image.Image]:
    """Read some images once more for the eye: grey or RGB, THUMBNAIL pixels a side at most, not stretched."""
    shown = {}
    for name, data in source.read_all(sorted(set(names))):
        if isinstance(data, bytes):
            shown[name] = open_picture(data)
            shown[name].thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return shown


def _bytes(source: Files, name: str) -> int:
    try:
        return source.size(name)
    except UnreadableError:
        return 0


def in_threads(
    files: Files, names: list[str], make: Callable[[bytes], Made], _kind: str = ""
) -> Iterator[tuple[str, Made | UnreadableError]]:
    """Decode on several cores while this one reads, in the order that is quickest to read."""

    def attempt(data: bytes | UnreadableError) -> Made | UnreadableError:
        try:
            return data if isinstance(data, UnreadableError) else make(data)
        except UnreadableError as error:
            return error

    waiting: deque[tuple[str, Future[Made | UnreadableError]]] = deque()
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        for name, data in files.read_all(names):
            waiting.append((name, pool.submit(attempt, data)))
            if len(waiting) >= WAITING:
                first, future = waiting.popleft()
                yield first, future.result()
        for name, future in waiting:
            yield name, future.result()


def decode(data: bytes, budget: PixelBudget) -> Decoded:
    """Decode one picture to what is kept of it."""
    small, size, frames = _reduced(data, budget)
    upright = small or open_picture(data, budget)
    if small is None:
        size = upright.size
    elif (small.width < small.height) != (size[0] < size[1]):
        size = size[::-1]
    colour = upright.convert("RGB")
    if colour.size != (SIZE, SIZE):
        colour = colour.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    pixels = np.asarray(colour)
    digest = hashlib.blake2b(f"{sorted(size)}".encode() + pixels.tobytes(), digest_size=16).digest()
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    dark, bright, sharpness = _tone(upright)
    contrast = float(grey.std()) / 128
    return Decoded(grey, digest, small is not None, frames, *size, dark, bright, sharpness, contrast)


def _reduced(data: bytes, budget: PixelBudget) -> tuple[Image.Image | None, tuple[int, int], bool]:
    """Decode a large JPEG at a reduced size, else None; its full size, and whether the file holds frames."""
    with opened(data) as image:
        frames = image.format != "MPO" and bool(getattr(image, "is_animated", False))
        small, size = None, image.size
        if image.format == "JPEG" and min(size) >= 2 * LEAST:
            image.draft(None, (LEAST, LEAST))  # the decoder reduces to LEAST pixels a side or more
            budget.take(image)
            with suppress(Exception):  # decode says what is wrong
                small = ImageOps.exif_transpose(image).convert("RGB")
        return small, size, frames


def decode_close(data: bytes) -> NDArray[np.uint8]:
    """Decode one picture for a second look: grey, CLOSE x CLOSE."""
    budget = PixelBudget(len(data))
    grey = (_reduced(data, budget)[0] or open_picture(data, budget)).convert("L")
    return np.asarray(grey.resize((CLOSE, CLOSE), Image.Resampling.BICUBIC))


def originals(source: Files, images: pd.DataFrame) -> Originals:
    """Read images (file, width, height) again for a second look; one that is gone since shows nothing."""
    names = images["file"].to_numpy()

    def read(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        close = np.zeros((len(rows), CLOSE, CLOSE), np.uint8)
        numbers = {name: number for number, name in enumerate(names[rows])}
        for name, grey in in_threads(source, list(numbers), decode_close):
            if not isinstance(grey, UnreadableError):
                close[numbers[name]] = grey
        return close

    return Originals((images[["width", "height"]].min(axis=1) >= DETAILED).to_numpy(), read)


def _tone(image: Image.Image) -> tuple[int, int, float]:
    grey = image.convert("L")
    shrink = LEAST / min(grey.size)
    if shrink < 1:
        grey = grey.resize((round(grey.width * shrink), round(grey.height * shrink)), Image.Resampling.BOX)
    levels = np.cumsum(grey.histogram())
    dark, bright = (int(np.searchsorted(levels, share * levels[-1])) for share in (0.05, 0.95))
    pixels = np.asarray(grey, np.float32)
    fine, coarse = cv2.blur(pixels, (3, 3)), cv2.blur(pixels, (9, 9))
    bands = ((pixels, fine), (fine, coarse))
    finest, next_finer = (cv2.norm(a, b, cv2.NORM_L2SQR) / pixels.size for a, b in bands)
    sharpness = max(finest - ROUNDING, 0) / max(next_finer, ROUNDING)
    return dark, bright, round(sharpness, 4)


def full_digest(data: bytes) -> bytes:
    """Digest all that a picture shows, at full size; of one that can't be decoded, the file."""
    try:
        return content_digest(data)
    except UnreadableError:
        return hashlib.blake2b(data, digest_size=16).digest()


def _alike(kept: dict[str, Decoded]) -> list[str]:
    """Name what may be exact copies: equal once reduced, or a large JPEG and its like in another format.

    These are read a second time: a retouched picture, or one of other frames, is no exact copy.
    """
    times = Counter(image.digest for image in kept.values())
    alike = {name for name, image in kept.items() if times[image.digest] > 1}
    by_size: dict[tuple[int, int], tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for name, image in kept.items():
        sides = sorted((image.width, image.height))
        by_size[sides[0], sides[1]][image.reduced].append(name)
    for full, reduced in by_size.values():
        if not full or not reduced:
            continue
        reduced.sort(key=lambda name: float(kept[name].grey.mean()))
        stack = np.stack([kept[name].grey for name in reduced]).astype(np.int16)
        means = stack.mean(axis=(1, 2))
        for name in full:
            grey = kept[name].grey.astype(np.int16)
            first, last = np.searchsorted(means, [grey.mean() - ALIKE, grey.mean() + ALIKE])
            near = np.abs(stack[first:last] - grey).mean(axis=(1, 2)) <= ALIKE
            if near.any():
                alike |= {name, *(reduced[first + row] for row in np.flatnonzero(near))}
    return sorted(alike)
