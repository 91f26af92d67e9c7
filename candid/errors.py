"""How a stage or a command ends: its output is written or the failure is said, in one line, with a status."""

from __future__ import annotations

import codecs
import errno
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TextIO

from candid.text import clean

RECOVER = "earlier results are kept: `dvc checkout` brings them back, git or the next run the metrics"
LOCK = Path(".dvc/tmp/candid.lock")
LOOK_ALIKE = str.maketrans("\u2212\u2013\u2014\u201c\u201d\u2018\u2019\u00a0", "---\"\"'' ")


class CandidError(Exception):
    """A fault in the input (setting, file, row), in one line: what, where, what was expected."""


def run(name: str, main: Callable[[], int | None], hint: str = RECOVER, failure: int = 1) -> None:
    """Call `main` and exit; a fault of the input ends in one line `candid NAME: ...; HINT` on stderr.

    `name` is what its user calls the stage or command; what `main` returns is the exit status (None is 0).
    `hint` says how results of earlier runs come back; empty where nothing is touched: only then may two runs
    be at work in one folder, else the second ends at once. `failure`: status of a fault; an interrupt is 130.

    Whatever is printed is guarded here. Text that the terminal can't encode is replaced, a reader that leaves
    early (`| head`) changes nothing, and output that can't be written (a full disk) is a fault like others.
    Faults of the program itself keep their traceback, for a bug report.
    """
    _guard_output()
    try:
        with _alone_here() if hint else nullcontext():
            try:
                status = main()
            except SystemExit as end:
                status = end.code  # type: ignore[assignment]
        sys.stdout.flush()
        _finish(sys.stderr)
        sys.exit(0 if status is None else status)
    except CandidError as error:
        message = str(error)
    except KeyboardInterrupt:
        message, failure = "interrupted", 130
    except MemoryError:
        message = "out of memory: expected enough for the whole set, try a smaller data.image_size"
    except Exception as error:
        if not (isinstance(error, OSError) and cannot_write(error)):
            if failure == 1:  # the status that Python gives to an exception
                raise
            traceback.print_exc()
            sys.exit(failure)
        where = f" at {error.filename}" if error.filename else ""
        message = f"{error.strerror or error}{where}: expected a folder with room that can be written to"
    line = f"{f'candid {name}'.rstrip()}: {clean(' '.join(message.split()))}" + f"; {hint}" * bool(hint)
    with suppress(OSError):  # standard error may be full, too
        print(line, file=sys.stderr)
    _finish(sys.stderr)
    _finish(sys.stdout)
    sys.exit(failure)


class _Output:
    """A stream whose reader may leave: from then on what is written is discarded, and the work goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failure: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            _discard_output(self._stream)
            return len(text)
        except OSError as error:  # remembered: argparse passes over it
            self._failure = error
            raise

    def flush(self) -> None:
        failure, self._failure = self._failure, None
        if failure:
            raise failure
        try:
            self._stream.flush()
        except BrokenPipeError:
            _discard_output(self._stream)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _guard_output() -> None:
    """Open what is closed, replace what can't be encoded, and silence libraries that would warn first."""
    codecs.register_error("candid", _replaced)
    for number, name in ((1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file opened would get its number, and our text
            os.open(os.devnull, os.O_WRONLY)
        stream = getattr(sys, name)
        if stream is None:
            stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for as long as we run
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="candid")
        if not isinstance(stream, _Output):
            setattr(sys, name, _Output(stream))
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for variable, level in (("OPENCV_LOG_LEVEL", "SILENT"), ("OPENCV_FFMPEG_LOGLEVEL", "-8")):
        os.environ.setdefault(variable, level)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Nearest ASCII of what an encoding lacks; `?` where there is none."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(LOOK_ALIKE)
    return "".join(letter if letter.isascii() else "?" for letter in text), error.end


def _finish(stream: TextIO) -> None:
    """Flush; what can't be written goes nowhere, else Python tries again at its end and takes the status."""
    try:
        stream.flush()
    except OSError:
        _discard_output(stream)


def _discard_output(stream: object) -> None:
    """Point a stream at nothing."""
    try:
        target = os.open(os.devnull, os.O_WRONLY)
        os.dup2(target, stream.fileno())  # type: ignore[attr-defined]
        os.close(target)
    except (OSError, AttributeError, ValueError):  # a stream without a file, as in tests
        pass


@contextmanager
def _alone_here() -> Iterator[None]:
    """Hold the project against other stages; the kernel lets go of it however this process ends."""
    if not LOCK.parent.parent.is_dir():  # no project of DVC's, so no pipeline that another stage could run
        yield
        return
    from filelock import FileLock, Timeout

    lock = FileLock(LOCK, timeout=0)
    try:
        LOCK.parent.mkdir(exist_ok=True)
        lock.acquire()
    except Timeout:
        what = "another stage is at work in this folder: wait until it is done, or stop it"
        raise CandidError(what) from None
    except OSError:  # a folder that can't be written to, or a file system without locks: taken as it is
        pass
    try:
        yield
    finally:
        lock.release()


def is_disk_fault(error: BaseException) -> bool:
    """Distinguish a fault of the disk from one of a file's content, over which libraries raise OSError too.

    Theirs have no errno, or EINVAL: a damaged header points to a position before the file's beginning.
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def cannot_write(error: OSError) -> bool:
    """Recognise a full disk or a folder that is closed to us, also as NumPy and HDF5 report it (no errno)."""
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
    hdf5 = any(f"errno = {code}," in str(error) for code in (errno.ENOSPC, errno.EFBIG))
    return error.errno in codes or " requested and " in str(error) or hdf5
