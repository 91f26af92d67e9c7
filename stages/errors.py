"""How a stage or a tool ends when something is wrong: one line on stderr and a non-zero status."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

RECOVER = "earlier results are kept: `dvc checkout` brings them back"


class CandidError(Exception):
    """A fault in what was given (setting, file, row), told in one line: what, where, what was expected."""


def run(name: str, main: Callable[[], int | None], hint: str = RECOVER) -> None:
    """Call `main` and exit; a fault of the input ends in one line `candid NAME: ...; HINT` and status 1.

    Args:
        name: the stage or tool, as its user calls it.
        main: does the work; what it returns is the exit status (None is 0).
        hint: how results of earlier runs come back; empty where nothing was touched.

    Faults of the program itself are not caught: their traceback is for a bug report.
    """
    try:
        sys.exit(main() or 0)
    except CandidError as error:
        message, status = str(error), 1
    except KeyboardInterrupt:
        message, status = "interrupted", 130
    except MemoryError:
        message, status = "out of memory: expected enough for the whole set, try a smaller data.image_size", 1
    except OSError as error:
        if not _cannot_write(error):
            raise
        where = f" at {error.filename}" if error.filename else ""
        what = f"{error.strerror or error}{where}"
        message, status = f"{what}: expected a folder with room that can be written to", 1
    one_line = " ".join(message.split())
    print(f"candid {name}: {one_line}" + (f"; {hint}" if hint else ""), file=sys.stderr)
    sys.exit(status)


def _cannot_write(error: OSError) -> bool:
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
