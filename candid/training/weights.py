"""Initial weights from an earlier model of the same net."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras

from candid.errors import CandidError
from candid.training.lineage import read_about


def start_from(net: Any, path: str | Path, classes: list[str]) -> None:
    """Copy the weights of a .keras file into `net`; with other classes, all but those of the last layer.

    Args:
        net: freshly built.
        path: a file written by train, of the same net and settings.
        classes: the outputs of `net`, in order.

    Raises:
        CandidError: the file is missing, is no model, or a weight has another shape.
    """
    earlier, found = _load(path)
    head = [id(weight) for weight in _last_layer(net).weights] if found != classes else []
    if len(earlier.weights) != len(net.weights):
        raise CandidError(
            f"{path}: {len(earlier.weights)} weights, but the net has {len(net.weights)}: "
            "expected a model of the same model.arch"
        )
    for old, new in zip(earlier.weights, net.weights, strict=True):
        if id(new) in head:
            continue
        if tuple(old.shape) != tuple(new.shape):
            raise CandidError(
                f"{path}: {old.path} has shape {tuple(old.shape)}, the net's is {tuple(new.shape)}: "
                "expected a model of the same model.arch and data.image_size"
            )
        new.assign(old)


def _load(path: str | Path) -> tuple[Any, list[str]]:
    try:
        found = list(read_about(path)["classes"])
    except FileNotFoundError:
        raise CandidError(f"params.yaml: model.weights = {str(path)!r}: no such file") from None
    except (KeyError, TypeError):
        raise CandidError(f"{path}: no candid.json in it; expected a model.keras written by train") from None
    except Exception as error:  # zipfile has a dozen kinds for what is no zip archive, cut, or encrypted
        raise CandidError(f"{path}: not a Keras model: {error}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "error", UserWarning
            )  # Keras only warns where weights stay as they were drawn
            return keras.saving.load_model(path, compile=False, safe_mode=True), found
    except Exception as error:  # Keras raises whatever the layer at fault does
        raise CandidError(f"{path}: not a Keras model: {str(error)[:200]}") from None


def _last_layer(net: Any) -> Any:
    return next(layer for layer in reversed(net.layers) if layer.weights)
