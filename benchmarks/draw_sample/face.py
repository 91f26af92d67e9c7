"""Draws one face of the sample from its parameters, in single float32 operations (see laws.py).

Every function paints over a canvas in place, in the face's own frame (Pose.u to the right, Pose.v down); `p`
are the parameters of subject and scene, `act` the intensity of each facial action, each n x 1 x 1.
"""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.draw_sample.laws import Floats, Raw, unit

SIZE = 48  # pixels, height and width of a face
MARGIN = 4
FRAME = SIZE + 2 * MARGIN  # what is drawn: a copy cropped otherwise shows what lies beside it
Number = float | Floats


def middle(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crop frames (... x FRAME x FRAME) to pictures (... x SIZE x SIZE)."""
    return frames[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def cover(distance: Floats, edge: Number = 1.0) -> Floats:
    """Share of a pixel inside a shape, from the signed distance (negative inside) of its centre.

    The edge is `edge` pixels wide; 1 is the anti-aliasing of a sharp edge.
    """
    return np.clip(0.5 - distance / edge, 0.0, 1.0)


def sign(x: Floats) -> Floats:
    """-1 where x is negative, else 1."""
    return np.where(x < 0, np.float32(-1.0), np.float32(1.0))


def over(canvas: Floats, tone: Number, alpha: Floats) -> None:
    """Lay a tone over the canvas."""
    canvas += (tone - canvas) * alpha


def ellipse(x: Floats, y: Floats, a: Number, b: Number) -> Floats:
    """Approximate signed distance from an ellipse of half-axes a and b (first order in the gradient)."""
    u, v = x / a, y / b
    k0 = np.sqrt(u * u + v * v) + 1e-6
    u, v = u / a, v / b
    k1 = np.sqrt(u * u + v * v) + 1e-6
    return k0 * (k0 - 1.0) / k1


def bump(x: Floats, y: Floats, a: Number, b: Number) -> Floats:
    """Rounded hill: 1 in the middle, 1/4 on the ellipse of half-axes a and b, towards 0 outside."""
    u, v = x / a, y / b
    k = 1.0 / (1.0 + u * u + v * v)
    return k * k


def stroke(x: Floats, y: Floats, half: Number, curve: Number, slope: Number) -> Floats:
    """Distance from the line y = curve, -half <= x <= half, whose derivative is `slope`."""
    along = np.maximum(np.abs(x) - half, 0.0)
    across = (y - curve) / np.sqrt(np.asarray(1.0 + slope * slope, np.float32))
    return np.sqrt(along * along + across * across)


def noise(raw: Raw, rows: int, columns: int) -> Floats:
    """Value noise in -1..1: n grids of random numbers, filled smoothly to n x FRAME x FRAME."""
    grid = unit(raw).reshape(-1, rows, columns) * 2.0 - 1.0
    if (rows, columns) == (FRAME, FRAME):
        return grid
    return _fill(_fill(grid, 1), 2)


def _fill(grid: Floats, axis: int) -> Floats:
    """Interpolate along one axis to FRAME, with the weight 3t² - 2t³."""
    cells = grid.shape[axis] - 1
    where = (np.arange(FRAME, dtype=np.float32) + 0.5) * np.float32(cells / FRAME)
    low = np.minimum(where.astype(np.int64), cells - 1)
    t = where - low.astype(np.float32)
    weight = (t * t * (3.0 - 2.0 * t)).astype(np.float32)
    weight = weight[:, None] if axis == 1 else weight
    below, above = np.take(grid, low, axis), np.take(grid, low + 1, axis)
    return below + (above - below) * weight


Values = dict[str, Floats]  # parameters by name (laws.SUBJECT and SCENE together), each n x 1 x 1


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
    """Paint the ears."""
    away = np.abs(pose.x) - p["width"] * 0.99
    alpha = cover(ellipse(away, pose.y + 1.0, 2.0, 4.2), pose.px)
    over(canvas, p["tone"] * 0.8, alpha * (1.0 - p["loose"]))


def hair_on_top(p: Values, pose: Pose, canvas: Floats, hair: Floats, streak: Floats) -> None:
    """Paint the hair over forehead and temples."""
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
    return shine * (1.0 - dark)


def relief(p: Values, pose: Pose, smile: Floats, jaw_drop: Floats) -> tuple[Floats, Floats]:
    """Slopes of nose, brow ridge, cheeks and chin on the face, to tilt the normals by."""
    u, v = pose.u, pose.v
    right, down = np.zeros_like(u), np.zeros_like(u)
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


def hat(p: Values, pose: Pose, canvas: Floats, streak: Floats) -> None:
    """Paint a knitted hat."""
    line = p["hat_line"] + 0.012 * pose.u * pose.u
    wide = np.maximum(pose.distance - 1.5, pose.v - line)
    wool = np.clip(p["hat_tone"] * (1.0 + 0.25 * streak) * (0.55 + 0.6 * pose.nz), 0.02, 1.0)
    over(canvas, wool, p["hat"] * cover(wide, 1.2))


Actions = dict[int, Floats]


def brows(p: Values, act: Actions, pose: Pose, canvas: Floats, hair: Floats) -> None:
    """Two brows: each a parabola through its inner end, middle and outer end."""
    side = 1.0 - p["uneven"] * sign(pose.u)
    x = np.abs(pose.u)
    inner_x = p["eye_x"] - 4.0 - 1.0 * act[4]
    outer_x = p["eye_x"] + 4.9
    base = p["eye_y"] - 4.6 + p["brow_y"]
    inner = base + p["brow_tilt"] + side * (-4.2 * act[1] + 3.2 * act[4] + 1.6 * act[9])
    middle = base - 0.9 + side * (-1.7 * act[1] - 2.5 * act[2] + 2.1 * act[4] + 1.0 * act[9])
    outer = base + 0.6 - p["brow_tilt"] + side * (0.9 * act[1] - 3.6 * act[2] - 0.2 * act[4])
    half = (outer_x - inner_x) * 0.5
    x = x - (outer_x + inner_x) * 0.5
    tilt = (outer - inner) / (2.0 * half)
    bend = ((outer + inner) * 0.5 - middle) / (half * half)
    near = np.clip(x, -half, half)
    curve = middle + tilt * near + bend * near * near
    thick = p["brow_width"] * (1.15 - 0.35 * near / half)
    line = stroke(x, pose.v, half, curve, tilt + 2.0 * bend * near) - thick
    over(canvas, np.minimum(hair * 0.7, p["tone"] * 0.40), 0.95 * cover(line, 1.3))


def eyes(p: Values, act: Actions, pose: Pose, canvas: Floats) -> None:
    """Two eyes between two parabolas, with iris, light in the pupil, lashes and lid fold."""
    x = np.abs(pose.u) - p["eye_x"]
    left = sign(pose.u)
    y = pose.v - p["eye_y"] + p["slant"] * x
    a = p["eye_size"]
    near = np.clip(x, -a, a)
    hood = 1.0 - near * near / (a * a)
    shut = act[43]
    upper = 2.15 + p["lid"] + 1.7 * act[5] - 0.45 * act[7] - 0.35 * act[4] - 0.5 * act[9]
    upper = np.maximum(upper * (1.0 - shut) - 0.5 * shut, -0.6)
    lower = 1.45 + 0.25 * act[5] - 0.75 * act[6] - 0.55 * act[7] - 0.6 * act[9]
    lower = np.maximum(lower * (1.0 - 0.4 * shut), 0.6)
    top = -upper * hood + 0.35 * act[4] * (-near / a) - 0.35 * act[1] * (-near / a)
    bottom = lower * hood
    slope = 2.0 * near / (a * a)
    over(canvas, p["tone"] * 0.72, 0.55 * bump(x, y + 0.6, 5.6, 3.4))
    bags = stroke(x, y, a * 0.75, bottom + 1.3 - 0.4 * act[6], -lower * slope) - 0.2
    deep = 0.12 + 0.25 * p["age"] + 0.45 * np.maximum(act[6], act[9])
    over(canvas, p["tone"] * 0.55, deep * cover(bags, 1.2))
    inside = cover(np.maximum(np.maximum(top - y, y - bottom), np.abs(x) - a), 1.0)
    over(canvas, 0.62 + 0.38 * p["tone"], inside)
    to_iris = ellipse(x - p["gaze_x"] * left, y - p["gaze_y"] + 0.35, 2.0, 2.0)
    over(canvas, p["iris"], inside * cover(to_iris, 1.0))
    over(canvas, 0.03, inside * cover(to_iris + 1.1, 1.0))
    glint = ellipse(x - p["gaze_x"] * left - 0.7 * left, y - p["gaze_y"] + 1.1, 0.6, 0.6)
    over(canvas, 1.0, 0.9 * inside * cover(glint, 1.0))
    lashes = stroke(x, y, a, top, upper * slope) - 0.45
    over(canvas, 0.06, 0.85 * cover(lashes, 1.1))
    rim = stroke(x, y, a * 0.9, bottom, -lower * slope) - 0.15
    over(canvas, p["tone"] * 0.45, 0.5 * cover(rim, 1.0))
    fold = stroke(x, y, a * 0.9, top - 1.5 + 0.5 * act[5], upper * slope) - 0.1
    over(canvas, p["tone"] * 0.5, 0.4 * (1.0 - 0.5 * act[4]) * cover(fold, 1.2))


def nose(p: Values, act: Actions, pose: Pose, canvas: Floats) -> None:
    """Nostrils, wings and the shade under the tip; wrinkles on the bridge with action 9."""
    u, v = pose.u, pose.v
    x = np.abs(u)
    tip = p["eye_y"] + p["nose_length"] - 0.9 * act[9] - 0.4 * act[10]
    wide = p["nose_width"] * (1.0 + 0.18 * act[9] + 0.10 * act[12] + 0.08 * act[10])
    over(canvas, p["tone"] * 0.6, 0.5 * bump(u, v - tip - 1.6, wide * 1.1, 1.3))
    holes = ellipse(x - 0.55 * wide, v - tip - 1.0, 0.36 * wide, 0.75)
    over(canvas, p["tone"] * 0.22, 0.85 * cover(holes, 1.2))
    wings = stroke(v - tip - 0.1, x, 1.2, wide + 0.3 - 0.12 * (v - tip) * (v - tip), -0.24 * (v - tip))
    over(canvas, p["tone"] * 0.5, (0.45 + 0.3 * act[9]) * cover(wings - 0.2, 1.2))
    for step in (0.0, 1.7):
        line = stroke(u, v - p["eye_y"] - 1.0 - step, 1.9, 0.25 * x, 0.25 * sign(u)) - 0.2
        over(canvas, p["tone"] * 0.42, 0.75 * np.clip(act[9] - 0.1, 0.0, 1.0) * cover(line, 1.1))


def wrinkles(p: Values, act: Actions, pose: Pose, canvas: Floats) -> None:
    """Frown between the brows (4), furrows on the forehead (1, 2), folds beside the mouth (6, 9, 10, 12)."""
    u, v = pose.u, pose.v
    x = np.abs(u)
    dark = p["tone"] * 0.48
    frown = stroke(v - p["eye_y"] + 4.2, x, 1.8, 1.3, 0.0) - 0.2
    deep = (0.6 + 0.3 * p["age"]) * np.clip(act[4] + 0.5 * act[9] - 0.15, 0.0, 1.0)
    over(canvas, dark, deep * cover(frown, 1.2))
    raised = np.clip(act[1] + act[2] - 0.35, 0.0, 1.6) * (0.25 + 0.3 * p["age"])
    arch = 0.02 * u * u
    for step in (8.6, 10.6):
        wide = 4.0 + 4.0 * np.minimum(act[2], 1.0)
        line = stroke(u, v - p["eye_y"] + step + p["brow_y"] + 1.0, wide, arch - 0.6, 0.04 * u) - 0.2
        over(canvas, dark, raised * cover(line, 1.3))
    top = p["eye_y"] + p["nose_length"] - 0.5
    t = np.clip((v - top) / 7.0, 0.0, 1.0)
    out = p["nose_width"] + 1.3 + t * (2.2 + 1.8 * act[12] + 1.0 * act[10]) + 1.2 * t * (1.0 - t)
    fold = stroke(v - top - 3.2, x, 3.0, out, 0.35) - 0.25
    deep = 0.06 + 0.3 * p["age"] * 0.5 + 0.55 * np.maximum(np.maximum(act[12], act[9]), act[10])
    over(canvas, dark, np.minimum(deep, 0.8) * cover(fold, 1.5))


def mouth(p: Values, act: Actions, pose: Pose, canvas: Floats) -> None:
    """Lips between parabolas; where they part, teeth, tongue and dark."""
    u = pose.u
    drop = act[26] * (1.0 - 0.7 * np.minimum(act[12], 1.0))
    half = p["mouth_width"] + 2.2 * act[12] + 2.0 * act[20] - 1.0 * act[23] - 1.5 * drop
    half = np.maximum(half + 0.3 * act[10], 3.2)
    centre = p["mouth_y"] - 0.7 * act[17] - 0.5 * act[10]
    lift = p["mouth_curve"] + 4.2 * act[12] - 3.5 * act[15] - 0.7 * act[20] - 0.8 * act[17] - 0.4 * act[9]
    skew = 1.0 + p["uneven"] * (2.0 * sign(u))
    near = np.clip(u, -half, half)
    t = near * near / (half * half)
    lens = 1.0 - t
    round_ = np.sqrt(lens)
    dropped = np.minimum(act[26], 1.0)
    shape = lens + (round_ - lens) * (0.45 + 0.55 * dropped)
    seam = centre - lift * (t * skew - 0.45)
    parted = np.minimum(act[25] * 2.0, 1.0)
    up = (0.7 * act[25] + parted * (1.2 * act[10] + 0.8 * act[12] + 0.5 * act[20]) + 1.2 * act[26]) * shape
    gap = act[25] * 1.5 + parted * (0.9 * act[16] + 0.9 * act[20]) + 5.8 * act[26] - 0.35
    gap = np.maximum(gap, 0.0) * shape
    press = np.clip(1.0 - 0.55 * act[23] - 0.65 * act[24], 0.25, 1.0)
    thin = p["lips"] * press
    bow = 1.0 - 0.25 * cover(np.abs(u) - 0.8, 1.5)
    upper_lip = thin * (1.35 - 0.3 * act[12]) * lens * bow + 0.9 * act[10] * lens
    lower_lip = thin * (1.75 - 0.35 * act[12]) * lens + 0.35 * act[17] * lens
    y = pose.v - seam
    ends = np.abs(u) - half
    lips = cover(np.maximum(np.maximum(-up - upper_lip - y, y - gap - lower_lip), ends), 1.2)
    over(canvas, p["tone"] * p["lip_tone"], 0.9 * lips)
    over(canvas, p["tone"] * 0.42, 0.3 * lips * cover(y - 0.2, 1.5))
    under = bump(u, y - gap - lower_lip - 1.6, half * 0.8, 1.1)
    over(canvas, p["tone"] * 0.55, (0.35 + 0.3 * act[17]) * under)
    opening = np.maximum(np.maximum(-up - y, y - gap), ends + 0.4)
    apart = np.clip((gap + up - 0.35) * 1.4, 0.0, 1.0)
    hole = cover(opening, 1.0) * apart
    over(canvas, 0.05, hole)
    bare = np.clip(1.1 * act[12] + 0.9 * act[10] + 0.6 * act[20] - 0.15, 0.0, 1.0)
    row = np.maximum(opening + 0.3, y + up - 1.3 - 1.0 * bare)
    over(canvas, 0.93, hole * (0.35 + 0.6 * bare) * cover(row, 1.0))
    bottom = np.maximum(opening + 0.3, gap - y - 1.3)
    over(canvas, 0.85, hole * np.minimum(act[16] + 0.6 * act[20], 1.0) * cover(bottom, 1.0))
    tongue = ellipse(u, y - gap + 0.2, half * 0.6, 1.5)
    over(canvas, p["tone"] * 0.45, hole * 0.7 * dropped * cover(tongue, 1.2))
    line = stroke(u, pose.v, half, seam, -2.0 * lift * near / (half * half)) - 0.3
    over(canvas, 0.10, 0.8 * (1.0 - apart) * cover(line, 1.1))
    corner = bump(np.abs(u) - half, y, 1.0, 0.9)
    over(canvas, p["tone"] * 0.3, 0.55 * corner)


def beard(p: Values, act: Actions, pose: Pose, canvas: Floats, hair: Floats, streak: Floats) -> None:
    """Beard, moustache and stubble, beneath the mouth that is painted after them."""
    u, v = pose.u, pose.v
    low = p["mouth_y"] + 2.9 * act[26]
    jaw = cover(p["mouth_y"] - 5.5 - v + 0.035 * (p["width"] * p["width"] * 0.55 - u * u), 3.0)
    chin = jaw * (1.0 - 0.9 * bump(u, v - low, 6.5, 3.4))
    bearded = p["beard"] * (1.0 - p["long"])
    over(canvas, hair * 0.9, chin * bearded * (0.85 + 0.05 * streak))
    grown = np.maximum(p["stubble"], 0.0) * (1.0 - p["long"])
    over(canvas, p["tone"] * 0.55, 0.45 * chin * grown)
    lip = ellipse(u, v - p["mouth_y"] + 3.0 + 0.8 * act[10], 6.0, 1.7)
    over(canvas, hair * 0.85, 0.85 * p["moustache"] * (1.0 - p["long"]) * cover(lip + 0.02 * u * u, 1.5))


def glasses(p: Values, pose: Pose, canvas: Floats) -> None:
    """Rims, bridge and temples."""
    x = np.abs(pose.u) - p["eye_x"]
    y = pose.v - p["eye_y"] - 0.4
    on = p["glasses"] * (1.0 - p["takes_off"])
    a = p["glass_size"]
    glass = ellipse(x, y, a, a * 0.88)
    over(canvas, 0.9, 0.10 * on * cover(glass, 1.0) * cover(x + y, 3.0))
    bridge = np.maximum(np.abs(y + 1.2) - 0.1, np.abs(pose.u) - p["eye_x"] + a)
    temple = np.maximum(np.abs(y + 1.0) - 0.1, a - x)
    rims = np.minimum(np.minimum(np.abs(glass), bridge), temple) - p["rim"]
    over(canvas, 0.08, 0.9 * on * cover(rims, 1.0) * cover(pose.distance, 1.0))


_GRIDS = {"clutter": (7, 7), "litter": (13, 13), "streak": (5, 20), "mottle": (9, 9), "grain": (FRAME, FRAME)}

TEXTURE = sum(rows * columns for rows, columns in _GRIDS.values())  # random numbers a picture


def draw(p: Values, act: Actions, texture: Raw) -> NDArray[np.uint8]:
    """Draw n pictures, uint8, n x FRAME x FRAME; `texture`: raw random numbers for the noise, n x TEXTURE."""
    parts = np.split(texture, np.cumsum([rows * columns for rows, columns in _GRIDS.values()])[:-1], axis=1)
    noises = {name: noise(raw, *grid) for (name, grid), raw in zip(_GRIDS.items(), parts, strict=True)}
    clutter, streak = noises["clutter"] + 0.5 * noises["litter"], noises["streak"]
    dark = p["hair_tone"] * p["hair_tone"]
    hair = np.clip(0.10 + 0.60 * dark + 0.14 * streak * (0.5 + dark), 0.02, 1.0)
    p = p | {"loose": p["long"] * (1.0 - p["tied"])}
    drop = 3.2 * act[26]
    pose = place(p, drop)
    canvas = surroundings(p, pose, clutter, hair)
    ears(p, pose, canvas)
    face = p["tone"] * (1.0 + p["mottle"] * noises["mottle"])
    beard(p, act, pose, face, hair, streak)
    wrinkles(p, act, pose, face)
    nose(p, act, pose, face)
    mouth(p, act, pose, face)
    eyes(p, act, pose, face)
    brows(p, act, pose, face, hair)
    hair_on_top(p, pose, face, hair, streak)
    glasses(p, pose, face)
    slopes = relief(p, pose, act[12] * 0.7 + act[6] * 0.3, drop)
    face = face * light(p, pose, slopes)
    over(canvas, face, cover(pose.distance, pose.px))
    hat(p, pose, canvas, streak)
    return _expose(p, canvas, noises["grain"])


def _expose(p: Values, canvas: Floats, grain: Floats) -> NDArray[np.uint8]:
    """Exposure, vignette, focus, the film's curve and its grain."""
    at = (np.arange(FRAME, dtype=np.float32) - np.float32(FRAME / 2 - 0.5)) / np.float32(SIZE / 2)
    corner = at[None, :, None] * at[None, :, None] + at[None, None, :] * at[None, None, :]
    seen = canvas * p["exposure"] * (1.0 - p["vignette"] * 0.5 * corner)
    seen = seen + (_blur(seen) - seen) * (p["softness"] * p["softness"])
    seen = np.clip(seen, 0.0, 2.0)
    seen = 1.36 * seen / (0.5 + seen)
    seen = seen + p["grain"] * grain
    return np.clip(np.floor(seen * 255.0 + 0.5), 0, 255).astype(np.uint8)


def _blur(image: Floats) -> Floats:
    """Binomial filter 1 2 1 in both directions, the edge repeated."""
    wide = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = wide[:, :, :-2] + 2.0 * wide[:, :, 1:-1] + wide[:, :, 2:]
    return (across[:, :-2] + 2.0 * across[:, 1:-1] + across[:, 2:]) * np.float32(0.0625)
