"""From nothing to class weights, under conditions that no result may depend on: the committed bits."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages.settings import read_yaml
from tests.reliability.tiny import ROOT, Undisturbed, files_at, outputs, write_params, write_pictures

DATA_STAGES = ("download", "ingest", "dedup", "split", "class_weights")
ODD = {
    "LC_ALL": "C",
    "PYTHONUTF8": "0",  # so that the locale counts: ASCII for files, names and output
    "PYTHONCOERCECLOCALE": "0",
    "TZ": "Pacific/Kiritimati",
    "PYTHONHASHSEED": "4711",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def md5(path: Path) -> str:
    """A file's or a folder's hash as DVC takes it."""
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    names = sorted(each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file())
    listing = json.dumps([{"md5": md5(path / name), "relpath": name} for name in names])
    return hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest() + ".dir"


def run_oddly(stage: str, folder: Path, **environment: str) -> None:
    """Run a stage with shuffled listings on one core."""
    told = json.dumps({"shuffle": 7, "cores": 1})
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.started", told, f"stages.{stage}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **ODD, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.mark.slow
def test_the_sample_from_scratch_has_the_committed_hashes(tmp_path: Path) -> None:
    """Other locale, time zone, hash seed, order of listings and number of cores, all at once."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    committed = read_yaml(ROOT / "dvc.lock")["stages"]
    for stage in DATA_STAGES:
        run_oddly(stage, tmp_path)
        for out in committed[stage]["outs"]:
            assert md5(tmp_path / out["path"]) == out["md5"], f"{stage}: {out['path']}"


def test_ones_own_folder_gives_the_same_bits_too(tmp_path: Path) -> None:
    """With names beyond ASCII, in a folder whose listing is shuffled."""
    plain, odd = tmp_path / "plain", tmp_path / "odd"
    for folder in (plain, odd):
        folder.mkdir()
        write_pictures(folder)
        write_params(folder)
        (folder / "own/happy/00.png").rename(folder / "own/happy/fröhlich 笑.png")
    Undisturbed.run(plain, DATA_STAGES)
    for stage in DATA_STAGES:
        run_oddly(stage, odd)
        assert files_at(odd, outputs(stage)) == files_at(plain, outputs(stage)), stage
