"""Small sets of images with known copies, for the tests of the audit."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.data.made import encoded as encoded
from tests.data.made import folder as write_all


def photo(seed: int, width: int = 120, height: int = 100) -> Image.Image:
    """A picture like no other: smooth shapes with some fine structure, in colour."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    fine = Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return Image.blend(coarse, fine, 0.35)


def save(folder: Path, pictures: dict[str, Image.Image]) -> Path:
    """Write pictures in the formats that their names end in."""
    kinds = {"bmp": "BMP", "jpg": "JPEG", "png": "PNG"}
    return write_all(folder, {name: encoded(each, kinds[name[-3:]]) for name, each in pictures.items()})


def known_set(folder: Path) -> dict[str, bytes]:
    """Write train/ and test/ of two classes with one copy of each sort; give the files."""
    files = {f"train/happy/h{i}.png": encoded(photo(i)) for i in range(6)}
    files |= {f"train/sad/s{i}.jpg": encoded(photo(10 + i), "JPEG", quality=92) for i in range(6)}
    files |= {f"test/happy/t{i}.png": encoded(photo(20 + i)) for i in range(4)}
    files["test/sad/exact.png"] = files["train/happy/h0.png"]  # a conflict across parts
    files["test/sad/again.jpg"] = encoded(
        photo(11), "JPEG", quality=60
    )  # a near-duplicate of train/sad/s1.jpg
    files["train/happy/small.png"] = encoded(photo(2).resize((60, 50), Image.Resampling.BICUBIC))  # of h2.png
    files["train/sad/grey.png"] = encoded(Image.new("RGB", (64, 64), (90, 90, 90)))
    files["train/sad/cut.jpg"] = files["train/sad/s0.jpg"][:500]
    files["readme.txt"] = b"not a picture"
    write_all(folder, files)
    return files


def packed(folder: Path, kind: str, target: Path) -> Path:
    """Pack a folder as zip, tar or tar.gz, under an enclosing folder and in another order than sorted."""
    files = sorted((path for path in folder.rglob("*") if path.is_file()), reverse=True)
    if kind == "folder":
        shutil.copytree(folder, target)
    elif kind == "zip":
        with zipfile.ZipFile(target, "w") as archive:
            for path in files:
                archive.write(path, f"set/{path.relative_to(folder).as_posix()}")
    else:
        with tarfile.open(target, "w:gz" if kind == "tar.gz" else "w") as archive:
            for path in files:
                archive.add(path, f"./set/{path.relative_to(folder).as_posix()}")
    return target
