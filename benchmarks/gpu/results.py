"""Results as few files of a bounded size, written anew after each run."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.files import writing

PIECE = 15 << 20  # bytes
MODEL = "model.keras"
FILES = ("predictions.npz", "params.yaml", "run.json", "result.json")
LOGS = ("log.txt", "partial.json")
"""Of a run that failed or was cut: what it said, and what a benchmark had measured."""


@dataclass(frozen=True)
class Finished:
    """A run that ended well."""

    name: str
    archive: Path
    asked: dict[str, Any]
    """run.json: what it was told, with the digests of its settings and of its set; empty if there is none."""
    params: dict[str, Any]
    result: dict[str, Any]


class Results:
    """results-<number>.zip and pieces of models in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def finished(self) -> dict[str, Finished]:
        """Name -> run, for those that ended well."""
        found: dict[str, Finished] = {}
        for path in self._archives():
            with zipfile.ZipFile(path) as archive:
                entries = archive.namelist()
                for entry in entries:
                    name, _, file = entry.partition("/")
                    if file == "result.json":
                        asked, params, result = (
                            json.loads(archive.read(one)) if one in entries else {}
                            for one in (f"{name}/run.json", f"{name}/params.yaml", entry)
                        )
                        found[name] = Finished(name, path, asked, params, result)
        return found

    def broken(self) -> dict[str, dict[str, bytes]]:
        """Name -> file -> content, for runs that failed or were cut."""
        found: dict[str, dict[str, bytes]] = {}
        for path in self._archives():
            with zipfile.ZipFile(path) as archive:
                for entry in archive.namelist():
                    name, _, file = entry.partition("/")
                    if file in LOGS:
                        found.setdefault(name, {})[file] = archive.read(entry)
        return found

    def add(self, name: str, files: Sequence[Path]) -> None:
        """Put the files of a run in place of what there is of it; a cut leaves all of either."""
        files = [path for path in files if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        number = 0
        while (path := self.folder / f"results-{number}.zip").exists() and path.stat().st_size + size > PIECE:
            number += 1
        self._put(path, name, files)
        for other in self._archives():
            if other != path:
                self._put(other, name, [])

    def _put(self, path: Path, name: str, files: Sequence[Path]) -> None:
        """Write an archive anew, with these files of a run and no others of it."""
        old: list[tuple[zipfile.ZipInfo, bytes]] = []
        if path.exists():
            with zipfile.ZipFile(path) as earlier:
                old = [(entry, earlier.read(entry)) for entry in earlier.infolist()]
        kept = [one for one in old if not one[0].filename.startswith(f"{name}/")]
        if not files and len(kept) == len(old):
            return
        with writing(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as target:
            for entry, content in kept:
                target.writestr(entry, content)
            for one in files:
                target.write(one, f"{name}/{one.name}")

    def add_model(self, name: str, path: Path) -> None:
        """Cut a model into pieces."""
        content = path.read_bytes()
        earlier = self._pieces(name)
        written = []
        for number, start in enumerate(range(0, len(content), PIECE)):
            written.append(self.folder / f"{name}.keras-{number}")
            with writing(written[-1]) as aside:
                aside.write_bytes(content[start : start + PIECE])
        for piece in earlier:
            if piece not in written:
                piece.unlink()

    def model(self, name: str) -> bytes | None:
        """Put the pieces of a model together; None where it was not kept."""
        return b"".join(piece.read_bytes() for piece in self._pieces(name)) or None

    def _archives(self) -> list[Path]:
        return sorted(self.folder.glob("results-*.zip"), key=lambda path: int(path.stem.rpartition("-")[2]))

    def _pieces(self, name: str) -> list[Path]:
        found = self.folder.glob(f"{name}.keras-*")
        return sorted(found, key=lambda piece: int(piece.name.rpartition("-")[2]))


def accuracy(views: list[str], result: dict[str, Any]) -> float:
    """By which a run is chosen: on validation faces, under the view of evaluate.tta."""
    return float(result["scores"][f"validation_{views[0]}"]["val_accuracy"])
