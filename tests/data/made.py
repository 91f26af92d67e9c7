"""Pictures, archives and settings made for the tests of download and ingest."""

from __future__ import annotations

import io
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from ruamel.yaml import YAML

from candid.data.catalogue import Dataset, DataSettings, read_catalogue
from candid.data.ingest import READERS
from candid.data.readers import Record, Rejected, Skipped, Wanted

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = read_catalogue()
SETTINGS = DataSettings(
    dataset="folder",
    path="data/own",
    subject_pattern=None,
    parts=None,
    classes=None,
    image_size=48,
    color="grey",
    max_rejected_share=0.5,
    altered="warn",
)
EVERYTHING = Wanted()


def pixels(seed: int, *shape: int) -> NDArray[np.uint8]:
    """Noise: uint8 of that shape, 48 x 48 by default."""
    return np.random.default_rng(seed).integers(0, 256, shape or (48, 48), dtype=np.uint8)


def encoded(image: NDArray[np.uint8] | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The file of a picture."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    """EXIF data that names how the camera was held."""
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def face(seed: int = 0) -> bytes:
    """A PNG of 48 x 48 grey noise."""
    return encoded(pixels(seed))


def zip_of(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive with these files, in this order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tar_of(*members: tuple[str, Any], mode: str = "w:gz", **options: Any) -> bytes:
    """A tar archive of (name, bytes or (type, link name)): a file, or a link or a device."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, **options) as archive:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                info.type, info.linkname = data
                archive.addfile(info)
    return buffer.getvalue()


def written(path: Path, data: bytes) -> Path:
    """Write a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Write a zip archive."""
    return written(path, zip_of(files, compression))


def declare(path: Path, size: int) -> Path:
    """Let the directory of a zip archive promise `size` bytes for the first file."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, size)
    return written(path, bytes(data))


def tarred(path: Path, files: dict[str, Any], mode: str = "w:gz") -> Path:
    """Write a tar archive."""
    return written(path, tar_of(*files.items(), mode=mode))


def folder(path: Path, files: dict[str, bytes]) -> Path:
    """Write these files below a folder."""
    for name, data in files.items():
        written(path / name, data)
    return path


def records(items: list[Any]) -> list[Record]:
    """The faces among what a reader gave."""
    return [item for item in items if isinstance(item, Record)]


def rejected(items: list[Any]) -> dict[str, str]:
    """File -> reason of those that were rejected."""
    return {item.file: item.reason for item in items if isinstance(item, Rejected)}


def skipped(items: list[Any]) -> dict[str, str]:
    """File -> reason of those that were skipped."""
    return {item.file: item.reason for item in items if isinstance(item, Skipped)}


def read(name: str, paths: list[Path], wanted: Wanted = EVERYTHING, **changes: Any) -> list[Any]:
    """All that the reader of dataset `name` gives for these files; `changes` to its catalogue entry."""
    entry: Dataset = CATALOGUE[name].model_copy(update=changes)
    return list(READERS[entry.reader](name, entry, paths, wanted))


def write_params(folder: Path, **data: Any) -> None:
    """The repository's params.yaml with these changes to its section `data`."""
    shutil.copy(ROOT / "params.yaml", folder)
    yaml = YAML()
    path = folder / "params.yaml"
    params = yaml.load(path.read_text(encoding="utf-8"))
    params["data"].update(data)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def one_line(done: Any, *words: str) -> None:
    """The command ended with status 1 and one line on stderr that says all of `words`."""
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0], lines[0]
