from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.train.augment import augment
from tests.train import tiny_net

COUNT = 200


def faces(size=16, channels=1):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (COUNT, size, size, channels), dtype=np.uint8)


def changed(pixels, seed=3, **changes: Any):
    return np.asarray(augment(pixels, tiny_net.settings(changes).augment, seed))


def test_everything_off_changes_nothing():
    pixels = faces()
    assert np.array_equal(changed(pixels), pixels)


@pytest.mark.parametrize(
    "change",
    [
        {"flip": 0.5},
        {"rotation": {"degrees": 45, "probability": 1.0}},
        {"shift": {"fraction": 0.2, "probability": 1.0}},
        {"zoom": {"low": 0.8, "high": 1.2, "probability": 1.0}},
        {"resized_crop": {"low": 0.8, "high": 1.2, "aspect": 1.3, "probability": 1.0}},
        {"brightness": {"amount": 0.5, "probability": 1.0}},
        {"contrast": {"amount": 0.5, "probability": 1.0}},
        {"erasing": {"low": 0.1, "high": 0.3, "aspect": 3.0, "probability": 1.0}},
        {"crop": 12},
        {"crop": 12, "crop_from": "anywhere"},
    ],
    ids=lambda change: "_".join(map(str, change)),
)
def test_a_seed_fixes_every_pixel_and_another_changes_them(change):
    pixels = faces()
    first, again, other = (
        changed(pixels, 3, **change),
        changed(pixels, 3, **change),
        changed(pixels, 4, **change),
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.uint8


def test_flip_is_a_mirror_of_about_the_wanted_share():
    pixels = faces()
    found = changed(pixels, flip=0.25)
    mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(found, pixels, strict=True)])
    untouched = np.array([np.array_equal(a, b) for a, b in zip(found, pixels, strict=True)])
    assert (mirrored ^ untouched).all()
    assert 25 <= mirrored.sum() <= 75  # 200 faces, 4 standard deviations


def test_flipping_always_and_twice_gives_the_face_back():
    pixels = faces()
    assert np.array_equal(changed(changed(pixels, flip=1.0), flip=1.0), pixels)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rotation", {"degrees": 40.0}),
        ("shift", {"fraction": 0.3}),
        ("zoom", {"low": 1.2, "high": 1.4}),
        ("resized_crop", {"low": 0.5, "high": 0.6, "aspect": 1.2}),
        ("brightness", {"amount": 0.5}),
        ("contrast", {"amount": 0.5}),
        ("erasing", {"low": 0.1, "high": 0.2, "aspect": 2.0}),
    ],
)
def test_probability_is_the_share_of_faces_that_change(name, change):
    pixels = faces()
    found = changed(pixels, **{name: {**change, "probability": 0.5}})
    share = (found != pixels).any(axis=(1, 2, 3)).mean()
    assert 0.35 < share < 0.65  # 4 standard deviations


def test_shift_stays_in_range_and_reaches_it():
    """A single bright column, at most 4 of 16 pixels away."""
    pixels = np.zeros((COUNT, 16, 16, 1), np.uint8)
    pixels[:, :, 8] = 255
    found = changed(pixels, shift={"fraction": 0.25, "probability": 1.0}, fill="black").astype(float)
    places = (found.max(axis=1)[..., 0] * np.arange(16)).sum(axis=1) / found.max(axis=1)[..., 0].sum(
        axis=1
    ) - 8
    assert np.abs(places).max() <= 4.01
    assert places.min() < -3.5
    assert places.max() > 3.5


def test_rotation_stays_in_range_and_reaches_it():
    """A bar from the middle upwards; its end shows the angle."""
    pixels = np.zeros((COUNT, 33, 33, 1), np.uint8)
    pixels[:, 2:5, 16] = 255
    found = changed(pixels, rotation={"degrees": 30.0, "probability": 1.0}, fill="black").astype(float)[
        ..., 0
    ]
    y, x = np.mgrid[:33, :33] - 16
    angles = np.degrees(np.arctan2((found * x).sum((1, 2)), -(found * y).sum((1, 2))))
    assert np.abs(angles).max() < 31
    assert angles.min() < -25
    assert angles.max() > 25


