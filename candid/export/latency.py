"""Seconds for one face, the models taking turns, so that a busy machine slows them all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from candid.evaluation.predict import Images
from candid.export.formats import Runner

WARM_UP, ROUNDS = 10, 100


class Latency(NamedTuple):
    """Of one model, for one face."""

    milliseconds: float
    """Median over the rounds."""
    ratio: float
    """To the first model: median over the rounds of the ratio within a round."""


def latencies(runners: Sequence[Runner], face: Images, rounds: int = ROUNDS) -> list[Latency]:
    """Time each model on one face (1 x S x S, x 1 or x 3), `rounds` times in turn."""
    seconds = np.empty((WARM_UP + rounds, len(runners)))
    for turn in seconds:
        for place, run in enumerate(runners):
            start = time.perf_counter()
            run(face)
            turn[place] = time.perf_counter() - start
    kept = seconds[WARM_UP:]
    ratios = np.median(kept / kept[:, :1], axis=0)
    return [
        Latency(1000 * float(middle), float(ratio))
        for middle, ratio in zip(np.median(kept, axis=0), ratios, strict=True)
    ]
