"""What each worker sees of the machine, and that as many work as were asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from candid.reproduce import workers
from candid.reproduce.workers import MOST_RESTARTS, Workers, environment, list_gpus


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (workers.VISIBLE, workers.THREADS):
        monkeypatch.delenv(name, raising=False)


def test_each_worker_sees_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert list_gpus() == ["3", "5"]
    assert [environment(n, ["3", "5"], 3)["CUDA_VISIBLE_DEVICES"] for n in (1, 2, 3)] == ["3", "5", "3"]
    assert environment(1, ["7"], 1)["CUDA_VISIBLE_DEVICES"] == "3, 5", "one is left as it is"
    assert workers.THREADS not in environment(1, ["3", "5"], 2)
    for given, names in (("", []), ("-1", []), ("2,-1,3", ["2"])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        assert list_gpus() == names


@pytest.mark.parametrize(("cores", "count", "share"), [(8, 2, "4"), (8, 3, "2"), (2, 4, "1"), (8, 1, None)])
def test_workers_share_the_cores(
    cores: int, count: int, share: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert environment(1, [], count).get(workers.THREADS) == share
    monkeypatch.setenv(workers.THREADS, "7")
    assert environment(1, [], count)[workers.THREADS] == "7", "what the user says holds"


class Line:
    """Stands for DVC's queue."""

    def __init__(self, folder: Path, waits: bool) -> None:
        """Say whether anything waits."""
        self.root = self.logs = folder
        self.waits = waits

    def waiting(self) -> dict[str, str]:
        """Name -> task."""
        return {"next": "0"} if self.waits else {}


class Two(Workers):
    """Two processes that do nothing."""

    def start(self) -> None:
        """Start those that don't run."""
        for number in (1, 2):
            if number not in self.processes or self.processes[number].poll() is not None:
                self.processes[number] = subprocess.Popen(
                    [sys.executable, "-c", "import time; time.sleep(600)"]
                )

    def end(self, number: int) -> None:
        """Let one end."""
        self.processes[number].kill()
        self.processes[number].wait()


@pytest.fixture
def two(request: Any, tmp_path: Path) -> Iterator[Two]:
    found = Two(Line(tmp_path, request.param), 2, [])  # type: ignore[arg-type]
    found.start()
    yield found
    for number in found.processes:
        found.end(number)


@pytest.mark.parametrize("two", [True], indirect=True)
def test_a_worker_that_ended_is_replaced_while_tasks_wait(two: Two) -> None:
    for _ in range(MOST_RESTARTS):
        two.end(2)
        assert two.keep({}) == []
        assert two.processes[2].poll() is None
    two.end(2)
    two.keep({})
    assert two.processes[2].poll() is not None, "not for ever"


@pytest.mark.parametrize("two", [False], indirect=True)
def test_a_worker_that_ended_stays_so_where_nothing_waits(two: Two) -> None:
    two.end(2)
    two.keep({})
    assert two.processes[2].poll() is not None
