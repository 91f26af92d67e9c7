"""Importing Keras on the wanted backend, with deterministic kernels and without its libraries' chatter."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from stages.errors import CandidError


def import_keras(backend: str) -> Any:
    """Import Keras on `backend` (tensorflow, jax, torch).

    Raises:
        CandidError: KERAS_BACKEND or an earlier import names another backend, or it is not installed.
    """
    wish = os.environ.get("KERAS_BACKEND", backend)
    if wish != backend:
        raise CandidError(
            f"KERAS_BACKEND = {wish!r}; train.backend = {backend!r}: expected the same, unset one"
        )
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
    try:
        with quiet():
            keras = import_module("keras")
            accelerators(keras)  # TensorFlow looks for a GPU, and complains, at the first question
    except ImportError as error:
        raise CandidError(f"train.backend = {backend!r}: {error}; expected an installed backend") from None
    if keras.config.backend() != backend:
        raise CandidError(
            f"Keras runs on {keras.config.backend()}; train.backend = {backend!r}: expected the same"
        )
    return keras


def accelerators(keras: Any) -> list[str]:
    """Names of the devices that Keras runs on, its own numbering: cpu:0, gpu:0, ..."""
    return [str(name) for name in keras.distribution.list_devices()]


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what C++ libraries write to the standard error, so that our one line of error stands alone."""
    sys.stderr.flush()
    ours = os.dup(2)
    try:
        with tempfile.TemporaryFile() as dropped:
            os.dup2(dropped.fileno(), 2)
            yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)
