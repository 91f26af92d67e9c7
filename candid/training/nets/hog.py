"""The classical baseline as a Keras model: histograms of oriented gradients (HOG) and a linear SVM."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers

from candid.errors import CandidError
from candid.training.nets.parts import HEAD, Tensor, probabilities
from candid.training.settings import HogSettings

LUMA = (0.2125, 0.7154, 0.0721)
TURN, SLOPE = 2e-6, 1e6
"""Radians by which the bins are turned, so that no horizontal gradient lies on the edge at 0 degrees; slope
of the step that says on which side of an edge a gradient lies."""
CLIP = 0.2


def hog_svm(faces: Tensor, settings: HogSettings, classes: int) -> Tensor:
    """Build HOG (Dalal and Triggs 2005) from fixed layers; the last layer is the SVM, which `train_svm` fits.

    The features are those of scikit-image's `hog` (block_norm L2-Hys): magnitudes of the gradients of
    [-1, 0, 1] are averaged by cell and by direction over 180 degrees, in hard bins; blocks of cells are
    normalised, clipped at 0.2 and normalised again. RGB becomes grey first. Float32 always: bfloat16 would
    move the edges of the bins.
    """
    bins, side = settings.orientations, settings.block
    if faces.shape[1] // settings.cell < side:
        block = f"a block of {side} x {side} cells of {settings.cell} px"
        raise CandidError(f"archs.hog_svm: {block}: expected at most the face's side of {faces.shape[1]} px")
    x = layers.Rescaling(1.0, dtype="float32", name="scaling")(faces)
    if x.shape[-1] == len(LUMA):
        x = _fixed(x, np.reshape(LUMA, (1, 1, -1, 1)), "luma")
    step = np.array([-1.0, 0.0, 1.0])
    down = layers.ZeroPadding2D(((1, 1), (0, 0)), name="pad_y")(_fixed(x, step.reshape(3, 1, 1, 1), "y"))
    across = layers.ZeroPadding2D(((0, 0), (1, 1)), name="pad_x")(_fixed(x, step.reshape(1, 3, 1, 1), "x"))
    gradient = layers.Concatenate(dtype="float32", name="gradient")([across, down])
    direction = layers.UnitNormalization(dtype="float32", name="direction")(gradient)
    magnitude = layers.Multiply(dtype="float32", name="magnitude")([gradient, direction])  # its two parts

    edges = np.arange(bins) * np.pi / bins - TURN
    sine = SLOPE * np.stack([-np.sin(edges), np.cos(edges)])  # of the angle from each edge to the direction
    beyond = layers.ReLU(1.0, dtype="float32", name="beyond")(_fixed(direction, sine[None, None], "sine"))
    # In a bin where it is beyond one edge of the two; beyond the edge at 180 degrees is not beyond that at 0.
    between = np.eye(bins) - np.eye(bins, k=-1)
    between[0, -1] = 1
    bias = np.eye(bins)[-1] * -1
    halves = _fixed(beyond, np.hstack([between, -between])[None, None], "between", np.r_[bias, -bias])
    halves = layers.ReLU(dtype="float32", name="bin")(halves)
    weights = _fixed(magnitude, np.ones((1, 1, 2, 2 * bins)), "weight")
    votes = layers.Multiply(dtype="float32", name="votes")([halves, weights])
    cells = layers.AveragePooling2D(settings.cell, dtype="float32", name="cells")(votes)

    gather = np.eye(side * side * bins).reshape(side, side, bins, -1)
    x = _fixed(cells, np.concatenate([gather, gather], axis=2), "blocks")
    x = layers.UnitNormalization(dtype="float32", name=f"{HEAD}normalised")(x)
    x = layers.ReLU(CLIP, dtype="float32", name=f"{HEAD}clipped")(x)
    x = layers.UnitNormalization(dtype="float32", name=f"{HEAD}features")(x)
    return probabilities(layers.Flatten(dtype="float32", name=f"{HEAD}flat")(x), classes)


def _fixed(x: Tensor, kernel: Any, name: str, bias: Any = None) -> Tensor:
    """Convolve with a kernel that is not trained."""
    weights = [kernel] if bias is None else [kernel, bias]
    options = {"use_bias": bias is not None, "trainable": False, "dtype": "float32", "name": name}
    layer = layers.Conv2D(kernel.shape[3], kernel.shape[:2], **options)
    given = layer(x)
    layer.set_weights(weights)
    return given
