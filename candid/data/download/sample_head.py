"""Pose, light, head, hair and surroundings of the faces of `sample`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from candid.data.download.sample_canvas import FRAME, bump, cover, ellipse, over, sign
from candid.data.download.sample_random import Floats

Values = dict[str, Floats]
"""Parameters by name (sample_scenes.PERSON and SCENE together), each n x 1 x 1."""


@dataclass(frozen=True)
class Pose:
    """Where each pixel lies. All n x FRAME x FRAME.

    x, y: on the picture plane, in the head's scale and upright, from the middle of the head.
    nx, ny, nz: the head taken as an ellipsoid, its surface normal there, as the camera sees it.
    u, v: the place on the face seen from the front: yaw and pitch undone.
    px: one pixel's width in these units (n x 1 x 1).
    distance: from the outline of the head, negative inside.
    """

    x: Floats
    y: Floats
    nx: Floats
    ny: Floats
    nz: Floats
    u: Floats
    v: Floats
    px: Floats
    distance: Floats


def turn(half_tangent: Floats) -> tuple[Floats, Floats]:
    """Cosine and sine of an angle, from the tangent of its half."""
    square = half_tangent * half_tangent
    return (1.0 - square) / (1.0 + square), 2.0 * half_tangent / (1.0 + square)


def place(p: Values, jaw_drop: Floats) -> Pose:
    """Find every pixel's place on the head; `jaw_drop` lengthens the chin (pixels)."""
    at = np.arange(FRAME, dtype=np.float32) - np.float32(FRAME / 2 - 0.5)
    column, row = at[None, None, :] - p["shift_x"], at[None, :, None] - p["shift_y"]
    cos, sin = turn(p["roll"])
    x = (column * cos + row * sin) / p["scale"]
    y = (row * cos - column * sin) / p["scale"]
    below = np.maximum(y, 0.0)
    height = p["height"] + np.where(y > 0, jaw_drop, np.float32(0.0))
    ny = y / height
    drop = below / height
    width = p["width"] * (1.0 - p["jaw"] * drop * drop)
    nx = x / width
    distance = ellipse(x, y, width, height)
    nz = np.sqrt(np.maximum(1.0 - nx * nx - ny * ny, 0.0))
    cos, sin = turn(p["yaw"])
    u, depth = nx * cos - nz * sin, nx * sin + nz * cos
    cos, sin = turn(p["pitch"])
    v = ny * cos - depth * sin
    return Pose(x, y, nx, ny, nz, u * p["width"], v * p["height"], 1.0 / p["scale"], distance)


def surroundings(p: Values, pose: Pose, clutter: Floats, hair: Floats) -> Floats:
    """Paint wall, neck, shoulders and the hair behind the head; a new canvas, n x FRAME x FRAME."""
    x, y, px = pose.x, pose.y, pose.px
    wall = p["wall"] + x * (p["wall_x"] / 24) + y * (p["wall_y"] / 24) + p["clutter"] * clutter
    wall += p["edge"] * cover(x - p["edge_x"] + 0.15 * y, 2.0)
    wall += p["shelf"] * cover(y - p["shelf_y"] - 0.1 * x, 1.5)
    spot = ellipse(x - p["spot_x"], y - p["spot_y"], p["spot_size"], p["spot_size"])
    canvas: Floats = np.clip(wall + p["spot"] * cover(spot, 3.0), 0.03, 1.0)
    neck = np.abs(x) - 0.58 * p["width"]
    shade = p["tone"] * 0.62
    over(canvas, shade, cover(np.maximum(neck, 4.0 - y), px))
    shoulders = ellipse(x, y - 40.0, 34.0, 17.0)
    over(canvas, np.clip(p["clothes"] + 0.1 * clutter, 0.02, 1.0), cover(shoulders, px))
    fullness = p["volume"] * np.clip(0.1 - 0.12 * y + p["loose"], 0.0, 1.0)
    behind = ellipse(x, y + 1.0, p["width"] + fullness, p["height"] + p["volume"])
    behind = np.maximum(behind, y - 1.0)
    sides = np.maximum(np.abs(x) - p["width"] - 0.9 * p["volume"] - 0.06 * y, np.maximum(-2.0 - y, y - 26.0))
    behind = np.where(p["loose"] > 0, np.minimum(behind, sides), behind)
    over(canvas, hair * 0.8, cover(behind, 1.5) * (1.0 - p["bald"]))
    return canvas


def ears(p: Values, pose: Pose, canvas: Floats) -> None:
    """Paint the ears, in place."""
    away = np.abs(pose.x) - p["width"] * 0.99
    alpha = cover(ellipse(away, pose.y + 1.0, 2.0, 4.2), pose.px)
    over(canvas, p["tone"] * 0.8, alpha * (1.0 - p["loose"]))


