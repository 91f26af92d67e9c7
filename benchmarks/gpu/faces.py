"""Faces as few bytes, bit for bit: pixels by prediction, or the coefficients of the JPEG file they came from.

Each value is coded under a context made of its neighbours, with tables counted over all faces (rans.py). One
walk over the values serves both directions: it is sent the true values, or those decoded so far.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.rans import Decoder, Step, encode, frequencies

CONTEXTS = 8
SAMPLED = 4096  # faces from which the bounds between contexts are taken
Bounds = NDArray[np.int32]
Walk = Generator[tuple[int, NDArray[np.int32], NDArray[np.int32]], NDArray[np.int32], None]
"""Yields kind of value, activity of its neighbours (N) and its prediction (N); is sent the values (N)."""

# Place of each coefficient, low frequencies first, and those before it that tell how large it may be.
ORDER = sorted(range(64), key=lambda p: (p // 8 + p % 8, p))
NEAR = ((0, 1, 2), (1, 0, 2), (1, 1, 1), (0, 2, 1), (2, 0, 1))  # rows up, columns left, weight


def walk_pixels(faces: int, height: int, width: int) -> Walk:
    """Predict each pixel from those above and to the left, as LOCO-I does (Weinberger et al. 2000)."""
    done = np.zeros((faces, height + 1, width + 2), np.int32)
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            above, right = done[:, y - 1, x], done[:, y - 1, min(x + 1, width)]
            left = done[:, y, x - 1] if x > 1 else above
            if y == 1:
                above = right = left
            corner = done[:, y - 1, x - 1] if x > 1 and y > 1 else above
            low, high = np.minimum(left, above), np.maximum(left, above)
            guess = np.clip(left + above - corner, low, high)
            activity = np.abs(left - corner) + np.abs(corner - above) + np.abs(above - right)
            done[:, y, x] = yield 0, activity, guess


def walk_coefficients(faces: int, high: int, wide: int, steps: NDArray[np.int32]) -> Walk:
    """Predict the mean of a block from the block before; all else is zero, more or less by its neighbours."""
    done = np.zeros((faces, high, wide, 64), np.int32)
    nothing = np.zeros(faces, np.int32)
    for y in range(high):
        for x in range(wide):
            block = done[:, y, x]
            mean = done[:, y, x - 1, 0] if x else done[:, y - 1, 0, 0] if y else nothing
            for place in ORDER:
                v, u = divmod(place, 8)
                activity = nothing
                for up, left, weight in NEAR if place else ():
                    if v >= up and u >= left and (near := place - 8 * up - left):
                        activity = activity + np.abs(block[:, near]) * (weight * steps[near])
                activity = 4 * activity // steps[place]
                block[:, place] = yield place, activity, nothing if place else mean


def pack(walk: Any, values: NDArray[np.int32], kinds: int) -> dict[str, NDArray[Any]]:
    """Code values.

    Args:
        walk: takes a count of faces and gives a Walk.
        values: steps x N, in the order of the walk.
        kinds: how many kinds of value the walk knows.
    """
    some = min(SAMPLED, values.shape[1])
    seen: list[list[NDArray[np.int32]]] = [[] for _ in range(kinds)]
    spread: list[list[int]] = [[0] for _ in range(kinds)]
    for kind, activity, guess, given in _steps(walk(some), values[:, :some]):
        seen[kind].append(activity)
        spread[kind].append(int(np.quantile(np.abs(given - guess), 0.9995)))
    share = np.linspace(0, 1, CONTEXTS + 1)[1:-1]
    bounds = np.stack([np.quantile(np.concatenate(one), share, method="lower") for one in seen]).astype(
        np.int32
    )
    shifts = np.array([max(0, max(one).bit_length() - 7) for one in spread], np.uint8)
    symbols: list[Step] = []
    counts = np.zeros((kinds * CONTEXTS, 256), np.int64)
    odd: list[NDArray[np.int32]] = []
    bits: list[NDArray[np.uint8]] = []
    for kind, activity, guess, given in _steps(walk(values.shape[1]), values):
        rest = given - guess
        coarse = (rest >> shifts[kind]) + 127
        fits = (coarse > 0) & (coarse < 256)
        odd.append(rest[~fits])
        bits.append(_low_bits(rest, int(shifts[kind])))
        symbol = np.where(fits, coarse, 0).astype(np.uint8)
        row = kind * CONTEXTS + np.searchsorted(bounds[kind], activity, side="left")
        counts += np.bincount(row * 256 + symbol, minlength=counts.size).reshape(counts.shape)
        symbols.append((symbol, row))
    tables = frequencies(counts)
    states, words = encode(symbols, tables, values.shape[1])
    return {
        "tables": tables,
        "bounds": bounds,
        "shifts": shifts,
        "states": states,
        "words": words,
        "odd": np.concatenate(odd).astype(np.int16),
        "bits": np.packbits(np.concatenate(bits)),
    }


def unpack(walk: Any, packed: dict[str, NDArray[Any]]) -> NDArray[np.int32]:
    """Give back what `pack` was given."""
    decoder = Decoder(packed["tables"], packed["states"], packed["words"])
    lanes = len(packed["states"])
    bits, odd = np.unpackbits(packed["bits"]), packed["odd"].astype(np.int32)
    read = passed = 0
    found: list[NDArray[np.int32]] = []
    steps = walk(lanes)
    step = next(steps, None)
    while step is not None:
        kind, activity, guess = step
        shift = int(packed["shifts"][kind])
        row = kind * CONTEXTS + np.searchsorted(packed["bounds"][kind], activity, side="left")
        symbol = decoder.step(row)
        rest = (symbol.astype(np.int32) - 127) << shift
        for place in range(shift):
            rest |= bits[read : read + lanes].astype(np.int32) << place
            read += lanes
        strange = np.flatnonzero(symbol == 0)
        rest[strange] = odd[passed : passed + len(strange)]
        passed += len(strange)
        found.append(guess + rest)
        try:
            step = steps.send(found[-1])
        except StopIteration:
            step = None
    return np.stack(found)


def _steps(walk: Walk, values: NDArray[np.int32]) -> Any:
    """Run a walk over known values."""
    step = next(walk)
    for given in values:
        yield *step, given
        try:
            step = walk.send(given)
        except StopIteration:
            return


def _low_bits(rest: NDArray[np.int32], count: int) -> NDArray[np.uint8]:
    places = [(rest >> place & 1).astype(np.uint8) for place in range(count)]
    return np.concatenate(places) if places else np.empty(0, np.uint8)
