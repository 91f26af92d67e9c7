"""The epochs: fit one, validate, decide, keep a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from candid.backend import feed, steps_per_call, worth_compiling
from candid.errors import CandidError
from candid.training.batch_norm import Recompute
from candid.training.checkpoints import Arrays, Checkpoints, Progress
from candid.training.inputs import TrainingSet
from candid.training.learner import Learner
from candid.training.one_device import OneDevice
from candid.training.optimizers import build_optimizer
from candid.training.params import TrainSettings
from candid.training.schedules import Patience, Phase, Plateau, is_better, phase_of, step_rate
from candid.training.scores import validation_scores
from candid.training.streams import derive, epoch_order, seed_epoch

PREDICT_BATCH = 256


class Training:
    """One run: its net, where it stands, and the checkpoints that follow it."""

    def __init__(
        self,
        net: Any,
        data: TrainingSet,
        settings: TrainSettings,
        checkpoints: Checkpoints,
        body: list[Any],
        verbose: bool = False,
        say: Callable[[str], None] = print,
        split: OneDevice | None = None,
    ) -> None:
        """Set up; `run` does the work.

        Args:
            net: with its initial weights.
            body: its layers that are frozen for the first `freeze_epochs` epochs.
            verbose: show Keras's progress bar.
            say: takes one line an epoch.
            split: how batches are shared out among devices; None: there is one.
        """
        self.net, self.data, self.settings, self.checkpoints = net, data, settings, checkpoints
        self.body, self.verbose, self.say = body, verbose, say
        self.split = split or OneDevice()
        self.learner = Learner(net, data, settings, self.split)
        self.recompute: Recompute | None = None
        self.progress = Progress(Plateau(settings.learning_rate))
        self.best: Arrays = []
        self.batch_size = min(settings.batch_size, data.train)
        self.split.check_batch(self.batch_size)
        self.steps = -(-data.train // self.batch_size)

    def run(self) -> None:
        """Train to the end, from the last checkpoint where there is one; then the net is the best epoch's."""
        saved = self.checkpoints.read()
        if saved:
            self.progress, self.best = saved.progress, saved.best
            self.net.set_weights(saved.weights)
            self.say(f"going on after epoch {self.progress.epoch}")
        phase = None
        while self.progress.epoch < self.settings.epochs and not self.progress.stopped:
            if phase != (phase := phase_of(self.progress.epoch, self.settings)):
                self._enter(phase)
                if saved and self.progress.epoch > phase.first:
                    _assign(self.learner.optimizer.variables, saved.optimizer)
            self._epoch(phase)
        self.net.set_weights(self.best)
        seed_epoch(self.net, self.settings.seed, 0)  # these are saved too, and shall not depend on the epoch

    def _enter(self, phase: Phase) -> None:
        """Compile for a phase, with a new optimizer."""
        settings = self.settings
        if self.progress.epoch == phase.first:
            self.progress.plateau, self.progress.patience = Plateau(phase.rate), Patience()
        for layer in self.body:
            layer.trainable = not phase.frozen
        epochs = phase.last - phase.first
        warmup = min(settings.warmup_epochs, epochs) * self.steps
        wanted = min(settings.steps_per_execution, self.steps)
        self.learner.compile(
            optimizer=build_optimizer(settings, phase.rate, epochs * self.steps, warmup),
            steps_per_execution=steps_per_call(wanted if self.split.fused else 1),
            jit_compile=worth_compiling() and self.split.fused,
        )
        self.learner.optimizer.build(self.learner.trainable_variables)
        if settings.batch_norm == "recomputed" or settings.averaging > 0:
            self.recompute = Recompute(self.learner)

    def _epoch(self, phase: Phase) -> None:
        settings, progress, started = self.settings, self.progress, time.perf_counter()
        rate = self._set_rate(phase)
        trained = self._fit()
        fitted = time.perf_counter()
        own = self._prepare_validation()
        scores = validation_scores(self._predict(), self.data.validation_labels)
        if not math.isfinite(trained["loss"]) or not math.isfinite(scores["val_loss"]):
            raise CandidError(
                f"epoch {progress.epoch + 1}: the loss is not a number: train.learning_rate = {rate:g} is "
                "probably too high; try a tenth of it, or set train.clip_norm"
            )
        progress.epoch += 1
        if is_better(settings.monitor, scores[settings.monitor], progress.best):
            progress.best, progress.best_epoch = scores[settings.monitor], progress.epoch
            self.best = self.net.get_weights()
        if own is not None:
            self.net.set_weights(own)
        progress.plateau.after(scores[settings.plateau.monitor], settings)
        stop = progress.patience.after(scores[settings.early_stopping.monitor], settings)
        progress.stopped = stop and not phase.frozen
        progress.history.append({"epoch": progress.epoch, **trained, **scores, "learning_rate": rate})
        optimizer = self.learner.optimizer
        self.checkpoints.write(
            progress, self.net.get_weights, lambda: _values(optimizer.variables), self.best
        )
        speed = self.steps * self.batch_size / (fitted - started)
        self.say(_line(progress, settings.epochs, time.perf_counter() - started, speed))

    def _set_rate(self, phase: Phase) -> float:
        """Set the rate of the next epoch; return the one of its last step."""
        settings, optimizer, epoch = self.settings, self.learner.optimizer, self.progress.epoch
        if settings.schedule == "cosine":
            last = (epoch - phase.first + 1) * self.steps - 1
            return float(ops.convert_to_numpy(optimizer._learning_rate(last)))
        rate = phase.rate
        if settings.schedule == "plateau":
            rate = self.progress.plateau.rate
        elif settings.schedule == "step":
            rate = step_rate(epoch, rate, settings.step_epochs, settings.step_factor)
        optimizer.learning_rate = rate
        return rate

    def _fit(self) -> dict[str, float]:
        """Fit one epoch; return its loss and accuracy."""
        epoch, total = self.progress.epoch, self.settings.epochs
        seed_epoch(self.learner, self.settings.seed, epoch)
        bar: dict[str, Any] = {"add_progbar": self.verbose, "verbose": int(self.verbose)}
        callbacks = keras.callbacks.CallbackList(
            add_history=True, model=self.learner, epochs=total, steps=self.steps, **bar
        )
        order = epoch_order(self.data.train, self.batch_size, self.settings.seed, epoch)
        fitted = self.learner.fit(
            **feed(*self.split.fed(order, self.batch_size)),
            shuffle=False,
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=callbacks,
            verbose=int(self.verbose),
        )
        return {name: float(fitted.history[name][-1]) for name in ("loss", "accuracy")}

    def _prepare_validation(self) -> Arrays | None:
        """Bring the weights into the state that is validated; return those to go on with, if they differ."""
        if self.recompute is None:
            return None
        own: Arrays = self.net.get_weights()
        if self.settings.averaging > 0:
            averages = self.learner.optimizer._model_variables_moving_average
            _assign(self.learner.trainable_variables, _values(averages))
        seed = derive(self.settings.seed, "batch_norm", self.progress.epoch)
        self.recompute.run(np.random.default_rng(seed).permutation(self.data.train).astype(np.int32))
        return own

    def _predict(self) -> NDArray[np.float32]:
        """Return the probabilities of the validation faces."""
        rows = np.arange(self.data.train, len(self.data.faces), dtype=np.int32)
        size = _up(min(PREDICT_BATCH, len(rows)), self.split.devices)
        filled = np.resize(rows, _up(len(rows), size))  # whole batches: one shape is compiled
        fed = feed(*self.split.fed(filled, size))
        found: NDArray[np.float32] = self.learner.predict(**fed, verbose=0)[: len(rows)]
        return found


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _values(variables: list[Any]) -> Arrays:
    return [np.asarray(ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[Any], values: Arrays) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _line(progress: Progress, epochs: int, seconds: float, rate: float) -> str:
    row = progress.history[-1]
    names = ("loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1")
    values = "  ".join(f"{name} {row[name]:.4f}" for name in names)
    best = "  best so far" if progress.best_epoch == progress.epoch else ""
    return (
        f"epoch {progress.epoch}/{epochs}  {values}  learning_rate {row['learning_rate']:.2e}  "
        f"{seconds:.1f} s  {rate:.0f} faces/s{best}"
    )
