"""Kill a stage, start it again, and hold what it makes to what an undisturbed run makes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stages.errors import RECOVER
from tests.reliability.forked import Done, Forked
from tests.reliability.tiny import EARLIER, Undisturbed, files_at, left_aside, outputs
from tests.reliability.trap import Trap

KILLED = -9, -25
"""By SIGKILL, or by the kernel as a file reached its limit (SIGXFSZ)."""


FAULTS = {
    "ENOSPC": (1, "No space left on device at "),
    "EROFS": (1, "Read-only file system at "),
    "EACCES": (1, "Permission denied at "),
    "EFBIG": (1, "File too large"),
    "interrupt": (130, "interrupted"),
    "memory": (1, "out of memory"),
}
"""What may happen, the status that a stage then ends with, and what its line says."""


@dataclass
class Tally:
    """What was tried and what went wrong."""

    points: int = 0
    """Kills that came before the stage was done."""
    disturbed: int = 0
    """Runs that one of FAULTS happened to."""
    faults: list[str] = field(default_factory=list)

    def told(self, name: str) -> str:
        """One line of figures."""
        return (
            f"{name:14} {self.points:4} kills {self.disturbed:4} disturbances {len(self.faults):4} gone wrong"
        )


class Killer:
    """Kills one stage of a project, each time in a new copy of it."""

    def __init__(self, forked: Forked, undisturbed: Undisturbed, scratch: Path, stage: str) -> None:
        self.forked, self.undisturbed, self.scratch, self.stage = forked, undisturbed, scratch, stage
        self.tally = Tally()
        self.count = 0

    def run(self, folder: Path, trap: Trap | None = None, limit: float = 120) -> Done:
        """Run the stage once."""
        environment = {"CANDID_STATE": str(folder / "state")}
        return self.forked.run(self.stage, folder, trap, environment, limit)

    def new_folder(self) -> Path:
        """A project as it is before the stage runs, with an earlier run's outputs."""
        self.count += 1
        return self.undisturbed.before(self.stage, self.scratch / f"{self.stage}-{self.count}")

    def undisturbed_run(self) -> Done:
        """Run the stage without trouble; gives the changes it makes to the disk."""
        folder = self.new_folder()
        done = self.run(folder, Trap(folders=(f"{folder}/",)))
        self.check(folder, done, "undisturbed")
        shutil.rmtree(folder)
        return done

    def kill(self, trap: Trap | None = None, after: float = 120, where: str = "") -> None:
        """Kill the stage by a trap or after some seconds; look; start it again; look again."""
        folder = self.new_folder()
        if trap:
            trap = Trap(**{**trap.__dict__, "folders": (f"{folder}/",)})
        killed = self.run(folder, trap, after)
        if killed.status in KILLED:
            self.tally.points += 1
            broken = self.undisturbed.broken(self.stage, folder)
            if broken:
                self.fault(f"killed {where}: {', '.join(broken)} stand there, neither old nor whole")
        elif killed.status != 0:
            self.fault(f"{where}: status {killed.status}: {killed.err}")
        self.check(folder, self.run(folder), f"killed {where}, started again")
        shutil.rmtree(folder)

    def disturb(self, how: str, trap: Trap, where: str = "") -> None:
        """Let one of FAULTS happen to the stage: a line; then start it again: as if nothing had been."""
        folder = self.new_folder()
        status, words = FAULTS[how]
        trap = Trap(**{**trap.__dict__, "folders": (f"{folder}/",), "how": how})
        done = self.run(folder, trap)
        self.tally.disturbed += 1
        # On a full disk nothing that followed may take room; where a folder is closed once all outputs stand,
        # a finished run's checkpoints stay, and the next run removes them.
        all_there = files_at(folder, outputs(self.stage)) == self.undisturbed.wanted(self.stage)
        harmless = done.status == 0 and all_there
        start, end = f"candid {self.stage}: ", f"; {RECOVER}\n"
        line = done.err.startswith(start) and done.err.endswith(end) and done.err.count("\n") == 1
        if not harmless and (done.status != status or not line or words not in done.err):
            self.fault(f"{how} {where}: status {done.status}: {done.out}{done.err}")
        if broken := self.undisturbed.broken(self.stage, folder):
            self.fault(f"{how} {where}: {', '.join(broken)} stand there, neither old nor whole")
        if how not in ("EROFS", "EACCES") and left_aside(folder):  # a closed folder keeps what is in it
            self.fault(f"{how} {where}: left aside: {', '.join(left_aside(folder))}")
        self.check(folder, self.run(folder), f"{how} {where}, started again")
        shutil.rmtree(folder)

    def check(self, folder: Path, done: Done, where: str) -> None:
        """Hold the outputs to those of an undisturbed process."""
        if (done.status, done.err) != (0, ""):
            self.fault(f"{where}: status {done.status}: {done.err}")
        found, wanted = files_at(folder, outputs(self.stage)), self.undisturbed.wanted(self.stage)
        for path in sorted(found.keys() | wanted.keys()):
            if found.get(path) != wanted.get(path):
                state = "an earlier run's" if found.get(path) == EARLIER else "other bytes"
                self.fault(f"{where}: {path}: {state if path in found else 'missing'}")
        if left := left_aside(folder):
            self.fault(f"{where}: left aside: {', '.join(left)}")

    def fault(self, line: str) -> None:
        """Note what went wrong."""
        self.tally.faults.append(f"{self.stage}: {line}")


def at_each_change(changes: list[str], every: int = 1) -> Iterator[tuple[Trap, str]]:
    """Traps that kill before each change, or before each `every`-th."""
    for number, change in enumerate(changes, start=1):
        if number % every == 0 or number == 1:
            yield Trap(at=number), f"before change {number}, {change.replace('/', ' ', 1).split('/')[-1]}"


def within_writes(sizes: list[int], parts: int = 2) -> Iterator[tuple[Trap, str]]:
    """Traps that kill in the middle of writing files of these sizes."""
    chosen = {size * part // parts for size in sizes for part in range(1, parts)} - {0}
    for size in sorted(chosen):
        yield Trap(size=size), f"writing byte {size}"
