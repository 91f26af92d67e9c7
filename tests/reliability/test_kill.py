"""A stage that is killed at a random moment: nothing half-written stands, and the next run is whole."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from pathlib import Path

import pytest

from candid.errors import run
from tests.reliability.tiny import DATA_STAGES, EARLIER, PIPELINE, Undisturbed, files_at, outputs

KILLS = 3
LONGEST = {"dedup": 0.5, "train": 4.0, "evaluate": 4.0}
"""Seconds until the last kill; the other stages take a few hundredths."""
HISTORY = "plots/history.csv"
"""Written anew after each epoch, so that a training can be watched."""
HERE = multiprocessing.get_context("forkserver")
HERE.set_forkserver_preload(["keras", *(f"stages.{stage}" for stage in PIPELINE)])


def work(stage: str, folder: Path) -> None:
    """Do what `python -m stages.STAGE` does, once it has imported its modules."""
    from importlib import import_module

    os.chdir(folder)
    os.environ["CANDID_STATE"] = str(folder / "state")
    run(stage, import_module(f"stages.{stage}").main)


def start(stage: str, folder: Path) -> multiprocessing.context.ForkServerProcess:
    process = HERE.Process(target=work, args=(stage, folder))
    process.start()
    return process


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, undisturbed: Undisturbed) -> Undisturbed:
    """A project in which every stage has run without a kill."""
    for stage in PIPELINE:
        if stage not in DATA_STAGES:
            process = start(stage, undisturbed.folder)
            process.join()
            assert process.exitcode == 0
    return undisturbed


@pytest.mark.parametrize("stage", PIPELINE)
def test_killed_it_leaves_whole_files_and_runs_again_to_the_same_bits(stage, whole, tmp_path):
    project = whole.before(stage, tmp_path / "project")
    wanted = whole.wanted(stage)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # pytest shows it when this fails
    moments = random.Random(seed)
    for _ in range(KILLS if stage in DATA_STAGES else 1):
        process = start(stage, project)
        time.sleep(moments.uniform(0, LONGEST.get(stage, 0.1)))
        process.kill()
        process.join()
        for path, content in files_at(project, outputs(stage)).items():
            if not Path(path).name.startswith("."):  # written aside
                so_far = path == HISTORY and wanted[path].startswith(content) and content.endswith(b"\n")
                assert content in (EARLIER, wanted[path]) or so_far, path
    process = start(stage, project)
    process.join()
    assert process.exitcode == 0
    made = files_at(project, outputs(stage))
    assert {path: data for path, data in made.items() if not Path(path).name.startswith(".")} == wanted
