"""The backend of Keras: set before Keras is imported, and what is asked of it afterwards."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.errors import CandidError


def use_backend(name: str, start: Callable[[], None] = lambda: None) -> Any:
    """Make Keras run on `name` (tensorflow, jax or torch), import both and return Keras.

    Call it before Keras is imported. TensorFlow's kernels on a GPU are the deterministic ones only where the
    environment asks for them (TF_DETERMINISTIC_OPS=1). `start` is called before the devices are looked at.

    Raises:
        CandidError: KERAS_BACKEND asks for another, the package is not installed, or Keras already
            runs on another.
    """
    asked = os.environ.get("KERAS_BACKEND")
    if asked and asked != name:
        raise CandidError(
            f"params.yaml: train.backend = {name!r}, but the environment says KERAS_BACKEND={asked}: "
            "unset it or make them equal"
        )
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise CandidError(
            f"params.yaml: train.backend = {name!r}: the package {name} is not installed"
        ) from None
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _hushed():
        keras = importlib.import_module("keras")
        start()
        devices()
    if keras.backend.backend() != name:
        raise CandidError(
            f"params.yaml: train.backend = {name!r}, but Keras runs on {keras.backend.backend()}"
        )
    return keras


def versions() -> dict[str, str]:
    """Return the versions of what the bits of a trained model depend on, and the devices and threads."""
    import keras

    names = ["keras", "keras-hub", "numpy", keras.backend.backend()]
    found = {name: importlib.metadata.version(name) for name in names}
    return {
        "python": sys.version.split()[0],
        **found,
        "devices": ", ".join(devices()),
        "threads": str(threads()),
    }


def threads() -> int:
    """Return how many threads an operation is divided over on a CPU: sums are taken in that many parts.

    TF_NUM_INTRAOP_THREADS, which TensorFlow reads, else the cores that this process may use.
    """
    asked = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices() -> list[str]:
    """Return the names of the devices that Keras would compute on, accelerators before the CPU."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        return [device.name for device in tf.config.list_physical_devices(kind)]
    if backend == "jax":
        import jax

        return [f"{device.platform}:{device.id}" for device in jax.devices()]
    import torch

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] or ["cpu"]


def worth_compiling() -> bool:
    """Say whether XLA makes the step faster: TensorFlow on a CPU loses half its speed."""
    import keras

    if keras.backend.backend() == "tensorflow":
        return "GPU" in devices()[0]
    return bool(keras.backend.backend() == "jax")


def fuses_batch_norm() -> bool:
    """Say whether batch norm pays as one operation: on TensorFlow where XLA fuses nothing."""
    import keras

    return bool(keras.backend.backend() == "tensorflow") and not worth_compiling()


def steps_per_call(wanted: int) -> int:
    """Return how many steps one compiled call takes: `wanted`, or 1 where more can't be or don't pay.

    On PyTorch Keras's trainer can only do one. On JAX on a CPU a step in a loop is tens of times slower, for
    its convolutions (jax-ml/jax#12868), and a call costs less than a millisecond.
    """
    import keras

    backend = keras.backend.backend()
    return 1 if backend == "torch" or (backend == "jax" and devices()[0].startswith("cpu")) else wanted


def feed(rows: NDArray[np.int32], batch_size: int) -> dict[str, Any]:
    """Return the arguments by which Keras's `fit` and `predict` take rows, whole batches of them, in order.

    On TensorFlow a dataset that does not tune itself. The thread that tunes sleeps twice as long each time,
    10 ms, 20 ms and so on, and the end of an epoch waits for it to wake (TensorFlow 2.21): whatever took
    42 s took 82 s.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return {"x": rows, "batch_size": batch_size}
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    # Where devices share a batch: cut the batches, there are no files to share out.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return {"x": tf.data.Dataset.from_tensor_slices(rows.reshape(-1, batch_size)).with_options(options)}


def is_out_of_memory(error: Exception) -> bool:
    """Recognise each backend's way to say that memory ran out."""
    text = f"{type(error).__name__}: {error}".lower()
    return any(
        sign in text for sign in ("resourceexhausted", "resource_exhausted", "out of memory", "oom when")
    )


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep what libraries write to stderr while they load: shown only where loading fails.

    TensorFlow 2.21 prints a dozen lines about missing GPUs before it reads its own log level.
    """
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(shown, kept.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)
