"""A net together with the faces it learns from, as one Keras model that takes rows and is fitted by `fit`.

The whole uint8 set lies on the device; a batch is a list of rows. Augmentation, mixing and weighting run
inside the compiled step, the same code on each backend.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy.special import betaincinv

from candid.training.augment import augment
from candid.training.data import TrainingSet, derive
from candid.training.distribution import OneDevice
from candid.training.settings import TrainSettings

Tensor = Any


class Learner(keras.Model):
    """Takes rows of the training set (int32, B); fitted by `fit`, and `predict` gives probabilities."""

    def __init__(
        self, net: Any, data: TrainingSet, settings: TrainSettings, strategy: OneDevice | None = None
    ) -> None:
        """Put the faces on the device, or on each.

        The net takes uint8 faces, B x S x S x C, where S is the size of settings.augment.crop or their side,
        and gives B x classes probabilities.
        """
        super().__init__(name="learner", dtype="float32")
        self.settings = settings
        self.strategy = strategy or OneDevice()
        self.logits = logits_of(net)
        self.faces = _constant(data.faces, "faces")
        # Both as floats: TensorFlow keeps integer variables in the host's memory.
        labels = np.eye(len(data.classes), dtype=np.float32)[data.labels]
        self.targets = _constant(labels if data.targets is None else data.targets, "targets")
        self.class_weights = _constant(data.class_weights[:, None], "class_weights")
        self.stream = keras.random.SeedGenerator(settings.seed)
        self.accuracy = keras.metrics.Mean(name="accuracy")
        self.shares = _beta_quantiles(settings.mixup or 1.0)
        self.built = True

    def call(self, rows: Tensor, training: bool = False) -> Tensor:
        """Return probabilities; in training a dict of logits, targets and a weight for each face."""
        if not training:
            return ops.softmax(ops.cast(self.logits(self.view(rows), training=False), "float32"))
        picked = ops.take(self.faces, rows, axis=0)
        faces = augment(picked, self.settings.augment, self.stream, self.strategy.uniform)
        targets = ops.take(self.targets, rows, axis=0)
        if self.settings.mixup > 0:
            faces, targets = self._mix(faces, targets)
        weights = ops.matmul(targets, self.class_weights)[:, 0]
        smooth = self.settings.label_smoothing
        targets = targets * (1 - smooth) + smooth / targets.shape[1]
        logits = ops.cast(self.logits(faces, training=True), "float32")
        return {"logits": logits, "targets": targets, "weights": weights}

    def view(self, rows: Tensor) -> Tensor:
        """Return the faces as the net sees them outside training, uint8 B x S x S x C.

        Of a crop the middle, as torchvision's CenterCrop has it.
        """
        faces = ops.take(self.faces, rows, axis=0)
        if not (crop := self.settings.augment.crop):
            return faces
        start = round((faces.shape[1] - crop.size) / 2)
        return faces[:, start : start + crop.size, start : start + crop.size]

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *rest: Any, **more: Any) -> Any:
        """Return the weighted cross-entropy, averaged over the batch, plus the net's own penalties."""
        del x, y, rest, more
        crossed = -ops.sum(y_pred["targets"] * ops.log_softmax(y_pred["logits"]), axis=-1)
        loss = ops.mean(crossed * y_pred["weights"])
        for penalty in self.losses:
            loss = loss + ops.sum(ops.cast(penalty, "float32"))
        return self.strategy.scale_loss(loss)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, *rest: Any, **more: Any) -> dict[str, Any]:
        """Count a face as right when its largest output is its largest target."""
        del x, y, rest, more
        right = ops.argmax(y_pred["logits"], axis=-1) == ops.argmax(y_pred["targets"], axis=-1)
        self.accuracy.update_state(ops.cast(right, "float32"))
        metrics: dict[str, Any] = self.get_metrics_result()
        return metrics

    def _mix(self, faces: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mix each face and target with its neighbour's in the (shuffled) batch: Zhang et al. 2018."""
        number = self.strategy.uniform((ops.shape(faces)[0],), seed=self.stream) * len(self.shares)
        share = ops.take(ops.convert_to_tensor(self.shares), ops.cast(number, "int32"), axis=0)
        both = ops.cast(faces, "float32")
        wide, share = ops.reshape(share, (-1, 1, 1, 1)), ops.reshape(share, (-1, 1))
        mixed = ops.cast(ops.round(both * wide + ops.roll(both, 1, axis=0) * (1 - wide)), "uint8")
        return mixed, targets * share + ops.roll(targets, 1, axis=0) * (1 - share)


def logits_of(net: Any) -> Any:
    """Return the net without its softmax, sharing its layers: a loss over logits keeps its digits."""
    last = net.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        return keras.Model(net.input, last.input, name="logits")
    raise TypeError(f"the last layer of {net.name} is {type(last).__name__}; expected a softmax of its own")


def seed_epoch(model: Any, seed: int, epoch: int) -> None:
    """Set the state of every seed generator in a Keras model (dropout, augmentation) for one epoch.

    On PyTorch its own generator too, from which Keras draws dropout there. (Not on TensorFlow: a new seed
    makes it throw away the compiled step, a second an epoch.)
    """
    if keras.backend.backend() == "torch":
        keras.utils.set_random_seed(derive(seed, "backend", epoch))
    states = [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]
    for number, state in enumerate(states):
        state.assign(np.array([derive(seed, "generator", number, epoch), 0], dtype=state.dtype))


def _constant(values: NDArray[Any], name: str) -> Any:
    return keras.Variable(values, trainable=False, dtype=values.dtype.name, autocast=False, name=name)


def _beta_quantiles(alpha: float, count: int = 1024) -> NDArray[np.float32]:
    """Quantiles of Beta(alpha, alpha) at the middles of `count` equal steps: to draw one is to draw a step.

    (keras.random.beta has no kernel under XLA on TensorFlow.)
    """
    return np.asarray(betaincinv(alpha, alpha, (np.arange(count) + 0.5) / count), np.float32)
