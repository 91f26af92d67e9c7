"""faces.npy, written piece by piece: its length is known only at the end, and few faces are in memory."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


class FacesFile:
    """A .npy file of uint8 faces that grows; its header, which numpy pads for this, is set at the end."""

    def __init__(self, path: Path, face: tuple[int, ...]) -> None:
        self._face = face
        self._count = 0
        self._file: IO[bytes] = path.open("wb")
        self._write_header()

    def append(self, faces: NDArray[np.uint8]) -> None:
        """Add faces: uint8, n x the shape of one face."""
        if faces.shape[1:] != self._face or faces.dtype != np.uint8:
            raise ValueError(f"faces are {faces.dtype} {faces.shape}, not uint8 n x {self._face}")
        self._file.write(np.ascontiguousarray(faces).data)
        self._count += len(faces)

    def _write_header(self) -> None:
        shape = (self._count, *self._face)
        npy.write_array_header_1_0(self._file, {"descr": "|u1", "fortran_order": False, "shape": shape})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._file.seek(0)
                self._write_header()
