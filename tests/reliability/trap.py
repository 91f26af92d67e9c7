"""A trap for a process: what it does to the disk is counted, and at the n-th time something happens to it.

Counted are calls that change what stands below some folders: opening a file to write, fsync, rename, remove,
mkdir, chmod. The trap springs before the call takes effect, so that n = 1, 2, 3, ... stops a process between
every two changes, at the same places each time.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.link", "os.symlink")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
TAKES_ROOM = ("open", "mkdir", "fsync", "rename", "link", "symlink")
RUNS_CODE = (
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen"),
    *("pickle.find_class", "ctypes.dlopen", "socket.connect", "socket.bind", "urllib.Request"),
)
"""Audit events that no input of ours may cause (https://docs.python.org/3/library/audit_events.html)."""


@dataclass(frozen=True)
class Trap:
    """Where, when and how."""

    folders: tuple[str, ...] = ()
    """Changes below these count."""
    at: int = 0
    """It springs at this change, the first being 1; 0: never."""
    how: str = "kill"
    """kill; interrupt (Ctrl-C); memory; or the name of an errno, from then on: ENOSPC, EROFS, EACCES, ..."""
    size: int = 0
    """Bytes beyond which no file can grow; what happens then follows from `how`: killed, or EFBIG."""
    watch: bool = False
    """Note also what no input may cause: RUNS_CODE, and changes elsewhere."""


def arm(trap: Trap, notes: int = -1) -> None:
    """Set the trap in this process, for good: an audit hook can't be taken away.

    Args:
        notes: an open file or pipe that takes one line a change: what, where.
    """
    count = 0

    def note(line: str) -> None:
        if notes >= 0:
            os.write(notes, f"{line}\n".encode("utf-8", "backslashreplace"))

    def change(what: str, path: str) -> None:
        nonlocal count
        if not path.startswith(trap.folders):
            if trap.watch and what != "fsync" and not path.startswith(("/dev/", "/proc/")):
                note(f"elsewhere {what} {path}")
            return
        count += 1
        note(f"{what} {re.sub('-[0-9]+-[a-z0-9_]{8}', '-*', path)}")
        if trap.at and count >= trap.at:
            spring(trap.how, what, path, first=count == trap.at)

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            if not isinstance(given[0], int) and isinstance(given[2], int) and given[2] & WRITES:
                change("open", absolute(given[0]))
        elif event in CHANGES:
            change(event.removeprefix("os."), absolute(given[0]))
        elif trap.watch and event in RUNS_CODE:
            note(f"code {event} {str(given)[:200]!r}")

    flush = os.fsync

    def counted_fsync(file: Any) -> None:  # fsync raises no audit event
        number = file if isinstance(file, int) else file.fileno()
        change("fsync", str(Path(f"/proc/self/fd/{number}").readlink()))
        flush(file)

    os.fsync = counted_fsync  # type: ignore[assignment]
    sys.addaudithook(hook)
    if trap.size:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (trap.size, trap.size))
        if trap.how == "kill":  # by the kernel, in the middle of a write; Python ignores the signal otherwise
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def spring(how: str, what: str, path: str, first: bool) -> None:
    """Let happen what the trap is for; a disk stays full, or read-only, after the first time."""
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "interrupt":
        if first:
            signal.raise_signal(signal.SIGINT)
    elif how == "memory":
        if first:
            raise MemoryError
    elif how != "ENOSPC" or what in TAKES_ROOM:
        code = getattr(errno, how)
        raise OSError(code, os.strerror(code), path)


def absolute(path: Any) -> str:
    """The path as text, from the root on."""
    if isinstance(path, int):
        return f"/proc/self/fd/{path}"
    return os.path.abspath(os.fsdecode(path))  # noqa: PTH100  a link is not followed
