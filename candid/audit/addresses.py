"""Files that other machines open, too: by their addresses, as fsspec reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pandas as pd

from candid.audit.sources import Source, labels_and_parts
from candid.data.archives import Files, UnreadableError, one_line
from candid.errors import CandidError

ADDRESSED = ["file", "address", "bytes"]


class Stored(Files):
    """Files by what fsspec opens: columns file, address, bytes."""

    def __init__(self, files: Any, path: str = "") -> None:
        super().__init__(Path(path))
        self._places = {name: rest for name, *rest in zip(*(files[key] for key in ADDRESSED), strict=True)}
        self._sort(self._places, [])

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return int(self._places[name][1])

    def address(self, name: str) -> str:
        """What opens it."""
        return str(self._places[name][0])

    def _open(self, name: str) -> IO[bytes]:
        from fsspec.core import url_to_fs

        try:
            system, path = url_to_fs(self.address(name))
            return system.open(path, "rb")  # type: ignore[no-any-return]
        except (PermissionError, FileNotFoundError) as error:
            raise UnreadableError(error.strerror or type(error).__name__) from None


@contextmanager
def open_address(url: str, use_labels: bool) -> Iterator[Source]:
    """Open a folder of pictures at an address of fsspec, such as s3://bucket/folder."""
    try:
        from fsspec.core import url_to_fs

        if "::" in url:  # each picture would open the archive anew
            raise ValueError("an archive")
        system, root = url_to_fs(url)
        details = system.find(root, detail=True)
    except Exception as error:  # each file system has its own: no credentials, no such host
        said = one_line(str(error))
        raise CandidError(f"{url}: {said}; expected the address of a folder that fsspec reads") from None
    rows = [(one_line(path.removeprefix(root).lstrip("/")), system.unstrip_protocol(path), info["size"])
            for path, info in details.items()]  # fmt: skip
    stored = Stored(pd.DataFrame(rows, columns=ADDRESSED), url)
    yield Source(stored, lambda names: labels_and_parts(names, use_labels), False)


def addressed(source: Source, names: list[str], skipped: dict[str, str]) -> pd.DataFrame:
    """Where other machines find the files: key and ADDRESSED; what can't be found goes to `skipped`."""
    rows: list[tuple[str, str, int]] = []
    for name in names:
        if (address := source.files.address(name)) is None:
            expected = "expected a folder, a table of paths, or an address as s3://bucket/folder"
            raise CandidError(f"{source.files.path}: --engine ray reads files only; {expected}")
        try:
            address.encode()
            rows.append((name, address, source.files.size(name)))
        except (UnreadableError, UnicodeEncodeError) as error:  # tables of Arrow hold UTF-8
            skipped[name] = str(error)
    return pd.DataFrame(rows, columns=ADDRESSED).rename_axis("key").reset_index()
