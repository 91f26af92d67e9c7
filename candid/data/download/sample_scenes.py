"""Who is in the pictures of `sample` and how each picture was taken: the laws that the parameters follow.

Lengths are in pixels of a face that fills a 48x48 picture, tones run from 0 (black) to 1 (white), angles are
given as the tangent of half the angle (sine and cosine follow from it by division alone).
"""

from __future__ import annotations

from candid.data.download.sample_random import Bell, Chance, Even, Law

PERSON: dict[str, Law] = {
    # shape
    "width": Bell(17.0, 0.7),
    "height": Bell(22.0, 0.7),
    "jaw": Even(0.06, 0.34),
    "eye_x": Bell(7.3, 0.3),
    "eye_y": Bell(-3.8, 0.45),
    "eye_size": Bell(4.0, 0.22),
    "lid": Bell(0.0, 0.16),
    "slant": Bell(0.0, 0.05),
    "brow_y": Bell(0.0, 0.45),
    "brow_tilt": Bell(0.0, 0.35),
    "brow_width": Even(0.6, 1.15),
    "nose_length": Bell(9.0, 0.6),
    "nose_width": Bell(2.7, 0.3),
    "mouth_y": Bell(11.8, 0.5),
    "mouth_width": Bell(6.3, 0.4),
    "mouth_curve": Bell(0.0, 0.4),
    "lips": Even(0.8, 1.4),
    "age": Even(0.0, 1.0),
    # tones
    "tone": Even(0.42, 0.90),
    "iris": Even(0.10, 0.45),
    "lip_tone": Even(0.52, 0.72),
    "hair_tone": Even(0.0, 1.0),
    # hair and glasses
    "hairline": Bell(-14.5, 1.3),
    "part": Even(-9.0, 9.0),
    "fringe": Chance(0.30),
    "long": Chance(0.42),
    "bald": Chance(0.08),
    "volume": Even(1.0, 4.0),
    "beard": Chance(0.12),
    "moustache": Chance(0.14),
    "stubble": Even(-1.2, 1.0),
    "glasses": Chance(0.20),
    "glass_size": Bell(5.2, 0.3),
    "rim": Even(0.5, 0.9),
}
"""Drawn once a person."""

SCENE: dict[str, Law] = {
    # pose
    "shift_x": Bell(0.0, 1.2),
    "shift_y": Bell(0.0, 1.0),
    "scale": Bell(1.17, 0.07),
    "roll": Bell(0.0, 0.055),
    "yaw": Bell(0.0, 0.09),
    "pitch": Bell(0.0, 0.06),
    "gaze_x": Bell(0.0, 0.7),
    "gaze_y": Bell(0.0, 0.25),
    "uneven": Bell(0.0, 0.08),
    # light
    "light_x": Even(-1.3, 1.3),
    "light_y": Even(-1.2, 0.5),
    "light_z": Even(0.15, 1.0),
    "hardness": Even(0.15, 0.65),
    "exposure": Even(0.85, 1.35),
    "blinds": Even(-0.6, 0.3),
    "blinds_x": Even(-1.0, 1.0),
    "blinds_y": Even(-1.0, 1.0),
    "blinds_step": Even(6.0, 14.0),
    "blinds_at": Even(0.0, 1.0),
    "shadow": Even(-0.5, 0.4),
    "shadow_x": Even(-1.0, 1.0),
    "shadow_y": Even(-1.0, 1.0),
    "shadow_at": Bell(0.0, 9.0),
    "shadow_edge": Even(1.5, 12.0),
    # surroundings
    "wall": Even(0.15, 0.75),
    "wall_x": Even(-0.4, 0.4),
    "wall_y": Even(-0.4, 0.4),
    "spot_x": Even(-24.0, 24.0),
    "spot_y": Even(-24.0, 24.0),
    "spot_size": Even(4.0, 16.0),
    "spot": Even(-0.6, 0.6),
    "edge_x": Even(-22.0, 22.0),
    "edge": Even(-0.5, 0.5),
    "shelf_y": Even(-22.0, 22.0),
    "shelf": Even(-0.5, 0.5),
    "clutter": Even(0.05, 0.35),
    "hat": Chance(0.18),
    "hat_tone": Even(0.05, 0.95),
    "hat_line": Even(-15.0, -10.0),
    "scarf": Chance(0.10),
    "scarf_tone": Even(0.05, 0.95),
    "scarf_line": Even(17.0, 20.0),
    "passer_x": Even(-1.0, 1.0),
    "passer_y": Even(-1.0, 1.0),
    "passer_size": Even(2.0, 12.0),
    "passer_tone": Even(0.0, 1.0),
    "clothes": Even(0.05, 0.95),
    "tousle": Bell(0.0, 1.3),
    "tied": Chance(0.35),
    "swept": Even(-4.5, 2.0),
    "gloss": Even(0.0, 0.5),
    "takes_off": Chance(0.15),
    # camera
    "softness": Even(0.0, 0.7),
    "grain": Even(0.015, 0.05),
    "mottle": Even(0.03, 0.08),
    "vignette": Even(0.0, 0.35),
}
"""Drawn once a picture."""
