"""Decode on all cores: in processes, since most of Pillow's work on a small face is Python."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from candid.data.ingest.decode import Color, decode_chunk
from candid.errors import CandidError

FIRST_JOBS_HERE = 12
"""Jobs done before processes are started at all, which costs half a second."""

Key = TypeVar("Key")
Decoded = tuple[NDArray[np.uint8], list[str]]


def decode_all(
    jobs: Iterable[tuple[Key, list[bytes | str]]], size: int, color: Color, workers: int | None = None
) -> Iterator[tuple[Key, Decoded]]:
    """Give each job's key with what decode_chunk makes of its data, in the order of the jobs.

    Args:
        jobs: drawn as they are needed, a few ahead.
        workers: processes; by default one a core; 1 decodes in this process.

    Raises:
        CandidError: a process was killed (too little memory, or a picture that breaks a decoder).
    """
    workers = workers or _cores()
    jobs = iter(jobs)
    for key, data in jobs if workers == 1 else islice(jobs, FIRST_JOBS_HERE):
        yield key, decode_chunk(data, size, color)
    if workers > 1:
        yield from _in_processes(jobs, size, color, workers)


def _in_processes(
    jobs: Iterator[tuple[Key, list[bytes | str]]], size: int, color: Color, workers: int
) -> Iterator[tuple[Key, Decoded]]:
    waiting: deque[tuple[Key, Future[Decoded]]] = deque()
    pool: ProcessPoolExecutor | None = None
    try:
        for key, data in jobs:
            # spawn: the same on every system, and safe beside the threads of numpy and tqdm
            pool = pool or ProcessPoolExecutor(workers, get_context("spawn"), _start_worker)
            with _interrupts_held():
                waiting.append((key, pool.submit(decode_chunk, data, size, color)))
            if len(waiting) > 2 * workers:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    except BrokenProcessPool:
        raise CandidError(
            "a process that decodes pictures was killed: expected memory for a picture on each core"
        ) from None
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while a process may be started: that one inherits this, so only the main one ends."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose main process was killed would wait for work forever."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
