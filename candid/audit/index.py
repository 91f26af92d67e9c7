"""An index that is kept (--index FILE), so that the next audit of a grown set costs what was added.

One .npz: what was made of each picture's file, by a digest of its bytes; which pictures were compared; the
pairs that the search accepted or just rejected. It holds the pictures at SIZE x SIZE, but no name.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import PIL

import candid
from candid.audit.images import Decoded, ImageSet, Made, in_threads
from candid.data.archives import DAMAGED, Files, UnreadableError
from candid.duplicates.find import Duplicates, find_duplicates, pixel_digests
from candid.duplicates.settings import DedupSettings
from candid.duplicates.views import SIZE
from candid.errors import CandidError
from candid.files import writing

MARK = "candid audit --index, 1"
TYPES = {
    "files": np.dtype([
        ("stamp", "V16"),  # of name, size and time or checksum; 0 where only reading tells whether it changed
        ("content", "V16"), ("full", "V16"),  # digests of its bytes and its pixels (0: not needed); Decoded
        ("grey", "u1", (SIZE, SIZE)), ("digest", "V16"), ("reduced", "?"), ("frames", "?"), ("width", "i8"),
        ("height", "i8"), ("dark", "i8"), ("bright", "i8"), ("sharpness", "f8"), ("contrast", "f8"),
    ]),
    "compared": np.dtype("V32"),  # digests of what the search sees of a picture, and of all its pixels
    "pairs": np.dtype([("a", "i8"), ("b", "i8"), ("similarity", "f8"), ("mirror", "?")]),  # a, b: rows above
}  # fmt: skip


class Index:
    """What an earlier audit read and compared; this one adds to it.

    CandidError where the file is no index, or damaged. What another version or other settings made is made
    anew; stderr says so.
    """

    def __init__(self, path: Path, settings: DedupSettings) -> None:
        reading = f"{_sources('audit/images.py', 'data/images.py')} {PIL.__version__} {cv2.__version__}"
        search = f"{_sources('duplicates/*.py')} {settings.method.model_dump()} {settings.mirror}"
        self.path, self.versions = path, {"files": reading, "pairs": search}
        self._contents: dict[bytes, bytes] = {}  # stamp -> digest of the file's bytes
        self._known: dict[str, dict[bytes, Any]] = {"decoded": {}, "full": {}}
        self._files: dict[str, tuple[bytes, bytes]] = {}  # of this audit: name -> stamp and digest
        self._compared, self._pairs = (np.empty(0, TYPES[name]) for name in ("compared", "pairs"))
        if path.exists():
            self._read()

    def _read(self) -> None:
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                about = json.loads(str(archive["about"]))
                arrays = {name: archive[name] for name in TYPES}
            if about["made_by"] != MARK or {name: array.dtype for name, array in arrays.items()} != TYPES:
                raise ValueError("it holds something else")
            other = [name for name, version in self.versions.items() if about[name] != version]
        except (*DAMAGED, KeyError, TypeError, AttributeError, MemoryError):
            expected = "expected one that --index wrote, or no file yet"
            raise CandidError(f"{self.path}: no index, or damaged; {expected}") from None
        if "files" not in other:
            for stamp, content, full, *fields in arrays["files"].tolist():
                self._contents[stamp], self._known["decoded"][content] = content, Decoded(*fields)
                if any(full):
                    self._known["full"][content] = full
        if "pairs" not in other:
            self._compared, self._pairs = arrays["compared"], arrays["pairs"]
        if other:
            why = f"{' and '.join(other)} are of another version or other settings, and are made anew"
            print(f"candid audit: warning: {self.path}: {why}", file=sys.stderr)

    def made(
        self, files: Files, names: list[str], make: Callable[[bytes], Made], kind: str
    ) -> Iterator[tuple[str, Made | UnreadableError]]:
        """Give what `make` makes of each file; files that did not change are not read, let alone decoded."""
        known = self._known[kind]
        said = {name: f"{name}\n{stamp}" for name in names if (stamp := files.stamp(name))}
        stamps = {name: _digest(text.encode()) for name, text in said.items()}
        contents = {name: self._contents.get(stamp) for name, stamp in stamps.items()}
        same = {name: content for name, content in contents.items() if content in known}

        def make_new(data: bytes) -> tuple[bytes, Made]:
            content = _digest(data)
            return content, known[content] if content in known else make(data)

        unchanged = ((name, (content, known[content])) for name, content in same.items())
        changed = in_threads(files, [name for name in names if name not in same], make_new)
        for name, result in chain(unchanged, changed):
            if isinstance(result, UnreadableError):
                yield name, result
            else:
                content, known[result[0]] = result
                self._files.setdefault(name, (stamps.get(name, b""), content))
                yield name, result[1]

    def search(self, read: ImageSet, settings: DedupSettings) -> Duplicates:
        """Find duplicates without comparing pictures that were compared before; keep the pairs."""
        keys = np.stack([pixel_digests(read.pixels), read.digests], axis=1).view(TYPES["compared"])[:, 0]
        first = np.sort(np.unique(read.digests, return_index=True)[1])  # the search leaves out exact copies
        rows = dict(zip(keys[first].tolist(), first.tolist(), strict=True))
        there = np.array([rows.get(key, -1) for key in self._compared.tolist()], np.int64)
        a, b = np.sort([there[self._pairs[end]] for end in ("a", "b")], axis=0)
        known = pd.DataFrame({"a": a, "b": b, "similarity": self._pairs["similarity"]})
        known["kind"] = np.where(self._pairs["mirror"], "mirror", "near")
        found = find_duplicates(
            read.pixels, settings.method, settings.mirror, read.digests,
            originals=read.originals,
            fresh=~np.isin(np.arange(len(keys)), there), known=known[known["a"] >= 0],
        )  # fmt: skip
        pairs = pd.concat([found.pairs[found.pairs["kind"] != "exact"], found.rejected])
        pairs = pairs[pairs["a"].isin(first) & pairs["b"].isin(first)]
        a, b = np.searchsorted(first, pairs[["a", "b"]]).T
        columns = [a, b, pairs["similarity"], pairs["kind"] == "mirror"]
        self._compared, self._pairs = keys[first], np.rec.fromarrays(columns, TYPES["pairs"])
        return found

    def write(self) -> None:
        """Replace the file by what this audit saw: pictures that are gone drop out."""
        decoded, full = self._known["decoded"], self._known["full"]
        rows = [(stamp, content, full.get(content, b""), *decoded[content])
                for stamp, content in self._files.values()]  # fmt: skip
        about = json.dumps({"made_by": MARK, **self.versions})
        with writing(self.path) as aside, aside.open("wb") as file:
            files = np.array(rows, TYPES["files"])
            np.savez(file, about=about, files=files, compared=self._compared, pairs=self._pairs)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _sources(*patterns: str) -> str:
    """A digest of some modules: a version that nobody can forget to raise."""
    paths = sorted(path for pattern in patterns for path in Path(candid.__file__).parent.glob(pattern))
    return _digest(b"".join(path.read_bytes() for path in paths)).hex()
