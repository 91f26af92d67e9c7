"""Kill stages at many points, start them again, compare all bits: PYTHONPATH=. python benchmarks/kill.py

--stages train evaluate: only these. --spread 20: kills spread over the time that a stage takes, beside those
at each change. --every 3: only each third change. --faults: also a full disk, a closed folder, Ctrl-C and too
little memory at each change, where the line that the stage ends in is looked at. --repro 8: kills of a whole
`dvc repro`, with all its processes, in a clone, and two at once. --queue: also kill a queued experiment while
it trains, and queue it again.

On 66 pictures and a net of two filters a layer. A stage is killed before each change that it makes to the
disk, in the middle of writing each of its files (by the kernel, as the file reaches a size), and after shares
of its time. Then the same command is run again. A point counts when the kill came before the stage was done.
Stages run as children forked from a process that has imported what they import, and done nothing more: that
their outputs are those of processes of their own is checked first. What `dvc repro` starts are processes of
their own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from tqdm import tqdm

from stages.settings import read_yaml
from tests.reliability.forked import STAGES, Forked
from tests.reliability.killing import FAULTS, Killer, Tally, at_each_change, within_writes
from tests.reliability.tiny import ROOT, Undisturbed, left_aside, write_params, write_pictures


def kill_stage(
    stage: str, undisturbed: Undisturbed, scratch: Path, spread: int, every: int, faults: bool
) -> Tally:
    """All points of one stage."""
    with Forked(keras=stage in ("train", "evaluate")) as forked:
        killer = Killer(forked, undisturbed, scratch, stage)
        started = time.monotonic()
        changes = killer.undisturbed_run().changes
        took = time.monotonic() - started
        sizes = [len(content) for content in undisturbed.wanted(stage).values()]
        points = [*at_each_change(changes, every), *within_writes(sizes, 3)]
        for trap, where in tqdm(points, desc=stage, disable=None):
            killer.kill(trap, where=where)
        for number in tqdm(range(spread), desc=f"{stage}, over time", disable=None):
            share = (number + 0.5) / spread
            killer.kill(after=share * took, where=f"after {share:.0%} of its time")
        for how in FAULTS if faults else ():
            chosen = within_writes(sizes, 3) if how == "EFBIG" else at_each_change(changes, every)
            for trap, where in tqdm(list(chosen), desc=f"{stage}, {how}", disable=None):
                killer.disturb(how, trap, where)
        return killer.tally


class Clone:
    """A checkout of the present files as a repository of its own, with the tiny set and its settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file() and name.startswith(("stages/", "dvc.yaml", ".dvc", ".gitignore")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        write_pictures(folder)
        write_params(folder, data={"path": str(folder / "own")})  # absolute, since experiments run elsewhere
        with (folder / ".gitignore").open("a") as ignored:
            ignored.write("/own/\n/state/\n")
        for command in (
            ["init", "-q", "-b", "main"],
            ["config", "user.name", "t"],
            ["config", "user.email", "t@example.org"],
            ["add", "-A"],
            ["commit", "-qm", "start"],
        ):
            subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command as the leader of a group of processes."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def start_worker(self) -> None:
        """Start a worker of the queue; it keeps the outputs it is given open, so that no pipe would end."""
        subprocess.run(
            ["dvc", "queue", "start"],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": "",
            "CANDID_STATE": str(self.folder / "state"),
            "CI": "",
        }

    def run(self, *command: str) -> str:
        """Run a command to its end; what it said."""
        with self.start(*command) as process:
            said = process.communicate()[0]
        if process.returncode:
            sys.exit(f"{' '.join(command)}: status {process.returncode}\n{said}")
        return said

    def lock(self) -> dict[str, str]:
        """Output -> hash, as dvc.lock has them."""
        stages = read_yaml(self.folder / "dvc.lock")["stages"]
        return {out["path"]: out["md5"] for entry in stages.values() for out in entry["outs"]}

    def forget(self) -> None:
        """Remove all results, the cache and the state of training."""
        for name in (".dvc/cache", ".dvc/tmp", "state"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        kept = ["-e", "/own/"]
        subprocess.run(["git", "clean", "-qfdx", *kept], cwd=self.folder, check=True)


def kill_repro(folder: Path, times: int) -> Tally:
    """Kill `dvc repro` with all its processes at `times` moments, with the same command after each."""
    tally, clone = Tally(), Clone(folder)
    started = time.monotonic()
    clone.run("dvc", "repro")
    took, wanted = time.monotonic() - started, clone.lock()
    clone.forget()
    with clone.start("dvc", "repro") as first:
        wait_until(lambda: (clone.folder / "state/train").exists(), "the start of training")
        with clone.start("dvc", "repro") as second:
            said = second.communicate()[0]
        first.communicate()
    print("a second `dvc repro` meanwhile:", " ".join(said.split())[-300:])
    if not second.returncode or first.returncode or clone.lock() != wanted:
        tally.faults.append(f"two `dvc repro` at once: {first.returncode}, {second.returncode}: {said}")
    for number in tqdm(range(times), desc="dvc repro", disable=None):
        clone.forget()
        share = (number + 0.5) / times
        with clone.start("dvc", "repro") as process:
            try:
                process.communicate(timeout=share * took)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                tally.points += 1
                process.communicate()
        clone.run("dvc", "repro")
        found = clone.lock()
        where = f"dvc repro, killed after {share:.0%} of its time"
        tally.faults += [f"{where}: {path} differs" for path in wanted if found.get(path) != wanted[path]]
        if left := left_aside(clone.folder):
            tally.faults.append(f"{where}: left aside: {', '.join(left)}")
    return tally


def kill_queued(folder: Path) -> Tally:
    """Kill a queued experiment and its worker in training; queue the same again: it goes on from there."""
    tally, clone = Tally(), Clone(folder)
    clone.run("dvc", "repro")
    queue = ("dvc", "exp", "run", "--queue", "--name", "again", "-S", "train.seed=1", "-S", "train.epochs=40")
    clone.run("dvc", "exp", "run", "--temp", "--name", "undisturbed", *queue[6:])
    shutil.rmtree(clone.folder / ".dvc/cache/runs")  # else DVC takes the queued one's training from there
    clone.run(*queue)
    clone.start_worker()
    wait_until(lambda: any((clone.folder / "state/train").glob("*/state.npz")), "a checkpoint")
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("CANDID_STATE") == str(clone.folder / "state"):
                process.kill()
    tally.points += 1
    clone.run("dvc", "queue", "remove", "--all")
    clone.run(*queue)
    clone.start_worker()
    wait_until(lambda: "Success" in clone.run("dvc", "queue", "status"), "the end of the experiment")
    said = clone.run("dvc", "queue", "logs", "again")
    if "going on after epoch" not in said:
        tally.faults.append(f"queue: it started from the beginning:\n{said}")
    refs = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    made = {ref.rpartition("/")[2]: ref for ref in refs}
    hashes = [clone.run("git", "show", f"{made[name]}:dvc.lock") for name in ("again", "undisturbed")]
    if hashes[0] != hashes[1]:
        tally.faults.append("queue: dvc.lock differs from that of an undisturbed experiment")
    clone.run("dvc", "queue", "stop")
    return tally


def wait_until(done: Callable[[], bool], what: str, looks: int = 1200) -> None:
    """Look again every half second; pauses of the whole machine don't count."""
    for _ in range(looks):
        if done():
            return
        time.sleep(0.5)
    sys.exit(f"no sign of {what} after {looks} looks")


def main() -> None:
    """Kill, compare, tell."""
    parser = argparse.ArgumentParser(description="kill stages and compare")
    parser.add_argument("--stages", nargs="*", default=list(STAGES), choices=STAGES)
    parser.add_argument("--spread", type=int, default=10)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--repro", type=int, default=0)
    parser.add_argument("--queue", action="store_true")
    options = parser.parse_args()
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "undisturbed").mkdir()
        last = max((STAGES.index(stage) for stage in options.stages), default=-1)
        undisturbed = Undisturbed.make(scratch / "undisturbed", STAGES[: last + 1])
        for stage in options.stages:
            tallies[stage] = kill_stage(
                stage, undisturbed, scratch, options.spread, options.every, options.faults
            )
            tell(stage, tallies[stage])
        if options.repro:
            tallies["dvc repro"] = kill_repro(scratch / "repro", options.repro)
            tell("dvc repro", tallies["dvc repro"])
        if options.queue:
            tallies["queue"] = kill_queued(scratch / "queue")
            tell("queue", tallies["queue"])
    every = tallies.values()
    faults = [fault for tally in every for fault in tally.faults]
    print(
        Tally(sum(tally.points for tally in every), sum(tally.disturbed for tally in every), faults).told(
            "in all"
        )
    )
    sys.exit(1 if faults else 0)


def tell(name: str, tally: Tally) -> None:
    """Print figures and whatever went wrong, as soon as they are known."""
    print(tally.told(name), *tally.faults, sep="\n", flush=True)


if __name__ == "__main__":
    main()
