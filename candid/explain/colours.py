"""Signed maps in colour: orange for above zero, blue for below, told apart by the colour-blind too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from candid.evaluation.predict import Images
from candid.evaluation.scores import Floats

ABOVE, BELOW = np.array([213.0, 94, 0]), np.array([0.0, 114, 178])  # Okabe and Ito 2008
STRONGEST = 0.75
"""Opacity of the colour where a map has its largest value."""


def as_rgb(face: NDArray[np.uint8]) -> Images:
    """A face, H x H or x 3, as H x H x 3."""
    return face if face.ndim == 3 else np.repeat(face[..., None], 3, axis=2)


def overlaid(face: NDArray[np.uint8], values: Floats, largest: float) -> Images:
    """A face (H x H or x 3) in grey under a map (H x H), whose value `largest` is opaque most: H x H x 3."""
    grey = as_rgb(face).mean(axis=2, keepdims=True)
    share = np.clip(np.abs(values) / max(largest, 1e-9), 0, 1)[..., None] * STRONGEST
    color = np.where(values[..., None] >= 0, ABOVE, BELOW)
    return np.asarray(np.rint(grey * (1 - share) + color * share), np.uint8)


def signed(values: Floats) -> Images:
    """A map on white, as strong as its largest value: h x w x 3."""
    share = (np.abs(values) / max(float(np.abs(values).max()), 1e-9))[..., None]
    color = np.where(values[..., None] >= 0, ABOVE, BELOW)
    return np.asarray(np.rint(255 * (1 - share) + color * share), np.uint8)


def enlarged(picture: Images, side: int) -> Images:
    """A small picture (h x w x 3) with its pixels drawn large, to side x side, as in nearest neighbour."""
    rows = np.arange(side) * picture.shape[0] // side
    columns = np.arange(side) * picture.shape[1] // side
    return np.asarray(picture[rows][:, columns], np.uint8)
