"""What training needs travels along, and takes the place of nothing that the machine has itself."""

from __future__ import annotations

import tarfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from benchmarks.gpu.packages import PACKAGES, USUAL, install, leave_out

OF_A_BACKEND = {"numpy", "scipy"}
NOT_IMPORTED = {"kagglehub", "kagglesdk", "tensorflow-text", "huggingface-hub"}
"""Presets are fetched with them, and texts cut up; no net here is."""


def needs(names: list[str], found: set[str]) -> set[str]:
    """Names with all that they need in turn."""
    for name in names:
        if name not in found:
            found.add(name)
            lines = [Requirement(line) for line in requires(name) or []]
            here = [one for one in lines if one.marker is None or one.marker.evaluate({"extra": ""})]
            needs([one.name.lower().replace("_", "-") for one in here], found)
    return found


def test_the_list_holds_all_that_is_needed() -> None:
    roots = ["keras", "keras-hub", "pydantic", "ruamel.yaml", "tqdm", "h5py", "pillow"]
    found = needs(roots, set(OF_A_BACKEND | NOT_IMPORTED)) - OF_A_BACKEND - NOT_IMPORTED
    assert found <= set(PACKAGES)
    assert set(USUAL) <= set(PACKAGES)
    assert "typing-extensions" not in USUAL, "pydantic needs a later one than PyTorch does"


def package(site: Path, name: str, version: str, *needed: str) -> None:
    """As a wheel lays it out."""
    (site / name).mkdir(parents=True)
    (site / name / "__init__.py").write_text("")
    about = site / f"{name}-{version}.dist-info"
    about.mkdir()
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in needed)]
    (about / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")
    (about / "RECORD").write_text(f"{name}/__init__.py,,\n{about.name}/METADATA,,\n{about.name}/RECORD,,\n")


def test_what_the_machine_has_is_left_to_it(tmp_path: Path) -> None:
    site = tmp_path / "site"
    package(
        site, "needs_two", "1.0", "has_new>=2", "has_old>=2; python_version > '3'", 'absent; extra == "x"'
    )
    package(site, "has_new", "2.1")
    package(site, "has_old", "2.1")
    package(site, "keras", "3.15.1", "has_new")
    leave_out(site, {"has-new": "2.0", "has-old": "1.9", "keras": "2.9"})
    left = {path.parent.name for path in site.glob("*/__init__.py")}
    assert left == {"needs_two", "has_old", "keras"}, "this Keras is older than pyproject.toml allows"
    assert not list(site.glob("has_new*")), "nor what would be taken for its version"


def test_packages_are_laid_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path / "made", "not_installed_anywhere", "1.0")
    archive = tmp_path / "packages.tar.xz"
    with tarfile.open(archive, "w:xz") as packed:
        packed.add(tmp_path / "made", ".")
    site = install(archive, tmp_path / "scratch")
    assert (site / "not_installed_anywhere/__init__.py").is_file()
    (site / "mark").write_text("")
    assert install(archive, tmp_path / "scratch") == site
    assert (site / "mark").is_file()
    assert not install(tmp_path / "missing", tmp_path / "scratch").exists()
