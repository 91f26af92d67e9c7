"""The packages that training needs beside NumPy, SciPy and a backend, for the bare machine."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from stages.errors import CandidError
from stages.files import writing

ARCHIVE = "packages.tar.xz"

PACKAGES = (
    "keras",
    "keras-hub",
    "absl-py",
    "annotated-types",
    "h5py",
    "markdown-it-py",
    "mdurl",
    "ml-dtypes",
    "namex",
    "optree",
    "packaging",
    "pillow",
    "pydantic",
    "pydantic-core",
    "pygments",
    "regex",
    "rich",
    "ruamel.yaml",
    "sentencepiece",
    "tokenizers",
    "tqdm",
    "typing-extensions",
    "typing-inspection",
)
PLATFORMS = ("2014", "_2_17", "_2_24", "_2_27", "_2_28", "_2_31", "_2_34")
"""Of manylinux: pip takes each by its own name only."""


def fetch(path: Path, packages: Sequence[str] = PACKAGES, python: str = "3.12") -> None:
    """Write the versions that are installed here, for another Python on 64-bit Linux, into one archive.

    One solid .tar.xz takes about two thirds of the wheels' bytes.

    Args:
        packages: what the machine lacks; what they need in turn is not looked up.

    Raises:
        CandidError: the index can't be reached, or has no such wheel.
    """
    target = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    target += [part for name in PLATFORMS for part in ("--platform", f"manylinux{name}_x86_64")]
    with tempfile.TemporaryDirectory() as scratch:
        wheels, site = Path(scratch) / "wheels", Path(scratch) / "site"
        wanted = [f"{name}=={version(name)}" for name in packages]
        options = ["--quiet", "--no-deps", "--disable-pip-version-check", "-d", str(wheels)]
        command = [sys.executable, "-m", "pip", "download", *options, *target, *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise CandidError(f"pip download: {reason[0]}; expected wheels of {', '.join(wanted)}")
        for wheel in sorted(wheels.glob("*.whl")):  # a zip archive of what goes onto the path
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)
        with writing(path) as aside, tarfile.open(aside, "w:xz", preset=9) as packed:
            for found in sorted(site.rglob("*"), key=lambda one: (one.suffix, one)):  # alike beside alike
                if found.is_file():
                    packed.add(found, found.relative_to(site))


def install(path: Path, site: Path) -> None:
    """Lay the packages out in a folder for PYTHONPATH."""
    if path.is_file():
        with tarfile.open(path) as packed:
            packed.extractall(site, filter="data")
