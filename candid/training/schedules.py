"""Learning rates over time, and when to stop: plain values in, plain values out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from candid.training.params import TrainSettings

MIN_DELTA = 1e-4  # as in keras.callbacks.ReduceLROnPlateau


def cosine(step: int, steps: int, warmup: int, peak: float, floor: float) -> float:
    """Return the rate of step `step` of `steps`, from 0: linear up to `peak`, then half a cosine down.

    The first step's rate is peak / warmup, step `warmup` has the peak, and the step after the last would have
    `floor` (Loshchilov and Hutter 2017, without restarts).
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    passed = min(1.0, (step - warmup) / max(1, steps - warmup))
    return floor + (peak - floor) * (1 + math.cos(math.pi * passed)) / 2


def step_rate(epoch: int, rate: float, epochs: list[int], factor: float) -> float:
    """Return the rate of epoch `epoch` (from 0): times `factor` after each of `epochs` finished epochs."""
    return rate * factor ** sum(epoch >= done for done in epochs)


@dataclass(frozen=True)
class Phase:
    """Epochs with one optimizer."""

    first: int
    """Finished epochs at its start."""
    last: int
    """Finished epochs at its end, if nothing stops it."""
    rate: float
    frozen: bool
    """Whether only the head is trained."""


def phase_of(epoch: int, settings: TrainSettings) -> Phase:
    """Return the phase to which the epoch after `epoch` finished ones belongs."""
    if settings.freeze_epochs == 0:
        return Phase(0, settings.epochs, settings.learning_rate, frozen=False)
    if epoch < settings.freeze_epochs:
        return Phase(0, settings.freeze_epochs, settings.learning_rate, frozen=True)
    return Phase(settings.freeze_epochs, settings.epochs, settings.thaw_learning_rate, frozen=False)


def is_better(monitor: str, value: float, best: float | None, min_delta: float = 0.0) -> bool:
    """Say whether a validation metric has improved by more than `min_delta`; a loss improves downwards."""
    if best is None:
        return True
    return value < best - min_delta if monitor == "val_loss" else value > best + min_delta


@dataclass
class Plateau:
    """The rate falls when a metric stands still: keras.callbacks.ReduceLROnPlateau, cooldown 0."""

    rate: float
    best: float | None = None
    wait: int = 0

    def after(self, value: float, settings: TrainSettings) -> None:
        """Take in the metric of a finished epoch and set the rate of the next."""
        if is_better(settings.plateau.monitor, value, self.best, MIN_DELTA):
            self.best, self.wait = value, 0
            return
        self.wait += 1
        if self.wait >= settings.plateau.patience:
            self.rate = max(self.rate * settings.plateau.factor, settings.min_lr)
            self.wait = 0


@dataclass
class Patience:
    """Counts epochs without progress: keras.callbacks.EarlyStopping."""

    best: float | None = None
    wait: int = 0

    def after(self, value: float, settings: TrainSettings) -> bool:
        """Take in the metric of a finished epoch; True: stop."""
        if is_better(settings.early_stopping.monitor, value, self.best):
            self.best, self.wait = value, 0
        else:
            self.wait += 1
        patience = settings.early_stopping.patience
        return patience is not None and self.wait >= patience
