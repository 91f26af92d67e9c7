"""The backend of Keras: set before Keras is imported, and what depends on it."""

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

from candid.errors import CandidError


def use_backend(name: str, start: Callable[[], None] = lambda: None) -> Any:
    """Make Keras run on `name` (tensorflow, jax or torch), import both and return Keras.

    Call it before Keras is imported. TensorFlow's kernels on a GPU are the deterministic ones only where the
    environment asks for them (TF_DETERMINISTIC_OPS=1). `start` is called before the devices are looked at.
    CandidError: KERAS_BACKEND names another, the package is not installed, or Keras already runs on another.
    """
    other, setting = os.environ.get("KERAS_BACKEND"), f"params.yaml: train.backend = {name!r}"
    if other and other != name:
        unset = "unset it or make them equal"
        raise CandidError(f"{setting}, but the environment says KERAS_BACKEND={other}: {unset}")
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise CandidError(f"{setting}: the package {name} is not installed") from None
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow 2.21 prints a dozen lines about missing GPUs before it reads its own log level
    with hushed(2, shown=True):
        keras = importlib.import_module("keras")
        start()
        devices()
    if backend() != name:
        raise CandidError(f"{setting}, but Keras runs on {backend()}")
    return keras


def versions() -> dict[str, str]:
    """Return the versions of what the bits of a trained model depend on, and the devices and threads."""
    packages = {name: importlib.metadata.version(name) for name in ("keras", "keras-hub", "numpy", backend())}
    machine = {"devices": ", ".join(devices()), "threads": str(threads())}
    return {"python": sys.version.split()[0], **packages, **machine}


def threads() -> int:
    """Return how many threads an operation is divided over on a CPU: sums are taken in that many parts.

    TF_NUM_INTRAOP_THREADS, which TensorFlow reads, else the cores that this process may use.
    """
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if threads.isdecimal() and int(threads) > 0:
        return int(threads)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices() -> list[str]:
    """Return the names of the devices that Keras would compute on, accelerators before the CPU."""
    if backend() == "tensorflow":
        import tensorflow as tf

        kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        return [device.name for device in tf.config.list_physical_devices(kind)]
    if backend() == "jax":
        import jax

        return [f"{device.platform}:{device.id}" for device in jax.devices()]
    import torch

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] or ["cpu"]


def backend() -> str:
    """Return the name of the backend that Keras runs on."""
    import keras

    return str(keras.backend.backend())


def worth_compiling() -> bool:
    """Say whether XLA makes the step faster: TensorFlow on a CPU loses half its speed."""
    return "GPU" in devices()[0] if backend() == "tensorflow" else backend() == "jax"


def feed(rows: NDArray[np.int32], batch_size: int) -> dict[str, Any]:
    """Return the arguments by which Keras's `fit` and `predict` take rows, whole batches of them, in order.

    On TensorFlow a dataset that does not tune itself. The thread that tunes sleeps twice as long each time,
    10 ms, 20 ms and so on, and the end of an epoch waits for it to wake (TensorFlow 2.21): whatever took
    42 s took 82 s.
    """
    if backend() != "tensorflow":
        return {"x": rows, "batch_size": batch_size}
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    # Where devices share a batch: divide the batches, there are no files.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return {"x": tf.data.Dataset.from_tensor_slices(rows.reshape(-1, batch_size)).with_options(options)}


def is_out_of_memory(error: Exception) -> bool:
    """Recognise each backend's way to say that memory ran out."""
    text, signs = f"{type(error).__name__}: {error}".lower(), ("out of memory", "oom when")
    return any(sign in text for sign in (*signs, "resourceexhausted", "resource_exhausted"))


@contextmanager
def hushed(*descriptors: int, shown: bool = False) -> Iterator[None]:
    """Keep what libraries write to stdout (1) or stderr (2); `shown` on the first where the block fails."""
    with tempfile.TemporaryFile() as kept:
        sys.stdout.flush()
        sys.stderr.flush()
        copies = {number: os.dup(number) for number in descriptors}
        for number in copies:
            os.dup2(kept.fileno(), number)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(copies[descriptors[0]], kept.read() if shown else b"")
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in copies.items():
                os.dup2(copy, number)
                os.close(copy)
