"""The laws that the sample's faces follow: subjects, scenes and expressions, from a frozen stream of numbers.

Only PCG64's raw 64-bit stream is used, which NumPy guarantees (NEP 19). Everything after that is integer
arithmetic or single float32 operations (+ - * / sqrt), which IEEE 754 rounds the same way everywhere; sums
and matrix products of fractions, sin, exp and pow do not keep that promise: the program does without them.

Actions are numbered as in the Facial Action Coding System (Ekman, Friesen and Hager, 2002): 1 inner brow up,
2 outer brow up, 4 brows down and together, 5 upper lid up, 6 cheeks up, 7 lids tight, 9 nose wrinkled,
10 upper lip up, 12 lip corners up, 15 lip corners down, 16 lower lip down, 17 chin up, 20 lips stretched,
23 lips tight, 24 lips pressed, 25 lips apart, 26 jaw down, 43 eyes closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candid.settings import read_yaml

Floats = NDArray[np.floating[Any]]  # float32 throughout, though a type checker says float64
Raw = NDArray[np.uint64]
Law = Callable[[Raw], Floats]

STREAMS = ("subjects", "labels", "actions", "scenes", "textures", "copies", "names")
"""Independent streams: a draw more in one leaves the others as they were."""


class Stream:
    """One stream of raw 64-bit integers."""

    def __init__(self, name: str) -> None:
        self._bits = np.random.PCG64([0, STREAMS.index(name)])

    def raw(self, *shape: int) -> Raw:
        """Return the next integers of the stream, uint64 in that shape."""
        values: Raw = self._bits.random_raw(int(np.prod(shape)))
        return values.reshape(shape)

    def below(self, bound: int, *shape: int) -> NDArray[np.int64]:
        """Return integers 0 <= k < bound. The bias of taking a remainder is below bound / 2**32."""
        return ((self.raw(*shape) >> np.uint64(32)) % np.uint64(bound)).astype(np.int64)

    def order(self, n: int) -> NDArray[np.int64]:
        """Return 0..n-1 in random order."""
        return np.argsort(self.raw(n), kind="stable").astype(np.int64)

    def values(self, laws: dict[str, Law], n: int) -> dict[str, Floats]:
        """Draw every quantity n times: name -> float32 of shape n x 1 x 1, to combine with pixels."""
        return {name: law(self.raw(n))[:, None, None] for name, law in laws.items()}


def unit(raw: Raw) -> Floats:
    """Map raw integers to float32 in [0, 1): the upper 24 bits, exact."""
    values: Floats = (raw >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    return values


def even(low: float, high: float) -> Law:
    """Uniform from `low` to `high`."""
    return lambda raw: low + unit(raw) * (high - low)


def bell(middle: float, spread: float) -> Law:
    """Bell-shaped with standard deviation `spread`, never further than 3.46 of it: a sum of four numbers."""

    def draw(raw: Raw) -> Floats:
        lanes = [(raw >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48)]
        total = (lanes[0] + lanes[1] + lanes[2] + lanes[3]).astype(np.float32)
        values: Floats = middle + (total * (2 / 65535) - 4) * (spread * 0.8660254)
        return values

    return draw


def chance(share: float) -> Law:
    """1 with that probability, else 0."""
    return lambda raw: (unit(raw) < np.float32(share)).astype(np.float32)


ACTIONS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 20, 23, 24, 25, 26, 43)
_TABLES = read_yaml(Path(__file__).with_name("faces.yaml"))
_LAWS: dict[str, Callable[..., Law]] = {"even": even, "bell": bell, "chance": chance}
SUBJECT, SCENE = (
    {name: _LAWS[law](*numbers) for name, (law, *numbers) in _TABLES[section].items()}
    for section in ("subject", "scene")
)
VARIANTS: dict[str, list[dict[int, float]]] = _TABLES["expressions"]
TALKING = {25: 0.45, 26: 0.2}


def draw_actions(labels: Sequence[str], stream: Stream) -> dict[int, Floats]:
    """Draw the intensity, about 0 to 1.2, of every action in every picture: action -> n x 1 x 1.

    The strength of the whole expression runs from faint to full, so that the faint ones are ambiguous.
    """
    n = len(labels)
    strength = 0.40 + 0.65 * np.sqrt(unit(stream.raw(n)))
    full = _full_strength(labels, stream)
    talks = chance(0.08)(stream.raw(n))
    blinks = chance(0.02)(stream.raw(n))
    actions = {}
    for column, action in enumerate(ACTIONS):
        jitter = bell(1.0, 0.18)(stream.raw(n))
        rest = np.abs(bell(0.0, 0.055)(stream.raw(n)))
        value = full[:, column] * strength * jitter + rest + talks * TALKING.get(action, 0.0)
        if action == 43:
            value = np.maximum(value, blinks * even(0.7, 1.0)(stream.raw(n)))
        actions[action] = np.clip(value, 0.0, 1.2).astype(np.float32)[:, None, None]
    return actions


def _full_strength(labels: Sequence[str], stream: Stream) -> NDArray[np.float32]:
    full = np.zeros((len(labels), len(ACTIONS)), np.float32)
    for row, (label, pick) in enumerate(zip(labels, stream.below(6, len(labels)).tolist(), strict=True)):
        variants = VARIANTS[label]
        for action, intensity in variants[pick % len(variants)].items():
            full[row, ACTIONS.index(action)] = intensity
    return full
