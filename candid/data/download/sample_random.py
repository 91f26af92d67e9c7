"""Random numbers for `sample` that are the same on every machine and under every NumPy.

Only PCG64's raw 64-bit stream is used, which NumPy guarantees (NEP 19); what its Generator makes of the
stream may change between releases. Everything after that is integer arithmetic or single float operations
(+ - * / sqrt), which IEEE 754 rounds the same way everywhere; sums and matrix products of fractions, sin, exp
and pow do not keep that promise, so the whole of `sample` does without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
"""float32 throughout; the type checker takes a product with a Python number for float64."""
Raw = NDArray[np.uint64]

STREAMS = ("people", "labels", "actions", "scenes", "textures", "copies", "names")
"""Independent streams of one seed: a draw more in one leaves the others as they were."""


class Stream:
    """One stream of raw 64-bit integers."""

    def __init__(self, seed: int, name: str) -> None:
        self._bits = np.random.PCG64([seed, STREAMS.index(name)])

    def raw(self, *shape: int) -> Raw:
        """The next integers of the stream, uint64 in the given shape."""
        values: Raw = self._bits.random_raw(int(np.prod(shape)))
        return values.reshape(shape)

    def below(self, bound: int, *shape: int) -> NDArray[np.int64]:
        """Integers 0 <= k < bound. The bias of taking a remainder is below bound / 2**32."""
        return ((self.raw(*shape) >> np.uint64(32)) % np.uint64(bound)).astype(np.int64)

    def order(self, n: int) -> NDArray[np.int64]:
        """Put 0..n-1 in random order."""
        return np.argsort(self.raw(n), kind="stable").astype(np.int64)

    def values(self, spec: Mapping[str, Law], n: int) -> dict[str, Floats]:
        """Draw every quantity of `spec` n times: name -> float32 of shape n x 1 x 1 (to meet pixels)."""
        return {name: law.of(self.raw(n))[:, None, None] for name, law in spec.items()}


@dataclass(frozen=True)
class Even:
    """Uniform from `low` to `high`."""

    low: float
    high: float

    def of(self, raw: Raw) -> Floats:
        """Map raw integers to values."""
        return self.low + unit(raw) * (self.high - self.low)


@dataclass(frozen=True)
class Bell:
    """Bell-shaped about `middle` with standard deviation `spread`, never further than 3.46 of it."""

    middle: float
    spread: float

    def of(self, raw: Raw) -> Floats:
        """Map raw integers to values: the sum of four 16-bit numbers, exact in integers."""
        lanes = [(raw >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48)]
        total = (lanes[0] + lanes[1] + lanes[2] + lanes[3]).astype(np.float32)
        values: Floats = self.middle + (total * (2 / 65535) - 4) * (self.spread * 0.8660254)
        return values


@dataclass(frozen=True)
class Chance:
    """1 with the given probability, else 0."""

    share: float

    def of(self, raw: Raw) -> Floats:
        """Map raw integers to 0 and 1."""
        chosen: Floats = (unit(raw) < np.float32(self.share)).astype(np.float32)
        return chosen


Law = Even | Bell | Chance


def unit(raw: Raw) -> Floats:
    """Map raw integers to float32 in [0, 1): the upper 24 bits, exact."""
    values: Floats = (raw >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    return values
