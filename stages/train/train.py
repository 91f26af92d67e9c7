"""Training as one function of arrays: a net, the faces, the settings, and where checkpoints go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from stages.backend import fuses_batch_norm, is_out_of_memory
from stages.errors import CandidError
from stages.train.checkpoints import Checkpoints
from stages.train.fused_norm import fused_batch_norm
from stages.train.inputs import TrainingSet
from stages.train.loop import Training
from stages.train.one_device import OneDevice
from stages.train.params import TrainSettings
from stages.train.streams import seed_epoch
from stages.train.weights import start_from

COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1", "learning_rate")


def train(
    build: Callable[[], Any],
    data: TrainingSet,
    settings: TrainSettings,
    checkpoints: Checkpoints,
    body_layers: Callable[[Any], list[Any]] = lambda net: net.layers[:0],
    weights: str | Path | None = None,
    verbose: bool = False,
    say: Callable[[str], None] = print,
    split: OneDevice | None = None,
) -> tuple[Any, list[dict[str, float]]]:
    """Train a net and return it at its best epoch, in float32, with a row of COLUMNS for each epoch.

    Args:
        build: makes the net; called again where the saved net differs in precision.
        body_layers: gives the layers of a net that `freeze_epochs` freezes.
        weights: a .keras file to start from, or None.
        verbose: show Keras's progress bar.
        say: takes one line an epoch.
        split: how batches are shared out among devices; None: there is one.

    Raises:
        CandidError: the loss is not a number, memory ran out, or the weights don't fit.
    """
    split = split or OneDevice()
    keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(settings.precision)
    try:
        with split.scope():
            net = build()
            if weights is not None:
                start_from(net, weights, data.classes)
            training = Training(net, data, settings, checkpoints, body_layers(net), verbose, say, split)
            fused = split.fused and fuses_batch_norm()
            with fused_batch_norm(net) if fused else split.whole_batch(net):
                training.run()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise CandidError(
            f"out of memory with train.batch_size = {settings.batch_size}: try half of it, or a smaller net"
        ) from None
    finally:
        keras.config.set_dtype_policy("float32")
    return _in_float32(net, build, settings), training.progress.history


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
