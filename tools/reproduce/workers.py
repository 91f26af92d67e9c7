"""Workers of DVC's queue: one process each, on a GPU of its own where there are several."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from stages.errors import CandidError
from tools.reproduce.queue import Queue

VISIBLE = "CUDA_VISIBLE_DEVICES"
MOST_RESTARTS = 3


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
        """Start those that don't run."""
        node = hashlib.sha256(str(self.queue.logs).encode()).hexdigest()[:6]  # as DVC names its own
        for number in range(1, self.count + 1):
            process = self.processes.get(number)
            if process is not None and process.poll() is None:
                continue
            command = [
                sys.executable,
                "-m",
                "dvc",
                "exp",
                "queue-worker",
                f"dvc-exp-{node}-{number}@localhost",
            ]
            with self.log(number).open("ab") as log:
                self.processes[number] = subprocess.Popen(
                    [*command, *(["--clean"] if number == 1 else [])],
                    cwd=self.queue.root,
                    env=environment(number, self.gpus),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C here is ours to handle
                )

    def log(self, number: int) -> Path:
        """What a worker prints."""
        return self.queue.logs / f"dvc-exp-worker-{number}.out"

    def alive(self) -> bool:
        """Whether one of ours runs."""
        return any(process.poll() is None for process in self.processes.values())

    def keep(self, unfinished: dict[str, str]) -> list[str]:
        """See to it that what waits is run; name the tasks that were lost with their worker.

        Args:
            unfinished: name -> task of those that have not ended.

        Raises:
            CandidError: the workers end again and again, and nothing was run.
        """
        if self.alive() or self.queue.others():
            return []
        lost = [name for name, task in self.queue.taken().items() if unfinished.get(name) == task]
        for name in lost:
            if self.queue.process(unfinished[name]) is None:
                self.queue.give_up(unfinished[name])
        if any(unfinished.get(name) == task for name, task in self.queue.waiting().items()):
            if self.restarts == MOST_RESTARTS:
                raise CandidError(f"DVC's worker ends before it has run anything: see {self.log(1)}")
            self.restarts += 1
            self.start()
        return lost

    def stop(self) -> None:
        """End ours: at once those that idle, else when what they run has ended."""
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()

    def stop_idle(self) -> None:
        """End ours once nothing waits; where others have queued something, ours go on with it."""
        if not self.queue.waiting() and not self.queue.taken():
            self.stop()

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


def environment(number: int, gpus: Sequence[str]) -> dict[str, str]:
    """What worker `number` (from 1) and its stages see: this Python first, and one GPU of several."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    pinned = {VISIBLE: gpus[(number - 1) % len(gpus)]} if len(gpus) > 1 else {}
    return {**os.environ, "PATH": path, **pinned}


def list_gpus() -> list[str]:
    """GPUs by the names that CUDA_VISIBLE_DEVICES takes: those it names, else all that the driver lists."""
    given = os.environ.get(VISIBLE)
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip()]
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []
