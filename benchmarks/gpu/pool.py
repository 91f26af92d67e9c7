"""The faces of several sets, each different one once, in files that are read one after the other."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu import jpeg
from benchmarks.gpu.parts import Faces, decoded, write_coefficients, write_pixels
from stages.faces import digest

ReadFile = Callable[[int], bytes | None]
"""Row -> the picture's file as published; None where there is none."""


class Pool:
    """Different faces of one size, in the order of their files."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.files: list[bytes] = []
        self.earlier = 0
        self._seen = hashlib.blake2b(digest_size=16)

    @property
    def digest(self) -> str:
        """`parts.digest_of` all faces, those of earlier files first."""
        return self._seen.hexdigest()

    def know(self, images: Faces) -> None:
        """Count the faces of a file that travelled before: they are not written again."""
        for image in images:
            self.places[digest(image)] = len(self.places)
        self._seen.update(images.tobytes())
        self.earlier += 1

    def add(self, images: Faces, read: ReadFile) -> NDArray[np.int32]:
        """Add what is new and return the place of every face of a set (N x H x W, or x 3)."""
        names = [digest(image) for image in images]
        fresh: dict[str, int] = {}
        for row, name in enumerate(names):
            if name not in self.places:
                fresh.setdefault(name, row)
        for rows, content in _files(images, list(fresh.values()), read):
            for row in rows:
                self.places[names[row]] = len(self.places)
            self._seen.update(images[rows].tobytes())
            self.files.append(content)
        return np.array([self.places[name] for name in names], np.int32)


def _files(images: Faces, rows: list[int], read: ReadFile) -> list[tuple[list[int], bytes]]:
    """Sort rows into files: those whose JPEG files give the same pixels, bit for bit, then the others."""
    groups: dict[jpeg.Header, list[tuple[int, bytes]]] = defaultdict(list)
    for row in rows:
        content = read(row)
        header = jpeg.read_header(content) if content else None
        if content and header and images.shape[1:] == (header.height, header.width):
            groups[header].append((row, content))
    files: list[tuple[list[int], bytes]] = []
    left = set(rows)
    for header, members in groups.items():
        found, steps = jpeg.coefficients([content for _, content in members], header), np.array(header.steps)
        chosen = np.array([row for row, _ in members])
        same = (decoded(found, steps, header.height, header.width) == images[chosen]).all(axis=(1, 2))
        if same.any():
            content = write_coefficients(found[same], steps.astype(np.int32), header.height, header.width)
            files.append((chosen[same].tolist(), content))
            left -= set(chosen[same].tolist())
    if left:
        files.append((sorted(left), write_pixels(images[sorted(left)])))
    return files
