"""Brows, eyes, nose, mouth and wrinkles of the faces of `sample`, moved by facial actions.

Every function paints over the canvas in place, in the face's own frame (Pose.u to the right, Pose.v down);
`act` is the intensity of each action (sample_actions).
"""

from __future__ import annotations

import numpy as np

from candid.data.download.sample_canvas import bump, cover, ellipse, over, sign, stroke
from candid.data.download.sample_head import Pose, Values
from candid.data.download.sample_random import Floats

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
    over(
        canvas,
        p["tone"] * 0.55,
        (0.12 + 0.25 * p["age"] + 0.45 * np.maximum(act[6], act[9])) * cover(bags, 1.2),
    )
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
    over(
        canvas,
        dark,
        (0.6 + 0.3 * p["age"]) * np.clip(act[4] + 0.5 * act[9] - 0.15, 0.0, 1.0) * cover(frown, 1.2),
    )
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
    gap = (
        np.maximum(act[25] * 1.5 + parted * (0.9 * act[16] + 0.9 * act[20]) + 5.8 * act[26] - 0.35, 0.0)
        * shape
    )
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
