"""Training as one function of arrays: a net, the faces, the settings, and where checkpoints go."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.svm import LinearSVC

from candid.backend import backend, feed, is_out_of_memory, worth_compiling
from candid.errors import CandidError
from candid.training.batch_norm import Recompute, fused_batch_norm
from candid.training.checkpoints import Arrays, Checkpoint, Checkpoints, History
from candid.training.data import TrainingSet, derive, epoch_order
from candid.training.distribution import OneDevice
from candid.training.learner import Learner, seed_epoch
from candid.training.nets import body_layers
from candid.training.nets.parts import HEAD
from candid.training.save import start_from
from candid.training.settings import Cosine, Plateau, Sgd, TrainSettings

COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1", "learning_rate")
PREDICT_BATCH = 256


class Progress(NamedTuple):
    """How a run is shown while it goes on."""

    say: Callable[[str], None] = print  # takes one line an epoch
    record: Callable[[History], None] = lambda _: None  # takes the history after each epoch
    bar: bool = False  # shows Keras's progress bar


class Phase(NamedTuple):
    """Epochs with one optimizer: finished ones at its start, and at its end if nothing stops it."""

    first: int
    last: int
    rate: float  # learning rate, where a schedule starts
    frozen: bool  # whether only the head is trained


def train(
    build: Callable[[], Any],
    data: TrainingSet,
    settings: TrainSettings,
    checkpoints: Checkpoints,
    weights: str | Path | None = None,
    progress: Progress | None = None,
    strategy: OneDevice | None = None,
) -> tuple[Any, History]:
    """Train a net and return it at its best epoch, in float32, with a row of COLUMNS for each epoch.

    `build` makes the net, again where the saved one differs in precision; `weights` is a .keras file to
    start from, `checkpoints` what a killed run leaves behind. Without `progress` a line is printed an
    epoch; without `strategy` there is one device. CandidError: the loss is not a number, memory ran out, or
    the weights don't fit.
    """
    strategy, progress = strategy or OneDevice(), progress or Progress()
    keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(settings.precision)
    try:
        with strategy.scope():
            net = build()
            if weights is not None:
                start_from(net, weights, data.classes)
            training = Training(net, data, settings, checkpoints, progress, strategy)
            with fused_batch_norm(net) if strategy.devices == 1 else strategy.whole_batch(net):
                training.run()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        size = f"train.batch_size = {settings.batch_size}"
        raise CandidError(f"out of memory with {size}: try half of it, or a smaller net") from None
    finally:
        keras.config.set_dtype_policy("float32")
    return _in_float32(net, build, settings), training.history


def train_svm(
    build: Callable[[], Any], data: TrainingSet, C: float, progress: Progress | None = None
) -> tuple[Any, History]:
    """Fit the last layer of `hog_svm` by scikit-learn's LinearSVC; return the net and one row of COLUMNS.

    Each class is told from the others with the squared hinge loss; class weights weigh the faces. The scores
    are divided by their best temperature on the validation set. Nothing is random. `C` is LinearSVC's.
    """
    progress, net = progress or Progress(), build()
    head = net.get_layer(f"{HEAD}logits")
    below = keras.Model(net.input, head.input)
    features = below.predict(data.faces, batch_size=PREDICT_BATCH, verbose=int(progress.bar))
    progress.say(f"fitting a linear SVM on {data.train:,} faces with {features.shape[1]:,} features each")
    labels = data.labels[: data.train]
    svm = LinearSVC(C=C, dual=False, max_iter=10_000)
    svm.fit(features[: data.train], labels, sample_weight=data.class_weights[labels])
    kernel, bias = svm.coef_.T, svm.intercept_
    if len(data.classes) == 2:  # scikit-learn keeps the second class alone
        kernel, bias = np.hstack([-kernel, kernel]), np.r_[-bias, bias]
    scores = features @ kernel + bias
    temperature = best_temperature(scores[data.train :], data.validation_labels)
    head.set_weights([kernel / temperature, bias / temperature])
    probabilities = softmax(scores / temperature, axis=1)
    trained = validation_scores(probabilities[: data.train], labels)
    row = {"epoch": 1, "loss": trained["val_loss"], "accuracy": trained["val_accuracy"], "learning_rate": 0.0}
    row |= validation_scores(probabilities[data.train :], data.validation_labels)
    progress.record([row])
    progress.say(_described(row))
    return net, [row]


def best_temperature(logits: NDArray[Any], labels: NDArray[np.int32]) -> float:
    """Return the divisor of the logits (N x classes) with the smallest cross-entropy: Guo et al. 2017.

    It leaves the predicted classes as they are.

    Example:
        >>> round(best_temperature(np.array([[4.0, 0.0]] * 4), np.array([0, 0, 0, 1])), 2)  # 4 / ln 3
        3.64
    """

    def loss(log_temperature: float) -> float:
        return validation_scores(softmax(logits / math.exp(log_temperature), axis=1), labels)["val_loss"]

    return math.exp(minimize_scalar(loss, bounds=(-6, 6), method="bounded").x)


def best_epoch(history: History, monitor: str) -> int:
    """Return the epoch with the best value of `monitor`, from 1; of equal ones the first."""
    sign = -1 if monitor == "val_loss" else 1
    return int(max(history, key=lambda row: sign * row[monitor])["epoch"])


def phase_of(epoch: int, settings: TrainSettings) -> Phase:
    """Return the phase to which the epoch after `epoch` finished ones belongs."""
    first, rate = 0, settings.learning_rate
    if freeze := settings.freeze:
        if epoch < freeze.epochs:
            return Phase(0, freeze.epochs, rate, frozen=True)
        first, rate = freeze.epochs, freeze.thaw_learning_rate
    return Phase(first, settings.epochs, rate, frozen=False)


def build_optimizer(settings: TrainSettings, phase: Phase, steps: int) -> Any:
    """Make the optimizer of one phase, of which each epoch has `steps` steps."""
    rate: Any = phase.rate
    if isinstance(settings.schedule, Cosine):
        epochs, floor = phase.last - phase.first, settings.schedule.min_lr / rate
        warmup = min(settings.schedule.warmup_epochs, epochs) * steps
        rising = max(0, warmup - 1)  # the first step has a rate of its own, not 0
        peak = {"warmup_target": rate, "warmup_steps": rising} if rising else {}
        first = rate / warmup if rising else rate
        rate = keras.optimizers.schedules.CosineDecay(first, epochs * steps - rising, floor, **peak)
    common: dict[str, Any] = {"learning_rate": rate, "global_clipnorm": settings.clip_norm}
    if settings.weight_decay > 0 or settings.optimizer.name == "adamw":
        common["weight_decay"] = settings.weight_decay
    if settings.averaging > 0:
        common |= {"use_ema": True, "ema_momentum": settings.averaging, "ema_overwrite_frequency": None}
    if isinstance(settings.optimizer, Sgd):
        common |= {"momentum": settings.optimizer.momentum, "nesterov": settings.optimizer.nesterov}
    kinds = {"sgd": "SGD", "adam": "Adam", "nadam": "Nadam", "adamw": "AdamW"}
    optimizer = getattr(keras.optimizers, kinds[settings.optimizer.name])(**common)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    # fit, called once an epoch, ends with this; the averages must stand in for validation only.
    optimizer.finalize_variable_values = lambda _: None
    return optimizer


def validation_scores(probabilities: NDArray[np.float32], labels: NDArray[np.int32]) -> dict[str, float]:
    """Return val_loss (mean cross-entropy, nats; NaN where a probability is), val_accuracy and val_macro_f1.

    Of N x K probabilities for N labels. Macro F1 is over the classes that occur as label or prediction.
    """
    predicted = probabilities.argmax(axis=1)
    finite = bool(np.isfinite(probabilities).all())
    loss = log_loss(labels, probabilities, labels=range(probabilities.shape[1])) if finite else math.nan
    return {
        "val_loss": float(loss),
        "val_accuracy": float(accuracy_score(labels, predicted)),
        "val_macro_f1": float(f1_score(labels, predicted, average="macro")),
    }


@dataclass
class Training:
    """One run: its net, its history, and the checkpoints that follow it; `run` does the work."""

    net: Any
    data: TrainingSet
    settings: TrainSettings
    checkpoints: Checkpoints
    progress: Progress
    strategy: OneDevice

    def __post_init__(self) -> None:
        self.learner = Learner(self.net, self.data, self.settings, self.strategy)
        self.callbacks: list[Any] = []
        self.history: History = []
        self.best: Arrays = []
        self.batch_size = min(self.settings.batch_size, self.data.train)
        if self.batch_size % self.strategy.devices:
            faces = f"{self.batch_size} faces a step for {self.strategy.devices} devices"
            raise CandidError(f"params.yaml: train.batch_size: {faces}: expected a multiple")
        self.steps = -(-self.data.train // self.batch_size)

    def run(self) -> None:
        """Train to the end, from the last checkpoint where there is one; then the net is the best epoch's."""
        saved = self.checkpoints.read()
        if saved:
            self.history, self.best = saved.history, saved.best
            self.net.set_weights(saved.weights)
            self.progress.record(self.history)
            self.progress.say(f"resuming after epoch {len(self.history)}")
        phase = None
        while len(self.history) < self.settings.epochs:
            if phase != (phase := phase_of(len(self.history), self.settings)):
                self._enter(phase)
                if saved and len(self.history) > phase.first:
                    _assign(self.learner.optimizer.variables, saved.optimizer)
            if self.learner.stop_training:
                break
            self._epoch()
        self.net.set_weights(self.best)
        seed_epoch(self.net, self.settings.seed, 0)  # these are saved too, and shall not depend on the epoch

    def _enter(self, phase: Phase) -> None:
        """Compile for a phase, with a new optimizer; schedule and patience count its epochs so far."""
        settings = self.settings
        for layer in body_layers(self.net):
            layer.trainable = not phase.frozen
        # Elsewhere Keras compiles one step.
        several = backend() == "tensorflow" and self.strategy.devices == 1
        self.learner.compile(
            optimizer=build_optimizer(settings, phase, self.steps),
            steps_per_execution=min(settings.steps_per_execution, self.steps) if several else 1,
            jit_compile=worth_compiling() and self.strategy.compiles,
        )
        self.learner.optimizer.build(self.learner.trainable_variables)
        self.recompute = Recompute(self.learner)
        plateau = settings.schedule if isinstance(settings.schedule, Plateau) else None
        stopping = None if phase.frozen else settings.early_stopping
        kinds = ((keras.callbacks.ReduceLROnPlateau, plateau), (keras.callbacks.EarlyStopping, stopping))
        self.callbacks = [
            kind(mode="min" if own.monitor == "val_loss" else "max", **own.model_dump(exclude={"name"}))
            for kind, own in kinds
            if own
        ]
        for callback in self.callbacks:
            callback.set_model(self.learner)
            callback.on_train_begin()
            for row in self.history[phase.first :]:
                callback.on_epoch_end(int(row["epoch"]), dict(row))

    def _epoch(self) -> None:
        settings, started, epoch = self.settings, time.perf_counter(), len(self.history) + 1
        optimizer = self.learner.optimizer
        trained = self._fit(epoch)
        fitted = time.perf_counter()
        # As text between, so that it is 0.001 and not 0.0010000000474974513.
        rate = float(str(np.float32(ops.convert_to_numpy(optimizer.learning_rate))))
        own: Arrays = self.net.get_weights()
        self._prepare_validation(epoch)
        scores = validation_scores(self._predict(), self.data.validation_labels)
        if not math.isfinite(trained["loss"]) or not math.isfinite(scores["val_loss"]):
            high = f"train.learning_rate = {rate:g} is probably too high"
            tip = "try a tenth of it, or set train.clip_norm"
            raise CandidError(f"epoch {epoch}: the loss is not a number: {high}; {tip}")
        row = {"epoch": epoch, **trained, **scores, "learning_rate": rate}
        self.history.append(row)
        is_best = best_epoch(self.history, settings.monitor) == epoch
        if is_best:
            self.best = self.net.get_weights()
        self.net.set_weights(own)
        for callback in self.callbacks:  # the optimizer then has the next epoch's rate
            callback.on_epoch_end(epoch, dict(row))
        self.checkpoints.write(
            lambda: Checkpoint(self.history, self.net.get_weights(), _values(optimizer.variables), self.best)
        )
        self.progress.record(self.history)
        speed = self.steps * self.batch_size / (fitted - started)
        took = f"{time.perf_counter() - started:.1f} s  {speed:.0f} faces/s"
        line = f"epoch {epoch}/{settings.epochs}  {_described(row)}  learning_rate {rate:.2e}  {took}"
        self.progress.say(line + "  best so far" * is_best)

    def _fit(self, epoch: int) -> dict[str, float]:
        """Fit one epoch; return its loss and accuracy."""
        seed, bar = self.settings.seed, self.progress.bar
        seed_epoch(self.learner, seed, epoch - 1)
        shown = {"model": self.learner, "epochs": self.settings.epochs, "steps": self.steps}
        callbacks = keras.callbacks.CallbackList(add_history=True, add_progbar=bar, verbose=int(bar), **shown)
        rows = feed(epoch_order(self.data.train, self.batch_size, seed, epoch - 1), self.batch_size)
        options = {"initial_epoch": epoch - 1, "epochs": epoch, "shuffle": False, "verbose": int(bar)}
        fitted = self.learner.fit(**rows, **options, callbacks=callbacks)
        return {name: float(fitted.history[name][-1]) for name in ("loss", "accuracy")}

    def _prepare_validation(self, epoch: int) -> None:
        """Bring the weights into the state that is validated."""
        if self.settings.averaging > 0:
            averages = self.learner.optimizer._model_variables_moving_average
            _assign(self.learner.trainable_variables, _values(averages))
        if self.settings.batch_norm == "recomputed":
            seed = derive(self.settings.seed, "batch_norm", epoch - 1)
            rows = np.random.default_rng(seed).permutation(self.data.train).astype(np.int32)
            self.recompute.run(rows)

    def _predict(self) -> NDArray[np.float32]:
        """Return the probabilities of the validation faces."""
        rows = np.arange(self.data.train, len(self.data.faces), dtype=np.int32)
        size = _up(min(PREDICT_BATCH, len(rows)), self.strategy.devices)
        filled = np.resize(rows, _up(len(rows), size))  # whole batches: one shape is compiled
        predicted: NDArray[np.float32] = self.learner.predict(**feed(filled, size), verbose=0)[: len(rows)]
        return predicted


def _described(row: dict[str, float]) -> str:
    return "  ".join(f"{name} {row[name]:.4f}" for name in COLUMNS[1:-1])


def _in_float32(net: Any, build: Callable[[], Any], settings: TrainSettings) -> Any:
    """The saved model computes in float32, so that it predicts alike on machines without bfloat16."""
    if settings.precision == "float32":
        return net
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(settings.seed)
    plain = build()
    plain.set_weights(net.get_weights())
    seed_epoch(plain, settings.seed, 0)
    return plain


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _values(variables: list[Any]) -> Arrays:
    return [np.asarray(ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[Any], values: Arrays) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
