"""Follows experiments through the queue: a line for each that starts or ends, and progress below."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from candid.compare.found import METRICS, experiment_refs, read_blobs
from candid.compare.seconds import note_attempt
from candid.compare.words import duration
from candid.reproduce.queue import Queue, State
from candid.reproduce.workers import Workers

POLL_SECONDS = 1.0
CHECK_SECONDS = 2.0
"""Between two looks at whether there is a worker still."""
PATIENCE_SECONDS = 60.0
"""For a stage to end after Ctrl-C."""


class Screen:
    """Plain lines; on a terminal also one that is written over."""

    def __init__(self, stream: TextIO) -> None:
        """Write there."""
        self.stream = stream
        self.live = stream.isatty()
        self.shown = ""

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.stream.write(f"\r\x1b[K{line}\n" if self.shown else f"{line}\n")
        self.shown = ""
        self.stream.flush()

    def show(self, line: str) -> None:
        """Put a line below, in place of the last."""
        if self.live and line != self.shown:
            self.shown = line
            width = shutil.get_terminal_size().columns - 1
            self.stream.write(f"\r\x1b[K{line[:width]}")
            self.stream.flush()

    def clear(self) -> None:
        """Take the line below away."""
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
            self.shown = ""


@dataclass
class Watch:
    """What is under way."""

    root: Path
    queue: Queue
    workers: Workers
    screen: Screen
    tasks: dict[str, str]
    """Name -> task of those that have not ended."""
    again: Callable[[str], str]
    """Queues an experiment of this name anew and gives its task."""
    began: dict[str, float] = field(default_factory=dict)
    """Name -> when it was seen to begin, in seconds since 1970."""
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Name -> why."""

    def run(self) -> None:
        """Follow until all have ended."""
        total, next_check = len(self.tasks), 0.0
        while self.tasks:
            for name in list(self.tasks):
                self._look(name)
            if self.tasks and time.monotonic() > next_check:
                for name in self.workers.keep(self.tasks):
                    self._lost(name)
                next_check = time.monotonic() + CHECK_SECONDS
            self.screen.show(self._progress(total))
            if self.tasks:
                time.sleep(POLL_SECONDS)
        self.screen.clear()

    def _look(self, name: str) -> None:
        task = self.tasks[name]
        state = self.queue.state(task)
        if state is State.RUNNING and name not in self.began:
            self.began[name] = time.time() - self.queue.seconds(task)
            self.screen.say(f"started  {name}")
        if state is State.DONE:
            found = experiment_refs(self.root).get(name)
            if found:
                self._done(name, found[0][0])
            else:
                self._fail(name, "DVC could not bring its results home; see `dvc queue logs`")
        elif state is State.FAILED:
            self._fail(name, self.queue.reason(task))

    def _lost(self, name: str) -> None:
        """A task went down with its worker; one that was only taken is queued once more."""
        if self.queue.began(self.tasks[name]):
            self._fail(name, "its process was killed, or the machine went down; run the same command again")
        else:
            self.tasks[name] = self.again(name)

    def _done(self, name: str, commit: str) -> None:
        del self.tasks[name]
        self.done.append(name)
        self.workers.restarts = 0
        (metrics,) = read_blobs(self.root, [(commit, METRICS)])
        seconds = self._note(name, commit)
        took = "" if seconds is None else f", {duration(seconds)}"
        self.screen.say(f"done     {name}{_score(metrics)}{took}")

    def _fail(self, name: str, fault: str) -> None:
        del self.tasks[name]
        self.failed[name] = fault
        self._note(name)
        self.screen.say(f"failed   {name}: {fault}")

    def _note(self, name: str, commit: str | None = None) -> float | None:
        """Note how long an attempt took, where it was seen to begin."""
        if name not in self.began:
            return None
        seconds = time.time() - self.began[name]
        note_attempt(self.root, name, seconds, commit)
        return seconds

    def _progress(self, total: int) -> str:
        running = [name for name in self.tasks if name in self.began]
        parts = [
            f"{len(self.done)} of {total} done",
            *([f"{len(self.failed)} failed"] if self.failed else []),
        ]
        parts += [f"{len(running)} running", f"{len(self.tasks) - len(running)} left"]
        for name in running[:1]:
            lines = self.queue.lines(self.tasks[name])
            parts.append(
                f"{name}, {duration(self.queue.seconds(self.tasks[name]))}: {lines[-1] if lines else ''}"
            )
        return " | ".join(parts)

    def stop(self, own: Collection[str] | None = None) -> None:
        """Take tasks out of the queue and end what is under way, as Ctrl-C in a terminal would.

        Another Ctrl-C meanwhile ends it at once.

        Args:
            own: names of those to stop; None: all.
        """
        tasks = {name: task for name, task in self.tasks.items() if own is None or name in own}
        running = {name: task for name, task in tasks.items() if self.queue.state(task) is State.RUNNING}
        self.screen.say(f"stopping: {len(running)} under way, {len(tasks) - len(running)} not begun")
        self.queue.remove(task for name, task in tasks.items() if name not in running)
        self.queue.interrupt(running.values())
        try:
            end = time.monotonic() + PATIENCE_SECONDS
            while any(self.queue.state(task) is State.RUNNING for task in running.values()):
                if time.monotonic() > end:
                    raise KeyboardInterrupt
                time.sleep(0.2)
        except KeyboardInterrupt:
            self.workers.kill()
            for task in running.values():
                self.queue.give_up(task)
        self.workers.stop()
        self.workers.wait(PATIENCE_SECONDS)
        self.queue.remove(running.values())
        for name in running:
            self._note(name)
        self.screen.say("stopped: what is done stays, and the same command goes on from there")


def _score(metrics: bytes | None) -> str:
    try:
        value = json.loads(metrics or b"")["accuracy"]
        return f": accuracy {100 * value:.1f} %"
    except (ValueError, KeyError, TypeError):
        return ""
