"""How a stage or a tool ends when something is wrong: one line on stderr and a non-zero status."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

RECOVER = "earlier results are kept: `dvc checkout` brings them back, git or the next run the metrics"


class CandidError(Exception):
    """A fault in what was given (setting, file, row), told in one line: what, where, what was expected."""


class BusyError(Exception):
    """Another stage runs in the same folder."""


def run(name: str, main: Callable[[], int | None], hint: str = RECOVER, alone: bool = True) -> None:
    """Call `main` and exit; a fault of the input ends in one line `candid NAME: ...; HINT` and status 1.

    Args:
        name: the stage or tool, as its user calls it.
        main: does the work; what it returns is the exit status (None is 0).
        hint: how results of earlier runs come back; empty where nothing was touched.
        alone: let no two runs that touch results be at work in one folder: the second ends at once.

    Faults of the program itself are not caught: their traceback is for a bug report.
    """
    try:
        with _alone_here() if alone and hint else nullcontext():
            sys.exit(main() or 0)
    except BusyError:
        print(
            f"candid {name}: another stage is at work in this folder: wait until it is done, or stop it",
            file=sys.stderr,
        )
        sys.exit(1)
    except CandidError as error:
        message, status = str(error), 1
    except KeyboardInterrupt:
        message, status = "interrupted", 130
    except MemoryError:
        message, status = "out of memory: expected enough for the whole set, try a smaller data.image_size", 1
    except OSError as error:
        if not cannot_write(error):
            raise
        where = f" at {error.filename}" if error.filename else ""
        what = f"{error.strerror or error}{where}"
        message, status = f"{what}: expected a folder with room that can be written to", 1
    one_line = " ".join(message.split())
    print(f"candid {name}: {one_line}" + (f"; {hint}" if hint else ""), file=sys.stderr)
    sys.exit(status)


@contextmanager
def _alone_here() -> Iterator[None]:
    """Hold the working folder against other stages; the kernel lets go of it however this process ends.

    The folder itself is locked: that leaves nothing behind, and works where nothing can be written. File
    systems without such locks (some network mounts) are taken as they are.
    """
    folder = os.open(".", os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError from None
        except OSError:
            pass
        yield
    finally:
        os.close(folder)


def is_disk_fault(error: BaseException) -> bool:
    """Tell a fault of the disk from one of a file's content, over which libraries raise OSError too.

    Theirs have no errno, or EINVAL: a damaged header points to a place before the file's beginning.
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def cannot_write(error: OSError) -> bool:
    """Recognise a full disk or a folder that is closed to us, also as NumPy and HDF5 tell it (no errno)."""
    if error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
    ):
        return True
    text = str(error)
    return " requested and " in text or any(
        f"errno = {code}," in text for code in (errno.ENOSPC, errno.EFBIG)
    )
