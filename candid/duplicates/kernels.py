"""How the compiled loops of this stage are made, and run on every core."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
from numba.core import types
from numba.extending import intrinsic

ResultT = TypeVar("ResultT")


def kernel(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile on first call, without the interpreter's lock, and keep the machine code for the next run.

    No fast-math: every sum and quotient is what IEEE 754 says, so that results are equal on every machine.
    """
    try:
        compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:  # neither this folder nor the user's cache folder can be written to
        compiled = numba.njit(nogil=True, **options)(function)
    return compiled


@intrinsic
def popcount(_context: Any, word: Any) -> Any:
    """Number of ones of a uint64: one instruction where the processor has it."""

    def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(word), code


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(work: Callable[[int, int], ResultT], count: int, block: int) -> list[ResultT]:
    """Call work(start, stop) for blocks of range(count), on every core; results in the order of blocks."""
    starts = range(0, count, block)
    with ThreadPoolExecutor(max(1, min(cores(), len(starts)))) as pool:
        return list(pool.map(lambda start: work(start, min(start + block, count)), starts))
