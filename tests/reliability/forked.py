"""Stages run hundreds of times: a server that has imported them forks a child for each run.

The child does what `python -m stages.<name>` does once it has imported its modules; tests hold its outputs
to those of real processes. The server has one thread and never runs a stage itself, so that each child starts
from the same state. `Forked` starts it as `python -m tests.reliability.forked`; it takes one JSON request a
line and answers with one JSON line.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.reliability.trap import Trap, arm

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("download", "ingest", "dedup", "split", "class_weights", "train", "evaluate")
NOBODY = 65534


@dataclass(frozen=True)
class Done:
    """How a run ended."""

    status: int
    """Of the process; negative: killed by that signal."""
    out: str
    err: str
    changes: list[str]
    """What the trap counted and noted."""
    hung: bool = False
    """It was ended because it took longer than allowed."""

    def told(self) -> str:
        """The one line on stderr, once it is sure that there is no more than that."""
        assert not self.hung, f"no end in sight\n{self.out}{self.err}"
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.out
        return self.err


class Forked:
    """The server; `run` asks it for one run."""

    def __init__(self, keras: bool = False) -> None:
        """Start it; with `keras` it has imported that and TensorFlow too, but computed nothing."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",  # so that nothing but the main thread is there to be forked
        }
        command = [sys.executable, "-m", "tests.reliability.forked", *(["keras"] if keras else [])]
        self.server = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self,
        stage: str,
        folder: Path,
        trap: Trap | None = None,
        environment: dict[str, str] | None = None,
        limit: float = 300,
        user: int | None = None,
        cpu_limit: int | None = None,
    ) -> Done:
        """Run a stage in `folder`.

        Args:
            stage: its name, or module:function of what to call instead.
            trap: its notes are among what comes back.
            environment: added to this process's.
            limit: seconds, after which it is killed.
            user: number of the user to run as (only root can ask for another).
            cpu_limit: seconds of computing, after which it is killed.
        """
        request = {
            "stage": stage, "folder": str(folder), "limit": limit, "user": user, "cpu_limit": cpu_limit,
            "environment": environment or {}, "trap": asdict(trap) if trap else None,
        }  # fmt: skip
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        answer = self.server.stdout.readline()
        assert answer, "the server ended"
        return Done(**json.loads(answer))

    def close(self) -> None:
        """End the server."""
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.wait(30)
        if self.server.stdout:
            self.server.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def child(request: dict[str, Any], out: int, err: int, notes: int) -> None:
    """Become the stage's process; what it says goes into pipes, which no limit on files holds up."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    for number, name in ((1, "stdout"), (2, "stderr")):  # the server's may be files, which have a position
        setattr(sys, name, os.fdopen(number, "w", 1, closefd=False))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path.insert(0, request["folder"])  # as -m does
    if trap := request["trap"]:
        arm(Trap(**{**trap, "folders": tuple(trap["folders"])}), notes)
    if request["cpu_limit"]:
        used = int(time.process_time())
        resource.setrlimit(
            resource.RLIMIT_CPU, (used + request["cpu_limit"], used + request["cpu_limit"] + 1)
        )
    if request["user"] is not None and os.getuid() == 0:
        os.setgroups([])
        os.setgid(request["user"])
        os.setuid(request["user"])
    from candid.errors import run

    module, _, function = request["stage"].partition(":")
    if function:
        run(function, getattr(importlib.import_module(module), function))
    else:
        run(module, importlib.import_module(f"stages.{module}").main)


def serve() -> None:
    """Fork a child for each request."""
    for name in STAGES:
        importlib.import_module(f"stages.{name}")
    if "keras" in sys.argv:
        from candid.backend import use_backend

        use_backend("tensorflow")
        for name in ("fit", "nets", "save"):
            importlib.import_module(f"candid.training.{name}")
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, f"{threads} threads; a fork would take one of them along"
    for line in sys.stdin:
        request = json.loads(line)
        pipes = [os.pipe() for _ in range(3)]
        for _, end in pipes:
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 1 << 20)  # as much as anyone says
        number = os.fork()
        if number == 0:
            status = 1
            try:
                child(request, *(end for _, end in pipes))
            except SystemExit as error:
                status = error.code if isinstance(error.code, int) else int(error.code is not None)
            except BaseException:
                traceback.print_exc()
            finally:
                with suppress(OSError):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(status)
        for _, end in pipes:
            os.close(end)
        answer = wait_for(number, request["limit"])
        out, err, notes = (read_all(start) for start, _ in pipes)
        print(json.dumps({**answer, "out": out, "err": err, "changes": notes.splitlines()}), flush=True)


def read_all(pipe: int) -> str:
    """What was written into a pipe by a process that has ended; processes it started may still hold it."""
    os.set_blocking(pipe, False)
    with os.fdopen(pipe, "rb") as file:
        return (file.read() or b"").decode("utf-8", "replace")


def wait_for(number: int, limit: float) -> dict[str, Any]:
    """Wait until a child has ended; end it after `limit` seconds, pauses of the whole machine not counted."""
    pause, left, last = 0.001, limit, time.monotonic()
    while (found := os.waitpid(number, os.WNOHANG))[0] == 0:
        now = time.monotonic()
        left, last = left - min(now - last, 1), now
        if left < 0:
            os.kill(number, signal.SIGKILL)
            found = os.waitpid(number, 0)
            return {"status": os.waitstatus_to_exitcode(found[1]), "hung": True}
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
    status = os.waitstatus_to_exitcode(found[1])
    return {"status": status, "hung": status == -signal.SIGXCPU}


if __name__ == "__main__":
    serve()
