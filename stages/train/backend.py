"""The backend of Keras: set before Keras is imported, and what is asked of it afterwards."""

from __future__ import annotations

import importlib.metadata
import os
import sys

from stages.errors import CandidError

PACKAGES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def use_backend(name: str) -> None:
    """Make Keras use `name` (tensorflow, jax or torch); call it before anything imports Keras.

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
        importlib.metadata.version(PACKAGES[name])
    except importlib.metadata.PackageNotFoundError:
        raise CandidError(
            f"params.yaml: train.backend = {name!r}: the package {PACKAGES[name]} is not installed"
        ) from None
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else a screen of start-up lines hides ours
    if "keras" in sys.modules:
        import keras

        if keras.backend.backend() != name:
            raise CandidError(
                f"params.yaml: train.backend = {name!r}, but Keras runs on {keras.backend.backend()}"
            )


def versions() -> dict[str, str]:
    """Return the versions of what the bits of a trained model depend on, and the devices in use."""
    import keras

    names = ["keras", "keras-hub", "numpy", keras.backend.backend()]
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": sys.version.split()[0], **found, "devices": ", ".join(devices())}


def devices() -> list[str]:
    """Return the names of the devices that Keras would compute on, accelerators before the CPU."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return [
            device.name
            for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        ]
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


def is_out_of_memory(error: Exception) -> bool:
    """Recognise each backend's way to say that memory ran out."""
    text = f"{type(error).__name__}: {error}".lower()
    return any(
        sign in text for sign in ("resourceexhausted", "resource_exhausted", "out of memory", "oom when")
    )
