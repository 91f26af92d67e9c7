"""The model as Keras runs it: on TensorFlow, whose converters the exporters are, and on one thread."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from candid.backend import use_backend
from candid.errors import CandidError
from candid.evaluation.model_file import read_card
from candid.predict.classifier import Classifier, load_classifier


def load(path: Path) -> Classifier:
    """Load a model; CandidError where it is none, or KERAS_BACKEND asks for something else."""
    asked = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if asked != "tensorflow":
        raise CandidError(f"KERAS_BACKEND={asked}: the exporters go through TensorFlow; expected it unset")
    read_card(path)  # before TensorFlow takes its seconds
    use_backend("tensorflow")
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # TensorFlow is at work already, in a test say
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    return load_classifier(path)
