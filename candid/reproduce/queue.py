"""DVC's own queue of experiments: the one door to it.

DVC documents the commands (`dvc exp run --queue`, `dvc queue ...`); each of them takes seconds to start, and
the queue's state comes as a table for people. So the Python classes behind the commands are used; the tests
run them for real.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

from candid.errors import CandidError

FAILED, CANCELED, FINISHED = 4, 5, 6
"""dvc.repo.experiments.executor.base.TaskStatus; what is below FAILED is waiting or under way."""
REASON = re.compile(r"candid [a-z_]+: .+")
"""The line that a stage ends in when something is wrong."""


class State(Enum):
    """Of a task in the queue."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Queue:
    """The queue of one project."""

    def __init__(self, root: Path) -> None:
        """Open it; CandidError where the folder is no DVC project."""
        self.root = root
        with self._opened() as repo:
            queue = repo.experiments.celery_queue
            self.folder = Path(queue.pid_dir)
            self.logs = Path(queue.wdir)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        from dvc.exceptions import DvcException  # a second, and only needed once something is to be run
        from dvc.repo import Repo
        from scmrepo.exceptions import SCMError

        try:
            with Repo(str(self.root), _wait_for_lock=True) as repo:
                yield repo
        except (DvcException, SCMError) as error:
            causes = [str(one) for one in (error, error.__cause__) if one is not None and str(one)]
            raise CandidError(f"DVC: {': '.join(causes) or type(error).__name__}") from None

    def put(self, name: str, overrides: Sequence[str]) -> str:
        """Queue an experiment of the tree as it stands; give the task's id (a commit of DVC's stash).

        DVC takes uncommitted changes away and brings them back meanwhile, which must not be interrupted.
        """
        with _uninterrupted(), self._opened() as repo:
            repo.experiments.run(queue=True, name=name, params=list(overrides))
            queue = repo.experiments.celery_queue
            tasks = (*queue.iter_active(), *queue.iter_queued())  # a worker may have taken it by now
            return {entry.name: str(entry.stash_rev) for entry in tasks}[name]

    def waiting(self) -> dict[str, str]:
        """Name -> task of all experiments that no worker has taken yet."""
        with self._opened() as repo:
            return {entry.name: entry.stash_rev for entry in repo.experiments.celery_queue.iter_queued()}

    def taken(self) -> dict[str, str]:
        """Name -> task of all that a worker has taken and not ended; it may be gone."""
        with self._opened() as repo:
            return {entry.name: entry.stash_rev for entry in repo.experiments.celery_queue.iter_active()}

    def state(self, task: str) -> State:
        """What became of a task, by the file that DVC keeps of it."""
        told = self._told(task)
        status = told.get("status", 0)
        if not told:
            return State.QUEUED
        if status in (FAILED, CANCELED):
            return State.FAILED
        if status == FINISHED:
            return State.DONE if told.get("result_hash") else State.FAILED
        return State.RUNNING

    def _told(self, task: str) -> dict[str, Any]:
        return _json(self.folder / task / f"{task}.run")

    def process(self, task: str) -> int | None:
        """Number of the process that runs a task; None where there is none, or none any more."""
        told = _json(self.folder / task / f"{task}.json")
        if told.get("returncode") is not None or not isinstance(told.get("pid"), int):
            return None
        return int(told["pid"]) if _alive(told["pid"]) else None

    def began(self, task: str) -> bool:
        """Whether a task ever had a process."""
        return (self.folder / task / f"{task}.json").exists()

    def lines(self, task: str) -> list[str]:
        """What a task has printed so far."""
        try:
            text = (self.folder / task / f"{task}.out").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]

    def reason(self, task: str) -> str:
        """Why a task failed, in one line: the stage's own where it has one."""
        lines = self.lines(task)
        own = [found[0] for line in lines if (found := REASON.search(line))]
        told = own or [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        return (told or lines or ["it left no word"])[-1]

    def seconds(self, task: str) -> float:
        """How long a task has been under way; 0 before. DVC writes the file anew when it ends."""
        try:
            return max(0.0, time.time() - (self.folder / task / f"{task}.pid").stat().st_mtime)
        except OSError:
            return 0.0

    def remove(self, tasks: Iterable[str]) -> None:
        """Take tasks that wait or have ended out of the queue; their logs stay."""
        tasks = list(tasks)
        if not tasks:
            return
        with _uninterrupted(), self._opened() as repo:
            queue = repo.experiments.celery_queue
            known = {
                entry.stash_rev
                for entry in (*queue.iter_queued(), *(done.entry for done in queue.iter_done()))
            }
            if found := [task for task in tasks if task in known]:
                queue.remove(found)

    def remove_failed(self, names: Iterable[str]) -> None:
        """Forget failed attempts at experiments of these names."""
        wanted = set(names)
        with self._opened() as repo:
            stash = repo.experiments.celery_queue.failed_stash
            tasks = [task for task, entry in stash.stash_revs.items() if entry.name in wanted]
        self.remove(tasks)

    def interrupt(self, tasks: Iterable[str]) -> None:
        """Stop tasks under way as Ctrl-C would."""
        for task in tasks:
            pid = self.process(task)
            if pid is not None:
                _send(pid, signal.SIGINT)

    def give_up(self, task: str) -> None:
        """Forget a task whose process is gone and that no worker will end, and remove its folder."""
        with _uninterrupted(), self._opened() as repo:
            queue = repo.experiments.celery_queue
            if task in {entry.stash_rev for entry in queue.iter_active()}:
                queue.kill([task], force=True)
        self.remove([task])
        folder = Path(self._told(task).get("root_dir", ""))
        if folder.parent == self.folder.parent:
            shutil.rmtree(folder, ignore_errors=True)

    def settings(self, task: str) -> bytes | None:
        """params.yaml of a task that waits or is under way."""
        from candid.compare.found import PARAMS, read_blobs

        return read_blobs(self.root, [(task, PARAMS)])[0]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put Ctrl-C (and SIGTERM) off until the block has ended."""
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _send(pid: int, number: int) -> None:
    """Signal a process and those of its group: the worker, and the stage under it."""
    try:
        group = os.getpgid(pid)
        if group == os.getpgid(0):  # a worker that shares our own group: not ourselves
            os.kill(pid, number)
        else:
            os.killpg(group, number)
    except ProcessLookupError:
        pass


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _json(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
