"""Results as few files of a bounded size, written anew after each run."""

from __future__ import annotations

import zipfile
from pathlib import Path

from stages.files import writing

PIECE = 15 << 20  # bytes
MODEL = "model.keras"


class Results:
    """results-<number>.zip and pieces of models in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def done(self) -> set[str]:
        """Names of the runs that are there."""
        names: set[str] = set()
        for path in self.folder.glob("results-*.zip"):
            with zipfile.ZipFile(path) as archive:
                names |= {name.split("/")[0] for name in archive.namelist() if name.endswith("/result.json")}
        return names

    def add(self, name: str, files: list[Path]) -> None:
        """Add the files of a run; a cut leaves either all of them or none."""
        files = [path for path in files if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        number = 0
        while (path := self.folder / f"results-{number}.zip").exists() and path.stat().st_size + size > PIECE:
            number += 1
        with writing(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as target:
            if path.exists():
                with zipfile.ZipFile(path) as earlier:
                    kept = [one for one in earlier.infolist() if not one.filename.startswith(f"{name}/")]
                    for entry in kept:
                        target.writestr(entry, earlier.read(entry))
            for one in files:
                target.write(one, f"{name}/{one.name}")

    def add_model(self, name: str, path: Path) -> None:
        """Cut a model into pieces."""
        content = path.read_bytes()
        for number, start in enumerate(range(0, len(content), PIECE)):
            with writing(self.folder / f"{name}.keras-{number}") as aside:
                aside.write_bytes(content[start : start + PIECE])

    def model(self, name: str) -> bytes | None:
        """Put the pieces of a model together; None where it was not kept."""
        pieces = sorted(
            self.folder.glob(f"{name}.keras-*"), key=lambda piece: int(piece.name.rpartition("-")[2])
        )
        return b"".join(piece.read_bytes() for piece in pieces) or None
