"""One picture of `sample` from its parameters: the order in which things are painted, and the camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from candid.data.download import sample_features as features
from candid.data.download import sample_head as head
from candid.data.download.sample_canvas import FRAME, SIZE, cover, noise, over
from candid.data.download.sample_features import Actions
from candid.data.download.sample_head import Values
from candid.data.download.sample_random import Floats, Raw

_GRIDS = {"clutter": (7, 7), "litter": (13, 13), "streak": (5, 20), "mottle": (9, 9), "grain": (FRAME, FRAME)}

TEXTURE = sum(rows * columns for rows, columns in _GRIDS.values())
"""Random numbers that the noise of one picture takes."""


def draw(p: Values, act: Actions, texture: Raw) -> NDArray[np.uint8]:
    """Draw n pictures.

    Args:
        p: parameters of person and scene, each n x 1 x 1.
        act: intensity of each action, each n x 1 x 1.
        texture: raw random numbers for the noise, n x TEXTURE.

    Returns:
        uint8, n x FRAME x FRAME.
    """
    noises = _noises(texture)
    clutter, streak = noises["clutter"] + 0.5 * noises["litter"], noises["streak"]
    dark = p["hair_tone"] * p["hair_tone"]
    hair = np.clip(0.10 + 0.60 * dark + 0.14 * streak * (0.5 + dark), 0.02, 1.0)
    p = p | {"loose": p["long"] * (1.0 - p["tied"])}
    drop = 3.2 * act[26]
    pose = head.place(p, drop)
    canvas = head.surroundings(p, pose, clutter, hair)
    head.ears(p, pose, canvas)
    face = p["tone"] * (1.0 + p["mottle"] * noises["mottle"])
    features.beard(p, act, pose, face, hair, streak)
    features.wrinkles(p, act, pose, face)
    features.nose(p, act, pose, face)
    features.mouth(p, act, pose, face)
    features.eyes(p, act, pose, face)
    features.brows(p, act, pose, face, hair)
    head.hair_on_top(p, pose, face, hair, streak)
    features.glasses(p, pose, face)
    slopes = head.relief(p, pose, act[12] * 0.7 + act[6] * 0.3, drop)
    face = face * head.light(p, pose, slopes)
    over(canvas, face, cover(pose.distance, pose.px))
    head.wraps(p, pose, canvas, streak)
    head.passers(p, pose, canvas)
    canvas *= head.blinds(p)
    return _expose(p, canvas, noises["grain"])


def _noises(texture: Raw) -> dict[str, Floats]:
    """Make the noises of _GRIDS, each n x FRAME x FRAME."""
    noises, start = {}, 0
    for name, (rows, columns) in _GRIDS.items():
        raw = texture[:, start : start + rows * columns]
        noises[name] = noise(raw, rows, columns)
        start += rows * columns
    return noises


def _expose(p: Values, canvas: Floats, grain: Floats) -> NDArray[np.uint8]:
    """Exposure, vignette, focus, the film's curve and its grain."""
    at = (np.arange(FRAME, dtype=np.float32) - np.float32(FRAME / 2 - 0.5)) / np.float32(SIZE / 2)
    corner = at[None, :, None] * at[None, :, None] + at[None, None, :] * at[None, None, :]
    seen = canvas * p["exposure"] * (1.0 - p["vignette"] * 0.5 * corner)
    seen = seen + (_blur(seen) - seen) * (p["softness"] * p["softness"])
    seen = np.clip(seen, 0.0, 2.0)
    seen = 1.36 * seen / (0.5 + seen)
    seen = seen + p["grain"] * grain
    levels: NDArray[np.uint8] = np.clip(np.floor(seen * 255.0 + 0.5), 0, 255).astype(np.uint8)
    return levels


def _blur(image: Floats) -> Floats:
    """Binomial filter 1 2 1 in both directions, the edge repeated."""
    wide = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = wide[:, :, :-2] + 2.0 * wide[:, :, 1:-1] + wide[:, :, 2:]
    return (across[:, :-2] + 2.0 * across[:, 1:-1] + across[:, 2:]) * np.float32(0.0625)
