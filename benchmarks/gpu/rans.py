"""Entropy coding of many lanes side by side with tables known beforehand: rANS (Duda 2013), in NumPy.

States of 32 bits, words of 16. A lane is a face: at each step every lane codes one symbol, so that decoding
35,000 faces takes as many array operations as one face has symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BITS = 14  # of a probability
LOW = 1 << 16  # least state between steps

Step = tuple[NDArray[np.uint8], NDArray[np.intp]]
"""A symbol and the row of its table for each lane."""


def frequencies(counts: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Scale each row of counts (T x 256) to a sum of 2^BITS; what occurs keeps at least 1.

    A row of zeros, a table that nothing uses, becomes flat.
    """
    whole = 1 << BITS
    scaled = np.where(counts.sum(axis=1, keepdims=True) == 0, 1, counts).astype(np.float64)
    scaled *= whole / scaled.sum(axis=1, keepdims=True)
    found = np.where(scaled > 0, np.maximum(np.floor(scaled), 1), 0).astype(np.int64)
    for row in found:
        while excess := int(row.sum()) - whole:
            largest = np.argsort(row)[::-1][: abs(excess)]
            row[largest[row[largest] > 1]] -= np.sign(excess)
    return found.astype(np.uint16)


def encode(
    steps: Sequence[Step], tables: NDArray[np.uint16], lanes: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """Code the steps; returns a last state for each lane and the words of all, as `Decoder` takes them."""
    starts = _starts(tables)
    states = np.full(lanes, LOW, np.uint64)
    words: list[NDArray[np.uint16]] = []
    for symbols, rows in reversed(steps):
        frequency = tables[rows, symbols].astype(np.uint64)
        full = states >= frequency << np.uint64(32 - BITS)
        words.append(states[full].astype(np.uint16))
        states[full] >>= np.uint64(16)
        quotient, rest = np.divmod(states, frequency)
        states = (quotient << np.uint64(BITS)) + rest + starts[rows, symbols]
    words.reverse()
    return states.astype(np.uint32), np.concatenate(words) if words else np.empty(0, np.uint16)


class Decoder:
    """Gives the symbols back, step by step in the order they were coded in."""

    def __init__(
        self, tables: NDArray[np.uint16], states: NDArray[np.uint32], words: NDArray[np.uint16]
    ) -> None:
        self.tables, self.starts = tables.astype(np.uint32), _starts(tables)
        self.symbols = np.stack([np.repeat(np.arange(256, dtype=np.uint8), row) for row in tables])
        self.states, self.words, self.read = states.copy(), words.astype(np.uint32), 0

    def step(self, rows: Any) -> NDArray[np.uint8]:
        """Return one symbol a lane.

        Args:
            rows: of the tables, one a lane or one for all.
        """
        slots = self.states & np.uint32((1 << BITS) - 1)
        found: NDArray[np.uint8] = self.symbols[rows, slots]
        self.states >>= np.uint32(BITS)
        self.states *= self.tables[rows, found]
        self.states += slots - self.starts[rows, found]
        low = np.flatnonzero(self.states < LOW)
        taken = self.words[self.read : self.read + len(low)]
        self.states[low] = (self.states[low] << np.uint32(16)) | taken
        self.read += len(low)
        return found


def _starts(tables: NDArray[np.uint16]) -> NDArray[np.uint32]:
    ends = np.cumsum(tables, axis=1, dtype=np.uint32)
    return (ends - tables).astype(np.uint32)
