"""Each file of DVC's cache is hashed again; what is damaged is named, and can be made again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.errors import CandidError
from tools import cache

ROOT = Path(__file__).resolve().parents[2]


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def put(project: Path, data: bytes, suffix: str = "") -> Path:
    """A file of the cache, as DVC lays it down."""
    name = md5(data) + suffix
    file = project / ".dvc/cache/files/md5" / name[:2] / name[2:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    file.chmod(0o444)
    return file


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two outputs in the cache, one of them checked out."""
    put(tmp_path, b"faces")
    put(tmp_path, json.dumps([{"md5": md5(b"faces"), "relpath": "a"}]).encode(), ".dir")
    put(tmp_path, b"table")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/table.csv").write_bytes(b"table")
    outs = [
        {"path": "data/faces.npy", "md5": md5(b"faces")},
        {"path": "data/table.csv", "md5": md5(b"table")},
    ]
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": {"ingest": {"outs": outs}}}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cache, "cache_folder", lambda: Path(".dvc/cache/files/md5"))
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr("sys.argv", ["cache", *options])
    return cache.main()


def flip(file: Path) -> None:
    """Change a bit behind DVC's back: the file is still write-protected."""
    data = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    file.chmod(0o444)


def test_a_whole_cache_is_whole(project, monkeypatch, capsys):
    assert run(monkeypatch) == 0
    assert "3 files, 0 damaged" in capsys.readouterr().out


def test_a_flipped_bit_is_found_named_and_left_unless_asked(project, monkeypatch, capsys):
    file = put(project, b"faces")
    flip(file)
    assert run(monkeypatch) == 1
    out = capsys.readouterr().out
    assert f"{file.relative_to(project)}: damaged (data/faces.npy)" in out
    assert "--remove" in out
    assert file.exists()


def test_what_is_damaged_goes_with_its_copies_and_nothing_else(project, monkeypatch, capsys):
    file = put(project, b"table")
    flip(file)
    (project / "data/table.csv").write_bytes(file.read_bytes())  # as `dvc checkout` gives it
    assert run(monkeypatch, "--remove") == 0
    assert not file.exists()
    assert not (project / "data/table.csv").exists()
    assert "dvc repro" in capsys.readouterr().out
    assert run(monkeypatch) == 0
    assert "2 files, 0 damaged" in capsys.readouterr().out


def test_a_file_within_a_folder_is_named_and_its_copy_goes(project, monkeypatch, capsys):
    file = put(project, b"archive")
    listing = put(project, json.dumps([{"md5": md5(b"archive"), "relpath": "a/sample.zip"}]).encode(), ".dir")
    outs = [{"path": "data/raw", "md5": listing.parent.name + listing.name}]
    (project / "dvc.lock").write_text(json.dumps({"stages": {"download": {"outs": outs}}}))
    flip(file)
    (project / "data/raw/a").mkdir(parents=True)
    (project / "data/raw/a/sample.zip").write_bytes(file.read_bytes())
    assert run(monkeypatch, "--remove") == 0
    assert f"{file.relative_to(project)}: damaged (data/raw/a/sample.zip)" in capsys.readouterr().out
    assert not (project / "data/raw/a/sample.zip").exists()


def test_a_whole_copy_of_a_damaged_file_stays(project, monkeypatch):
    flip(put(project, b"table"))
    assert run(monkeypatch, "--remove") == 0
    assert (project / "data/table.csv").read_bytes() == b"table"


def test_outside_a_project_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CandidError, match="project's folder"):
        cache.cache_folder()


@pytest.mark.slow
def test_dvc_hands_out_a_flipped_bit_and_makes_the_file_again_once_it_is_gone(tmp_path):
    """The whole way with DVC itself, on a pipeline of one stage."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CI": ""}

    def call(*command: str, status: int = 0) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    call("dvc", "init", "--no-scm", "--quiet")
    (tmp_path / "dvc.yaml").write_text("stages: {make: {cmd: printf whole > out.txt, outs: [out.txt]}}\n")
    call("dvc", "repro", "--quiet")
    flip(tmp_path / ".dvc/cache/files/md5" / md5(b"whole")[:2] / md5(b"whole")[2:])
    (tmp_path / "out.txt").unlink()
    call("dvc", "checkout", "--quiet")
    assert (tmp_path / "out.txt").read_bytes() != b"whole", (
        "DVC notices by itself now: the tool is not needed"
    )
    assert "damaged (out.txt)" in call(sys.executable, "-m", "tools.cache", status=1)
    call(sys.executable, "-m", "tools.cache", "--remove")
    call("dvc", "repro", "--quiet")
    assert (tmp_path / "out.txt").read_bytes() == b"whole"
    assert "0 damaged" in call(sys.executable, "-m", "tools.cache")
