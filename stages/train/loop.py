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

from stages.errors import CandidError
from stages.train.backend import worth_compiling
from stages.train.batch_norm import Recompute
from stages.train.checkpoints import Arrays, Checkpoints, Progress
from stages.train.inputs import TrainingSet
from stages.train.learner import Learner, middle
from stages.train.optimizers import build_optimizer
from stages.train.params import TrainSettings
from stages.train.schedules import Patience, Plateau, is_better, step_rate
from stages.train.scores import validation_scores
from stages.train.streams import derive, epoch_order, seed_epoch

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
    ) -> None:
        """Set up; `run` does the work.

        Args:
            net: with its initial weights.
            body: its layers that are frozen for the first `freeze_epochs` epochs.
            verbose: show Keras's progress bar.
            say: takes one line an epoch.
        """
        self.net, self.data, self.settings, self.checkpoints = net, data, settings, checkpoints
        self.body, self.verbose, self.say = body, verbose, say
        self.learner = Learner(net, data, settings)
        self.recompute: Recompute | None = None
        self.progress = Progress(Plateau(settings.learning_rate))
        self.best: Arrays = []
        self.phase = -1
        self.batch_size = min(settings.batch_size, data.train)
        self.steps = -(-data.train // self.batch_size)

    def run(self) -> None:
        """Train to the end, from the last checkpoint where there is one; then the net is the best epoch's."""
        saved = self.checkpoints.read()
        if saved:
            self.progress, self.best = saved.progress, saved.best
            self.net.set_weights(saved.weights)
            self.say(f"going on after epoch {self.progress.epoch}")
        while self.progress.epoch < self.settings.epochs and not self.progress.stopped:
            self._enter_phase(saved.optimizer if saved else None)
            saved = None
            self._epoch()
        self.net.set_weights(self.best)
        settle(self.net, self.settings.seed)

    def _enter_phase(self, optimizer: Arrays | None) -> None:
        """Compile for the phase that the next epoch belongs to: 0 with the body frozen, 1 with everything."""
        settings, epoch = self.settings, self.progress.epoch
        phase = 0 if epoch < settings.freeze_epochs else 1
        if phase == self.phase:
            return
        first, last = (0, settings.freeze_epochs) if phase == 0 else (settings.freeze_epochs, settings.epochs)
        rate = (
            settings.learning_rate
            if phase == 0 or settings.freeze_epochs == 0
            else settings.thaw_learning_rate
        )
        if epoch == first:
            self.progress.plateau, self.progress.patience = Plateau(rate), Patience()
        for layer in self.body:
            layer.trainable = phase == 1
        warmup = min(settings.warmup_epochs, last - first) * self.steps
        self.learner.compile(
            optimizer=build_optimizer(settings, rate, (last - first) * self.steps, warmup),
            steps_per_execution=min(settings.steps_per_execution, self.steps),
            jit_compile=worth_compiling(),
        )
        self.learner.optimizer.build(self.learner.trainable_variables)
        if optimizer:
            for variable, value in zip(self.learner.optimizer.variables, optimizer, strict=True):
                variable.assign(value)
        if settings.batch_norm == "recomputed" or settings.averaging > 0:
            self.recompute = Recompute(self.learner, lambda faces: middle(faces, settings.augment.crop))
        self.phase = phase

    def _epoch(self) -> None:
        settings, progress, started = self.settings, self.progress, time.perf_counter()
        rate = self._set_rate(progress.epoch)
        trained = self._fit(progress.epoch)
        fitted = time.perf_counter()
        own = self._prepare_validation(progress.epoch)
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
            self.checkpoints.write_best(progress.epoch, self.best)
        if own is not None:
            self.net.set_weights(own)
        progress.plateau.after(scores[settings.plateau.monitor], settings)
        stop = progress.patience.after(scores[settings.early_stopping.monitor], settings)
        progress.stopped = stop and progress.epoch >= settings.freeze_epochs
        progress.history.append({"epoch": progress.epoch, **trained, **scores, "learning_rate": rate})
        self.checkpoints.write(progress, self.net.get_weights(), _values(self.learner.optimizer.variables))
        faces = self.steps * self.batch_size
        self.say(_line(progress, settings.epochs, time.perf_counter() - started, faces / (fitted - started)))

    def _set_rate(self, epoch: int) -> float:
        """Set the rate of one epoch; return what its last step will use."""
        settings, optimizer = self.settings, self.learner.optimizer
        if settings.schedule == "cosine":
            schedule = optimizer._learning_rate
            return float(
                ops.convert_to_numpy(schedule(ops.convert_to_numpy(optimizer.iterations) + self.steps - 1))
            )
        rate = self.progress.plateau.rate
        if settings.schedule == "constant":
            rate = (
                settings.learning_rate
                if self.phase == 0 or not settings.freeze_epochs
                else settings.thaw_learning_rate
            )
        elif settings.schedule == "step":
            rate = step_rate(epoch, settings.learning_rate, settings.step_epochs, settings.step_factor)
        optimizer.learning_rate = rate
        return rate

    def _fit(self, epoch: int) -> dict[str, float]:
        seed_epoch(self.learner, self.settings.seed, epoch)
        callbacks = keras.callbacks.CallbackList(
            add_history=True,
            add_progbar=self.verbose,
            model=self.learner,
            verbose=int(self.verbose),
            epochs=self.settings.epochs,
            steps=self.steps,
        )
        order = epoch_order(self.data.train, self.batch_size, self.settings.seed, epoch)
        fitted = self.learner.fit(
            order,
            batch_size=self.batch_size,
            shuffle=False,
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=callbacks,
            verbose=int(self.verbose),
        )
        return {name: float(fitted.history[name][-1]) for name in ("loss", "accuracy")}

    def _prepare_validation(self, epoch: int) -> Arrays | None:
        """Bring the weights into the state that is validated; return those to go on with, if they differ."""
        if self.recompute is None:
            return None
        own: Arrays = self.net.get_weights()
        if self.settings.averaging > 0:
            optimizer = self.learner.optimizer
            optimizer._overwrite_model_variables_with_average_value(self.learner.trainable_variables)
        rows = np.random.default_rng(derive(self.settings.seed, "batch_norm", epoch)).permutation(
            self.data.train
        )
        self.recompute.run(rows.astype(np.int32))
        return own

    def _predict(self) -> NDArray[np.float32]:
        """Return the probabilities of the validation faces."""
        rows = np.arange(self.data.train, len(self.data.faces), dtype=np.int32)
        size = min(PREDICT_BATCH, len(rows))
        filled = np.resize(rows, -(-len(rows) // size) * size)  # whole batches: one shape is compiled
        found: NDArray[np.float32] = self.learner.predict(filled, batch_size=size, verbose=0)[: len(rows)]
        return found


def settle(net: Any, seed: int) -> None:
    """Put the seed generators, which are saved too, into a state that does not depend on the epoch."""
    seed_epoch(net, seed, 0)


def _values(variables: list[Any]) -> Arrays:
    return [np.asarray(ops.convert_to_numpy(variable)) for variable in variables]


def _line(progress: Progress, epochs: int, seconds: float, rate: float) -> str:
    row = progress.history[-1]
    names = ("loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1")
    values = "  ".join(f"{name} {row[name]:.4f}" for name in names)
    best = "  best so far" if progress.best_epoch == progress.epoch else ""
    return (
        f"epoch {progress.epoch}/{epochs}  {values}  learning_rate {row['learning_rate']:.2e}  "
        f"{seconds:.1f} s  {rate:.0f} faces/s{best}"
    )