def hair_on_top(p: Values, pose: Pose, canvas: Floats, hair: Floats, streak: Floats) -> None:
    """Paint the hair over forehead and temples, in place."""
    u, v = pose.u, pose.v
    side = (u - p["part"] - p["tousle"]) / p["width"]
    line = p["hairline"] + p["tousle"] * 0.4 + 5.0 * side * side + 1.2 * streak
    bangs = p["hairline"] + 5.5 + p["swept"] + 1.5 * streak - (1.5 + p["swept"]) * side
    line = np.where(p["fringe"] > 0, np.maximum(line, np.minimum(bangs, p["eye_y"] - 5.8)), line)
    temple = p["width"] * (0.93 - 0.10 * p["loose"]) - np.abs(u) + 0.05 * v
    burns = np.maximum(temple, v - 1.0 - 14.0 * p["loose"])
    alpha = cover(np.minimum(v - line, burns), 1.6) * cover(pose.distance - 0.6, 1.0)
    band = bump(u - 4.0 * p["light_x"], v - p["hairline"] + 3.0, 7.0, 3.0)
    over(canvas, hair + p["gloss"] * band * (1.0 + 0.5 * streak), alpha * (1.0 - p["bald"]))


def light(p: Values, pose: Pose, relief: tuple[Floats, Floats]) -> Floats:
    """Brightness that the light gives each pixel of the head, about 0.2 to 1.5.

    Lambert's law for the ellipsoid's normal, tilted by `relief` (slopes of nose, cheeks, chin), and the
    soft edge of a shadow that something outside the picture casts.
    """
    x, y, z = p["light_x"], p["light_y"], p["light_z"]
    length = np.sqrt(x * x + y * y + z * z)
    nx, ny = pose.nx - relief[0], pose.ny - relief[1]
    nz = np.maximum(pose.nz, 0.25)
    facing = (nx * x + ny * y + nz * z) / (length * np.sqrt(nx * nx + ny * ny + nz * nz))
    shine = 1.0 - p["hardness"] + p["hardness"] * 1.45 * np.maximum(facing, 0.0)
    side = pose.x * p["shadow_x"] + pose.y * p["shadow_y"]
    side = side / np.sqrt(p["shadow_x"] * p["shadow_x"] + p["shadow_y"] * p["shadow_y"] + 0.01)
    dark = np.maximum(p["shadow"], 0.0) * cover(side - p["shadow_at"], p["shadow_edge"])
    brightness: Floats = shine * (1.0 - dark)
    return brightness


def relief(p: Values, pose: Pose, smile: Floats, jaw_drop: Floats) -> tuple[Floats, Floats]:
    """Slopes of nose, brow ridge, cheeks and chin on the face, to tilt the normals by."""
    u, v = pose.u, pose.v
    right = np.zeros_like(u)
    down = np.zeros_like(u)
    tip = p["eye_y"] + p["nose_length"]
    cheek = p["eye_y"] + 9.0
    hills = (
        (u, v - tip + 4.0, 1.7, 6.0, 1.5),
        (u, v - tip, 2.6, 2.2, 1.6),
        (np.abs(u) - 8.8, v - cheek + 1.5 * smile, 4.2, 3.6, 0.5 + 1.1 * smile),
        (u, v - p["mouth_y"] - 6.5 - jaw_drop, 4.0, 2.8, 0.8),
        (np.abs(u) - p["eye_x"], v - p["eye_y"], 4.6, 3.0, -0.8),
    )
    for x, y, a, b, tall in hills:
        high = bump(x, y, a, b) * tall
        fall = -4.0 * high / (1.0 + (x / a) * (x / a) + (y / b) * (y / b))
        across = fall * x / (a * a)
        right += across if x is u else across * sign(u)
        down += fall * y / (b * b)
    return right, down


def wraps(p: Values, pose: Pose, canvas: Floats, streak: Floats) -> None:
    """Paint a knitted hat or a scarf, in place."""
    rib = 1.0 + 0.25 * streak
    line = p["hat_line"] + 0.012 * pose.u * pose.u
    wide = np.maximum(pose.distance - 1.5, pose.v - line)
    wool = np.clip(p["hat_tone"] * rib * (0.55 + 0.6 * pose.nz), 0.02, 1.0)
    over(canvas, wool, p["hat"] * cover(wide, 1.2))
    line = p["scarf_line"] - 0.012 * pose.x * pose.x
    wool = np.clip(p["scarf_tone"] * (1.0 + 0.4 * streak), 0.02, 1.0)
    over(canvas, wool, p["scarf"] * cover(line - pose.y + 0.15 * pose.x, 1.5))


def passers(p: Values, pose: Pose, canvas: Floats) -> None:
    """Paint something out of focus at the edge of the picture, nearer to the camera than the face."""
    x, y = p["passer_x"], p["passer_y"]
    length = np.sqrt(x * x + y * y) + 0.01
    size = p["passer_size"]
    away = 20.0 + size
    blob = ellipse(pose.x - x / length * away, pose.y - y / length * away, size, size)
    over(canvas, p["passer_tone"], cover(blob, 3.0))


def blinds(p: Values) -> Floats:
    """Share of the light that stripes of shade leave to every pixel."""
    at = np.arange(FRAME, dtype=np.float32) - np.float32(FRAME / 2 - 0.5)
    x, y = p["blinds_x"], p["blinds_y"]
    length = np.sqrt(x * x + y * y) + 0.01
    along = (at[None, None, :] * x + at[None, :, None] * y) / (length * p["blinds_step"]) + p["blinds_at"]
    phase = np.abs(along - np.floor(along) - 0.5) * 2.0
    left: Floats = 1.0 - np.maximum(p["blinds"], 0.0) * np.clip(3.0 * phase - 1.0, 0.0, 1.0)
    return left
