"""Training killed at its checkpoints goes on after the last finished epoch; a changed run does not.

Each point is a child of a process that has imported TensorFlow and computed nothing. test_train_command.py
kills a process of its own; `python benchmarks/kill.py --stages train` tries every change of the disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.forked import Forked
from tests.reliability.killing import Killer
from tests.reliability.tiny import Undisturbed, files_at, outputs, write_params
from tests.reliability.trap import Trap

STAGES = ("download", "ingest", "dedup", "split", "class_weights", "train")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed.make(tmp_path_factory.mktemp("undisturbed"), STAGES)


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    with Forked(keras=True) as server:
        yield server


@pytest.fixture(scope="module")
def killer(forked: Forked, undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Killer:
    return Killer(forked, undisturbed, tmp_path_factory.mktemp("killed"), "train")


@pytest.fixture(scope="module")
def changes(killer: Killer) -> list[str]:
    """What an undisturbed run changes on the disk, its outputs checked against a process of its own."""
    found = killer.undisturbed_run().changes
    assert killer.tally.faults == []
    return found


def place(changes: list[str], what: str, nth: int) -> int:
    """Number of the nth change like `what`."""
    return [number for number, change in enumerate(changes, 1) if re.search(what, change)][nth - 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "nth", "epoch"),
    [
        (r"rename .*best-", 1, 0),  # nothing is there yet
        (r"rename .*state-", 2, 1),  # the new checkpoint is written, but has not its name
        (r"fsync .*model", 1, 2),  # all epochs are done
    ],
)
def test_it_goes_on_after_the_last_finished_epoch(
    killer: Killer, changes: list[str], what: str, nth: int, epoch: int
) -> None:
    folder = killer.new_folder()
    assert killer.run(folder, Trap((f"{folder}/",), place(changes, what, nth))).status == -9
    assert killer.undisturbed.broken("train", folder) == []
    done = killer.run(folder)
    killer.check(folder, done, what)
    assert killer.tally.faults == []
    told = re.match(r"going on after epoch (\d+)", done.out)
    assert (int(told[1]) if told else 0) == epoch
    assert not any((folder / "state/train").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["setting", "input"])
def test_a_changed_run_starts_anew(killer: Killer, changes: list[str], kind: str, tmp_path: Path) -> None:
    killed, fresh = killer.new_folder(), killer.new_folder()
    trap = Trap((f"{killed}/",), place(changes, r"rename .*state-", 2))
    assert killer.run(killed, trap).status == -9
    made = []
    for folder in (killed, fresh):
        if kind == "setting":
            write_params(folder, train={"seed": 1})
        else:
            weights = folder / "data/class_weights.json"
            weights.write_text(weights.read_text().replace("1.", "2.", 1))
        done = killer.run(folder)
        assert (done.status, done.err) == (0, "")
        assert "going on" not in done.out
        made.append(files_at(folder, outputs("train")))
    assert made[0] == made[1] != killer.undisturbed.wanted("train")
