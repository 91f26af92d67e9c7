"""Workers of DVC's queue: one process each, on a GPU of its own where there are several."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from candid.backend import threads
from candid.errors import CandidError
from candid.reproduce.queue import Queue

VISIBLE = "CUDA_VISIBLE_DEVICES"
THREADS = "TF_NUM_INTRAOP_THREADS"
MOST_RESTARTS = 3
PATIENCE_SECONDS = 30.0


class Workers:
    """The workers that this process started; they outlive it, and end when the queue is empty."""

    def __init__(self, queue: Queue, count: int, gpus: Sequence[str]) -> None:
        """Take how many to run at a time; nothing is started yet."""
        self.queue = queue
        self.count = count
        self.gpus = gpus
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.restarts = 0

    def start(self) -> None:
        """Start those that don't run, whoever started them."""
        node = hashlib.sha256(str(self.queue.logs).encode()).hexdigest()[:6]  # names and pid files as DVC's
        for number in range(1, self.count + 1):
            if self._runs(number):
                continue
            name = f"dvc-exp-{node}-{number}@localhost"
            command = [sys.executable, "-m", "dvc", "exp", "queue-worker", name]
            with self.log(number).open("ab") as log:
                process = subprocess.Popen(
                    [*command, *(["--clean"] if number == 1 else [])],
                    cwd=self.queue.root,
                    env=environment(number, self.gpus, self.count),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C here is ours to handle
                )
            self.log(number).with_suffix(".pid").write_text(str(process.pid), encoding="utf-8")
            self.processes[number] = process

    def _runs(self, number: int) -> bool:
        process = self.processes.get(number)
        if process is not None:
            return process.poll() is None
        return is_worker(self.log(number).with_suffix(".pid"))

    def log(self, number: int) -> Path:
        """What a worker prints."""
        return self.queue.logs / f"dvc-exp-worker-{number}.out"

    def any(self) -> bool:
        """Whether a worker runs, whoever started it."""
        numbers = {
            int(file.stem.rpartition("-")[2]) for file in self.queue.logs.glob("dvc-exp-worker-[0-9]*.pid")
        }
        return any(self._runs(number) for number in numbers | self.processes.keys())

    def keep(self, unfinished: Mapping[str, str]) -> list[str]:
        """See to it that what waits is run; name the tasks that were lost with their worker.

        Args:
            unfinished: name -> task of those that have not ended.

        Raises:
            CandidError: the workers end again and again, and nothing was run.
        """
        if self.any():
            if self.restarts < MOST_RESTARTS and self._some_ended() and self.queue.waiting():
                self.restarts += 1
                self.start()
            return []
        lost = [
            name
            for name, task in self.queue.taken().items()
            if unfinished.get(name) == task and self.queue.process(task) is None
        ]
        for name in lost:
            self.queue.give_up(unfinished[name])
        if self.restarts == MOST_RESTARTS:
            raise CandidError(f"DVC's worker ends before it has run anything: see {self.log(1)}")
        self.restarts += 1
        self.start()
        return lost

    def _some_ended(self) -> bool:
        return any(process.poll() is not None for process in self.processes.values())

    def stop(self) -> None:
        """End ours: at once those that idle, else when what they run has ended."""
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()

    def stop_idle(self) -> None:
        """End ours once nothing waits; where others have queued something, ours go on with it."""
        if not self.queue.waiting() and not self.queue.taken():
            self.stop()
            self.wait(PATIENCE_SECONDS)  # one that is about to end would still take what is queued next

    def wait(self, seconds: float) -> None:
        """Wait for ours to have ended, at most so long."""
        end = time.monotonic() + seconds
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, end - time.monotonic()))

    def kill(self) -> None:
        """End ours and all that they run, at once."""
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def is_worker(file: Path) -> bool:
    """Whether the process whose number a file holds is a worker that runs."""
    try:
        pid = int(file.read_text(encoding="utf-8"))
        os.kill(pid, 0)
    except (OSError, ValueError):
        return False
    told = Path(f"/proc/{pid}/cmdline")  # the number may be another process's by now
    return not told.exists() or b"queue-worker" in told.read_bytes()


def environment(number: int, gpus: Sequence[str], count: int) -> dict[str, str]:
    """What worker `number` (from 1) of `count` and its stages see.

    This Python first; one GPU of several; without a GPU a share of the cores, since trainings side by side
    that each divide an operation over all cores wait for each other.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    pinned = {VISIBLE: gpus[(number - 1) % len(gpus)]} if len(gpus) > 1 else {}
    share = {THREADS: str(max(1, threads() // count))} if count > 1 and not gpus else {}
    return {**share, **os.environ, "PATH": path, **pinned}


def list_gpus() -> list[str]:
    """GPUs by the names that CUDA_VISIBLE_DEVICES takes: those it names, else all that the driver lists."""
    given = os.environ.get(VISIBLE)
    if given is not None:
        names = (name.strip() for name in given.split(","))
        # CUDA sees none of those from the first number below 0 on
        return [name for name in takewhile(lambda name: not name.startswith("-"), names) if name]
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []
