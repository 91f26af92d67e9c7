"""SIGKILL at every change a stage makes to the disk, then the same command: the same bits, and nothing else.

`python benchmarks/kill.py` tries many more points, those of train, evaluate and whole `dvc repro` among them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.forked import Forked
from tests.reliability.killing import Killer, at_each_change, within_writes
from tests.reliability.tiny import Undisturbed

DATA_STAGES = ("download", "ingest", "dedup", "split", "class_weights")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed.make(tmp_path_factory.mktemp("undisturbed"), DATA_STAGES)


@pytest.mark.parametrize("stage", DATA_STAGES)
def test_killed_anywhere_and_started_again_it_makes_the_same_files(
    stage: str, forked: Forked, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """The children that are killed here make what a process of its own makes: `undisturbed` is that."""
    killer = Killer(forked, undisturbed, tmp_path, stage)
    changes = killer.undisturbed_run().changes
    sizes = [len(content) for content in undisturbed.wanted(stage).values()]
    points = [*at_each_change(changes), *within_writes(sizes)]
    for trap, where in points:
        killer.kill(trap, where=where)
    assert killer.tally.faults == []
    assert killer.tally.points == len(points) > 5
