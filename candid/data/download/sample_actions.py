"""What the faces of `sample` do: expressions as facial actions with an intensity.

Actions are numbered as in the Facial Action Coding System (Ekman, Friesen and Hager, 2002): 1 inner brow up,
2 outer brow up, 4 brows down and together, 5 upper lid up, 6 cheeks up, 7 lids tight, 9 nose wrinkled,
10 upper lip up, 12 lip corners up, 15 lip corners down, 16 lower lip down, 17 chin up, 20 lips stretched,
23 lips tight, 24 lips pressed, 25 lips apart, 26 jaw down, 43 eyes closed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from candid.data.download.sample_random import Bell, Chance, Even, Floats, Stream, unit

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

_TALKING = {25: 0.45, 26: 0.2}


def draw_actions(labels: Sequence[str], stream: Stream) -> dict[int, Floats]:
    """Draw the intensity, about 0 to 1.2, of every action in every picture: action -> n x 1 x 1.

    The strength of the whole expression runs from faint to full, so that the faint ones are ambiguous.
    """
    n = len(labels)
    strength = 0.40 + 0.65 * np.sqrt(unit(stream.raw(n)))
    full = _full_strength(labels, stream)
    talks = Chance(0.08).of(stream.raw(n))
    blinks = Chance(0.02).of(stream.raw(n))
    actions = {}
    for column, action in enumerate(ACTIONS):
        jitter = Bell(1.0, 0.18).of(stream.raw(n))
        rest = np.abs(Bell(0.0, 0.055).of(stream.raw(n)))
        value = full[:, column] * strength * jitter + rest + talks * _TALKING.get(action, 0.0)
        if action == 43:
            value = np.maximum(value, blinks * Even(0.7, 1.0).of(stream.raw(n)))
        actions[action] = np.clip(value, 0.0, 1.2).astype(np.float32)[:, None, None]
    return actions


def _full_strength(labels: Sequence[str], stream: Stream) -> NDArray[np.float32]:
    full = np.zeros((len(labels), len(ACTIONS)), np.float32)
    for row, (label, pick) in enumerate(zip(labels, stream.below(6, len(labels)).tolist(), strict=True)):
        variants = VARIANTS[label]
        for action, intensity in variants[pick % len(variants)].items():
            full[row, ACTIONS.index(action)] = intensity
    return full
