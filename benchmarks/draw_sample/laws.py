"""The laws that the sample's faces follow: subjects, scenes and expressions, from a frozen stream of numbers.

Only PCG64's raw 64-bit stream is used, which NumPy guarantees (NEP 19). Everything after that is integer
arithmetic or single float32 operations (+ - * / sqrt), which IEEE 754 rounds the same way everywhere; sums
and matrix products of fractions, sin, exp and pow do not keep that promise: the program does without them.

Lengths are in pixels of a face that fills a 48x48 picture, tones run from 0 (black) to 1 (white), angles are
the tangent of half the angle. Actions are numbered as in the Facial Action Coding System (Ekman, Friesen and
Hager, 2002): 1 inner brow up, 2 outer brow up, 4 brows down and together, 5 upper lid up, 6 cheeks up, 7 lids
tight, 9 nose wrinkled, 10 upper lip up, 12 lip corners up, 15 lip corners down, 16 lower lip down, 17 chin
up, 20 lips stretched, 23 lips tight, 24 lips pressed, 25 lips apart, 26 jaw down, 43 eyes closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
"""float32 throughout; the type checker takes a product with a Python number for float64."""
Raw = NDArray[np.uint64]
Law = Callable[[Raw], Floats]

STREAMS = ("subjects", "labels", "actions", "scenes", "textures", "copies", "names")
"""Independent streams of one seed: a draw more in one leaves the others as they were."""


class Stream:
    """One stream of raw 64-bit integers."""

    def __init__(self, seed: int, name: str) -> None:
        self._bits = np.random.PCG64([seed, STREAMS.index(name)])

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


SUBJECT: dict[str, Law] = {
    # shape
    "width": bell(17.0, 0.7),
    "height": bell(22.0, 0.7),
    "jaw": even(0.06, 0.34),
    "eye_x": bell(7.3, 0.3),
    "eye_y": bell(-3.8, 0.45),
    "eye_size": bell(4.0, 0.22),
    "lid": bell(0.0, 0.16),
    "slant": bell(0.0, 0.05),
    "brow_y": bell(0.0, 0.45),
    "brow_tilt": bell(0.0, 0.35),
    "brow_width": even(0.6, 1.15),
    "nose_length": bell(9.0, 0.6),
    "nose_width": bell(2.7, 0.3),
    "mouth_y": bell(11.8, 0.5),
    "mouth_width": bell(6.3, 0.4),
    "mouth_curve": bell(0.0, 0.4),
    "lips": even(0.8, 1.4),
    "age": even(0.0, 1.0),
    # tones
    "tone": even(0.42, 0.90),
    "iris": even(0.10, 0.45),
    "lip_tone": even(0.52, 0.72),
    "hair_tone": even(0.0, 1.0),
    # hair and glasses
    "hairline": bell(-14.5, 1.3),
    "part": even(-9.0, 9.0),
    "fringe": chance(0.30),
    "long": chance(0.42),
    "bald": chance(0.08),
    "volume": even(1.0, 4.0),
    "beard": chance(0.12),
    "moustache": chance(0.14),
    "stubble": even(-1.2, 1.0),
    "glasses": chance(0.20),
    "glass_size": bell(5.2, 0.3),
    "rim": even(0.5, 0.9),
}
"""Drawn once a subject."""


SCENE: dict[str, Law] = {
    # pose
    "shift_x": bell(0.0, 1.2),
    "shift_y": bell(0.0, 1.0),
    "scale": bell(1.17, 0.07),
    "roll": bell(0.0, 0.055),
    "yaw": bell(0.0, 0.09),
    "pitch": bell(0.0, 0.06),
    "gaze_x": bell(0.0, 0.7),
    "gaze_y": bell(0.0, 0.25),
    "uneven": bell(0.0, 0.08),
    # light
    "light_x": even(-1.3, 1.3),
    "light_y": even(-1.2, 0.5),
    "light_z": even(0.15, 1.0),
    "hardness": even(0.15, 0.65),
    "exposure": even(0.85, 1.35),
    "shadow": even(-0.5, 0.4),
    "shadow_x": even(-1.0, 1.0),
    "shadow_y": even(-1.0, 1.0),
    "shadow_at": bell(0.0, 9.0),
    "shadow_edge": even(1.5, 12.0),
    # surroundings
    "wall": even(0.15, 0.75),
    "wall_x": even(-0.4, 0.4),
    "wall_y": even(-0.4, 0.4),
    "spot_x": even(-24.0, 24.0),
    "spot_y": even(-24.0, 24.0),
    "spot_size": even(4.0, 16.0),
    "spot": even(-0.6, 0.6),
    "edge_x": even(-22.0, 22.0),
    "edge": even(-0.5, 0.5),
    "shelf_y": even(-22.0, 22.0),
    "shelf": even(-0.5, 0.5),
    "clutter": even(0.05, 0.35),
    "hat": chance(0.18),
    "hat_tone": even(0.05, 0.95),
    "hat_line": even(-15.0, -10.0),
    "clothes": even(0.05, 0.95),
    "tousle": bell(0.0, 1.3),
    "tied": chance(0.35),
    "swept": even(-4.5, 2.0),
    "gloss": even(0.0, 0.5),
    "takes_off": chance(0.15),
    # camera
    "softness": even(0.0, 0.7),
    "grain": even(0.015, 0.05),
    "mottle": even(0.03, 0.08),
    "vignette": even(0.0, 0.35),
}
"""Drawn once a picture."""


ACTIONS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 20, 23, 24, 25, 26, 43)

VARIANTS: dict[str, list[dict[int, float]]] = {
    "angry": [
        {4: 1.0, 5: 0.4, 7: 0.8, 23: 0.9, 24: 0.5, 17: 0.3},
        {4: 0.9, 7: 0.7, 9: 0.2, 24: 0.9, 15: 0.4, 17: 0.4},
        {4: 1.0, 5: 0.5, 7: 0.6, 10: 0.6, 16: 0.7, 20: 0.2, 25: 0.9, 26: 0.5},
    ],
    "disgust": [
        {9: 1.0, 10: 0.9, 4: 0.4, 7: 0.7, 15: 0.4, 17: 0.6},
        {9: 0.9, 10: 1.0, 4: 0.5, 6: 0.6, 7: 0.6, 16: 0.5, 25: 0.7},
    ],
    "fear": [
        {1: 0.9, 2: 0.3, 4: 0.7, 5: 1.0, 20: 1.0, 25: 0.6},
        {1: 0.9, 2: 0.4, 4: 0.6, 5: 1.0, 20: 1.0, 16: 0.5, 25: 0.9, 26: 0.25},
        {1: 1.0, 4: 0.7, 5: 0.8, 20: 0.8, 25: 0.8, 26: 0.5},
    ],
    "happy": [
        {6: 0.6, 12: 0.9},
        {6: 0.8, 12: 1.0, 25: 0.8},
        {6: 1.0, 7: 0.3, 12: 1.0, 25: 0.9, 26: 0.6},
    ],
    "sad": [
        {1: 1.0, 4: 0.5, 15: 0.9, 17: 0.4},
        {1: 0.9, 4: 0.7, 7: 0.4, 15: 1.0, 17: 0.7, 43: 0.3},
        {1: 0.8, 4: 0.4, 15: 0.7, 25: 0.5, 43: 0.35},
    ],
    "surprise": [
        {1: 1.0, 2: 1.0, 5: 0.8, 25: 0.7, 26: 1.0},
        {1: 0.8, 2: 0.9, 5: 0.6, 25: 0.6, 26: 0.7},
        {1: 1.0, 2: 1.0, 5: 0.9, 25: 0.6, 26: 0.5},
    ],
    "neutral": [{}, {12: 0.08}, {15: 0.08, 43: 0.1}],
}
"""Each expression's ways of showing itself, equally frequent: action -> intensity at full strength."""

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
