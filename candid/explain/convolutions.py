"""What the first layers make of a face: their filters, and the maps that these give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from candid.errors import CandidError
from candid.evaluation.scores import Floats

LAYERS, FILTERS = 2, 32


class Responses(NamedTuple):
    """One convolution on one face."""

    name: str
    kernels: Floats
    """F x k x k: the mean over the input's channels."""
    maps: Floats
    """F x h x w, before any activation that is a layer of its own."""
    total: int
    """Filters of the layer; the first F are here."""


def first_convolutions(model: Any, faces: NDArray[np.uint8]) -> list[list[Responses]]:
    """The first LAYERS convolutions of a model, on each of N faces (as the model takes them): N lists.

    Raises:
        CandidError: it has no convolution among its layers.
    """
    import keras

    found = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][:LAYERS]
    if not found:
        raise CandidError(f"the model {model.name} has no two-dimensional convolution among its layers")
    part = keras.Model(model.inputs, [layer.output for layer in found])
    maps = part.predict_on_batch(faces)
    maps = [maps] if len(found) == 1 and not isinstance(maps, list | tuple) else list(maps)
    first = keras.config.image_data_format() == "channels_first"
    kernels = [np.asarray(keras.ops.convert_to_numpy(layer.kernel), np.float64) for layer in found]
    return [
        [
            Responses(
                layer.name,
                kernel.mean(axis=2).transpose(2, 0, 1)[:FILTERS],
                _channels(np.asarray(values[place], np.float64), first)[:FILTERS],
                kernel.shape[-1],
            )
            for layer, kernel, values in zip(found, kernels, maps, strict=True)
        ]
        for place in range(len(faces))
    ]


def _channels(values: Floats, first: bool) -> Floats:
    return values if first else values.transpose(2, 0, 1)
