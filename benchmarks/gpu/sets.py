"""What ingest to class_weights write for a run, made in a clone by DVC and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from benchmarks.gpu.runs import DATA_SECTIONS, Run
from stages.errors import CandidError
from stages.faces import load_images, read_splits
from stages.files import read_json

ROOT = Path(__file__).resolve().parents[2]
LAST = "data/class_weights.json"
COMMIT = "commit.txt"


def prepare(run: Run, folder: Path) -> Path:
    """Return the folder with data/ for a run; made where it is not there yet, or of another commit.

    What did not change, and stages that an earlier set shares, come out of DVC's cache.

    Args:
        folder: holds the sets, each under its name, and the clone they are made in.

    Raises:
        CandidError: a stage failed; its own line stands above.
    """
    folder = folder.absolute()  # the commands below run elsewhere
    made = folder / run.data
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    if (made / LAST).is_file() and (made / COMMIT).is_file() and (made / COMMIT).read_text() == commit:
        return made
    clone = folder / "clone"
    if not clone.is_dir():
        _call("git", "clone", "--quiet", str(ROOT), str(clone), folder=folder.parent)
    _call("git", "fetch", "--quiet", str(ROOT), "HEAD", folder=clone)
    _call("git", "reset", "--quiet", "--hard", "FETCH_HEAD", folder=clone)
    yaml = YAML()
    params = yaml.load((clone / "params.yaml").read_text(encoding="utf-8"))
    for name in DATA_SECTIONS:
        params[name] = run.params[name]
    with (clone / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    _call(sys.executable, "-m", "dvc", "repro", "--quiet", "class_weights", folder=clone)
    aside = Path(tempfile.mkdtemp(dir=folder))
    # Links: neither stages nor DVC write into a file that is there, they put another in its place.
    shutil.copytree(clone / "data", aside / "data", copy_function=os.link)
    shutil.copytree(clone / "metrics", aside / "metrics")
    (aside / COMMIT).write_text(commit)
    if made.exists():
        shutil.rmtree(made)
    aside.rename(made)
    return made


def fingerprint(folder: Path) -> str:
    """Digest of what a run sees of a set: pixels, label and part of its faces by id, and the class weights.

    Args:
        folder: with data/.
    """
    data = folder / "data"
    splits = read_splits(data / "splits.csv").sort_values("id", kind="stable")
    images = load_images(data / "faces.npy")
    found = hashlib.blake2b(str(images.shape[1:]).encode(), digest_size=16)
    found.update(json.dumps(read_json(data / "class_weights.json"), sort_keys=True).encode())
    for face, label, part in zip(splits["id"], splits["label"], splits["part"], strict=True):
        found.update(f"{label}\n{part}\n".encode())
        found.update(images[face].tobytes())
    return found.hexdigest()


def _call(*command: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, check=False)
    if done.returncode:
        raise CandidError(
            f"{' '.join(command)}: status {done.returncode}; expected 0 (its own words stand above)"
        )
