"""The packages that training needs beside NumPy, SciPy and a backend, for the bare machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions, version
from pathlib import Path

from stages.errors import CandidError
from stages.files import md5, writing

ROOT = Path(__file__).resolve().parents[2]
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
USUAL = (
    "absl-py",
    "h5py",
    "markdown-it-py",
    "mdurl",
    "ml-dtypes",
    "packaging",
    "pillow",
    "pygments",
    "regex",
    "rich",
    "sentencepiece",
    "tokenizers",
    "tqdm",
)
"""What a JAX and PyTorch machine usually has, new enough; of typing-extensions pydantic wants a late one."""
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


def install(path: Path, scratch: Path) -> Path:
    """Lay out, in a folder for PYTHONPATH, what the machine lacks of the packages.

    Args:
        path: what `fetch` wrote; nothing is carried where it is missing.
        scratch: gets the folder; one that an earlier call made is kept.
    """
    if not path.is_file():
        return scratch / "site"
    site = scratch / f"site-{md5(path)[:12]}"
    if not site.is_dir():
        aside = scratch / "site-aside"
        shutil.rmtree(aside, ignore_errors=True)
        with tarfile.open(path) as packed:
            packed.extractall(aside, filter="data")
        leave_out(aside, {_plain(one.name): one.version for one in distributions() if one.name})
        aside.rename(site)
    return site


def leave_out(site: Path, here: Mapping[str, str]) -> None:
    """Remove what the machine has in a version that fits: its own is built for its other packages.

    Args:
        here: plain name -> version of what is installed there.
    """
    sys.path.append(str(site))  # packaging may be one of those that were carried
    from packaging.requirements import Requirement

    sys.path.remove(str(site))
    carried = list(distributions(path=[str(site)]))
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    wanted = [
        Requirement(line) for line in [*ours, *(line for one in carried for line in one.requires or [])]
    ]
    for one in carried:
        name = _plain(one.name)
        if name in here and all(
            here[name] in need.specifier
            for need in wanted
            if _plain(need.name) == name and (need.marker is None or need.marker.evaluate({"extra": ""}))
        ):
            for file in one.files or []:
                Path(str(one.locate_file(file))).unlink(missing_ok=True)
    # An empty .dist-info would stand before the machine's own, and tell no version.
    for folder in sorted(site.rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _plain(name: str) -> str:
    """Names of packages differ in case and in their dashes."""
    return name.lower().replace("_", "-").replace(".", "-")