def test_zoom_above_one_enlarges():
    pixels = np.zeros((COUNT, 16, 16, 1), np.uint8)
    pixels[:, 6:10, 6:10] = 200
    large = changed(pixels, zoom={"low": 1.5, "high": 1.5, "probability": 1.0}).astype(float).sum((1, 2, 3))
    small = changed(pixels, zoom={"low": 0.5, "high": 0.5, "probability": 1.0}).astype(float).sum((1, 2, 3))
    area = 16 * 200
    assert np.allclose(large / area, 2.25, rtol=0.05)
    assert np.allclose(small / area, 0.25, rtol=0.05)


def test_resized_crop_of_half_the_area_shows_half_the_ramp():
    """On a ramp from left to right the range of values that is left shows the window's width."""
    ramp = np.tile(np.linspace(0, 240, 33, dtype=np.float32), (33, 1)).astype(np.uint8)
    pixels = np.repeat(ramp[None, :, :, None], COUNT, 0)
    found = changed(pixels, resized_crop={"low": 0.25, "high": 0.25, "aspect": 1.0, "probability": 1.0})
    spread = (found.max((1, 2, 3)).astype(int) - found.min((1, 2, 3))) / 240
    assert np.abs(spread - 0.5).max() < 0.05
    assert found.min((1, 2, 3)).std() > 10  # the window's place varies


def test_brightness_multiplies_within_its_range():
    pixels = np.full((COUNT, 8, 8, 1), 100, np.uint8)
    found = changed(pixels, brightness={"amount": 0.3, "probability": 1.0})[:, 0, 0, 0]
    assert found.min() >= 70
    assert found.max() <= 130
    assert found.min() < 75
    assert found.max() > 125


def test_contrast_keeps_the_mean():
    pixels = np.full((COUNT, 8, 8, 1), 80, np.uint8)
    pixels[:, ::2] = 120
    found = changed(pixels, contrast={"amount": 0.5, "probability": 1.0})
    assert np.abs(found.mean((1, 2, 3)) - 100).max() <= 0.5
    spread = found.max((1, 2, 3)).astype(int) - found.min((1, 2, 3))
    assert spread.min() < 25
    assert spread.max() > 55
    assert spread.max() <= 60


def test_saturation_leaves_grey_faces_and_the_luminance_of_colour_alone():
    grey = np.repeat(faces(), 3, axis=-1)
    assert np.array_equal(changed(grey, saturation={"amount": 1.0, "probability": 1.0}), grey)
    colour = np.full((COUNT, 4, 4, 3), [120, 100, 80], np.uint8)
    found = changed(colour, saturation={"amount": 0.5, "probability": 1.0}).astype(float)
    assert (found.max(-1) - found.min(-1)).std() > 1
    assert np.abs(found @ [0.299, 0.587, 0.114] - colour @ [0.299, 0.587, 0.114]).max() < 1


def test_erasing_sets_one_rectangle_of_the_wanted_area_to_the_mean():
    pixels = faces(32)
    found = changed(pixels, erasing={"low": 0.1, "high": 0.3, "aspect": 2.0, "probability": 1.0})
    for before, after in zip(pixels[..., 0], found[..., 0], strict=True):
        rows, columns = np.nonzero(before != after)
        box = after[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert len(np.unique(box)) == 1
        assert abs(int(box[0, 0]) - before.mean()) <= 1
        assert 0.08 < box.size / after.size < 0.33
        assert 1 / 2.4 < box.shape[0] / box.shape[1] < 2.4


def test_crop_gives_each_of_the_ten_crops_of_torchvision():
    pixels = faces(16)
    found = changed(pixels, crop=11)
    seen = set()
    for before, after in zip(pixels, found, strict=True):
        crops = [before[y : y + 11, x : x + 11] for y, x in ((0, 0), (0, 5), (5, 0), (5, 5), (2, 2))]
        crops += [crop[:, ::-1] for crop in crops]
        hits = [number for number, crop in enumerate(crops) if np.array_equal(crop, after)]
        assert len(hits) == 1
        seen.add(hits[0])
    assert seen == set(range(10))


def test_crop_from_anywhere_gives_every_offset_in_whole_pixels_and_no_mirror_image():
    pixels = faces(16)
    found = changed(pixels, crop=14, crop_from="anywhere")
    seen = set()
    for before, after in zip(pixels, found, strict=True):
        offsets = [(y, x) for y in range(3) for x in range(3)]
        hits = [(y, x) for y, x in offsets if np.array_equal(before[y : y + 14, x : x + 14], after)]
        assert len(hits) == 1
        seen.add(hits[0])
    assert len(seen) == 9
