"""What ingest to class_weights write for a run, made in a clone by DVC and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from benchmarks.gpu.runs import DATA_SECTIONS, Run
from stages.errors import CandidError

ROOT = Path(__file__).resolve().parents[2]
LAST = "data/class_weights.json"


def prepare(run: Run, folder: Path) -> Path:
    """Return the folder with data/ for a run; made where it is not there yet.

    Stages that an earlier set shares come out of DVC's cache.

    Args:
        folder: holds the sets, each under its name, and the clone they are made in.

    Raises:
        CandidError: a stage failed; its own line stands above.
    """
    made = folder / run.data
    if (made / LAST).is_file():
        return made
    clone = folder / "clone"
    if not clone.is_dir():
        _call("git", "clone", "--quiet", str(ROOT), str(clone), folder=folder.parent)
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
    aside.rename(made)
    return made


def _call(*command: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, check=False)
    if done.returncode:
        raise CandidError(
            f"{' '.join(command)}: status {done.returncode}; expected 0 (its own words stand above)"
        )
