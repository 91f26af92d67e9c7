"""The optimizer of a phase of training."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from candid.training.params import TrainSettings


class Cosine(keras.optimizers.schedules.LearningRateSchedule):
    """`schedules.cosine` inside the compiled step."""

    def __init__(self, steps: int, warmup: int, peak: float, floor: float) -> None:
        self.steps, self.warmup, self.peak, self.floor = steps, warmup, peak, floor

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step, a scalar tensor."""
        step = ops.cast(step, "float32")
        passed = ops.clip((step - self.warmup) / max(1, self.steps - self.warmup), 0.0, 1.0)
        falling = self.floor + (self.peak - self.floor) * (1 + ops.cos(math.pi * passed)) / 2
        rising = self.peak * (step + 1) / max(1, self.warmup)
        return ops.where(step < self.warmup, rising, falling)

    def get_config(self) -> dict[str, float]:
        """Return the arguments, as Keras asks of every schedule."""
        return {"steps": self.steps, "warmup": self.warmup, "peak": self.peak, "floor": self.floor}


def build_optimizer(settings: TrainSettings, rate: float, steps: int, warmup: int) -> Any:
    """Make the optimizer of one phase.

    Args:
        settings: section `train`.
        rate: the phase's learning rate (of cosine: its peak).
        steps: steps of the whole phase, of which the first `warmup` warm up; cosine only.
    """
    if settings.schedule == "cosine":
        rate_or_schedule: Any = Cosine(steps, warmup, rate, settings.min_lr)
    else:
        rate_or_schedule = rate
    common: dict[str, Any] = {"learning_rate": rate_or_schedule, "global_clipnorm": settings.clip_norm}
    if settings.weight_decay > 0 or settings.optimizer == "adamw":
        common["weight_decay"] = settings.weight_decay
    if settings.averaging > 0:
        common |= {"use_ema": True, "ema_momentum": settings.averaging, "ema_overwrite_frequency": None}
    match settings.optimizer:
        case "sgd":
            optimizer = keras.optimizers.SGD(momentum=settings.momentum, nesterov=settings.nesterov, **common)
        case "adam":
            optimizer = keras.optimizers.Adam(**common)
        case "nadam":
            optimizer = keras.optimizers.Nadam(**common)
        case "adamw":
            optimizer = keras.optimizers.AdamW(**common)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    # fit ends with this and is called once an epoch; the average must stand in for validation only (loop.py).
    optimizer.finalize_variable_values = _leave
    return optimizer


def _leave(variables: Any) -> None:
    """Change nothing."""
    del variables
