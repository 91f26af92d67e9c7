"""Random changes to faces: their ranges, their shares, and that one never changes another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import affine_transform

from candid.training.augment import COLUMNS, NAMES, augment, sheet, warp
from tests.training import tiny_net

COUNT = 200
RANGES: dict[str, dict[str, Any]] = {
    "rotation": {"degrees": 40.0},
    "shift": {"fraction": 0.3},
    "zoom": {"low": 1.2, "high": 1.4},
    "resized_crop": {"low": 0.5, "high": 0.6, "aspect": 1.2},
    "brightness": {"amount": 0.5},
    "contrast": {"amount": 0.5},
    "erasing": {"low": 0.1, "high": 0.2, "aspect": 2.0},
}
CROPS = [{"name": "ten", "size": 12}, {"name": "random", "size": 12}]


def faces(size: int = 16, channels: int = 1) -> Any:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (COUNT, size, size, channels), dtype=np.uint8)


def changed(pixels: Any, seed: int = 3, **changes: Any) -> Any:
    """Augment; each change always, unless its probability is given."""
    always = {
        name: {"probability": 1.0, **value} if name in RANGES or name == "saturation" else value
        for name, value in changes.items()
    }
    return np.asarray(augment(pixels, tiny_net.settings(always).augment, seed))


def test_everything_off_changes_nothing():
    assert np.array_equal(changed(faces()), faces())


EACH = [{"flip": 0.5}, *({name: each} for name, each in RANGES.items()), *({"crop": each} for each in CROPS)]


@pytest.mark.parametrize("change", EACH, ids=str)
def test_a_seed_fixes_every_pixel_and_another_changes_them(change):
    first, again, other = (changed(faces(), seed, **change) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.uint8


def test_each_draw_has_a_column_of_its_own_so_that_one_change_leaves_the_others_alone():
    """Contrast of a uniform face does nothing, whatever is drawn for it; brightness must stay the same."""
    assert len(set(NAMES)) == len(NAMES) <= COLUMNS
    pixels = np.full((COUNT, 8, 8, 1), 100, np.uint8)
    alone = changed(pixels, brightness={"amount": 0.3})
    assert np.array_equal(alone, changed(pixels, brightness={"amount": 0.3}, contrast={"amount": 0.5}))
    assert np.array_equal(alone, changed(pixels, brightness={"amount": 0.3}, shift={"fraction": 0.1}))


def test_flip_is_a_mirror_of_about_the_wanted_share():
    pixels = faces()
    flipped = changed(pixels, flip=0.25)
    mirrored = (flipped == pixels[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (mirrored ^ (flipped == pixels).all(axis=(1, 2, 3))).all()
    assert 25 <= mirrored.sum() <= 75  # 200 faces, 4 standard deviations
    assert np.array_equal(changed(changed(pixels, flip=1.0), flip=1.0), pixels)


@pytest.mark.parametrize("name", RANGES)
def test_probability_is_the_share_of_faces_that_change(name):
    pixels = faces()
    half: dict[str, Any] = {name: {**RANGES[name], "probability": 0.5}}
    share = (changed(pixels, **half) != pixels).any(axis=(1, 2, 3)).mean()
    assert 0.35 < share < 0.65  # 4 standard deviations


def test_shift_stays_in_range_and_reaches_it():
    """A single bright column, at most 4 of 16 pixels away."""
    pixels = np.zeros((COUNT, 16, 16, 1), np.uint8)
    pixels[:, :, 8] = 255
    rows = changed(pixels, shift={"fraction": 0.25}, fill="black").astype(float).max(axis=1)[..., 0]
    moves = (rows * np.arange(16)).sum(axis=1) / rows.sum(axis=1) - 8
    assert np.abs(moves).max() <= 4.01
    assert moves.min() < -3.5
    assert moves.max() > 3.5


def test_rotation_stays_in_range_and_reaches_it():
    """A bar from the middle upwards; its end shows the angle."""
    pixels = np.zeros((COUNT, 33, 33, 1), np.uint8)
    pixels[:, 2:5, 16] = 255
    turned = changed(pixels, rotation={"degrees": 30.0}, fill="black").astype(float)[..., 0]
    y, x = np.mgrid[:33, :33] - 16
    angles = np.degrees(np.arctan2((turned * x).sum((1, 2)), -(turned * y).sum((1, 2))))
    assert np.abs(angles).max() < 31
    assert angles.min() < -25
    assert angles.max() > 25


def test_zoom_above_one_enlarges():
    pixels = np.zeros((COUNT, 16, 16, 1), np.uint8)
    pixels[:, 6:10, 6:10] = 200
    for factor, area in ((1.5, 2.25), (0.5, 0.25)):
        zoomed = changed(pixels, zoom={"low": factor, "high": factor}).astype(float).sum((1, 2, 3))
        assert np.allclose(zoomed / (16 * 200), area, rtol=0.05)


def test_resized_crop_of_a_quarter_of_the_area_shows_half_the_ramp():
    """On a ramp from left to right the range of values that is left shows the window's width."""
    ramp = np.tile(np.linspace(0, 240, 33, dtype=np.float32), (33, 1)).astype(np.uint8)
    ramps = np.repeat(ramp[None, :, :, None], COUNT, 0)
    cut = changed(ramps, resized_crop={"low": 0.25, "high": 0.25, "aspect": 1.0})
    spread = (cut.max((1, 2, 3)).astype(int) - cut.min((1, 2, 3))) / 240
    assert np.abs(spread - 0.5).max() < 0.05
    assert cut.min((1, 2, 3)).std() > 10  # the window moves


def test_brightness_contrast_and_saturation_stay_in_range_and_keep_what_they_should():
    values = changed(np.full((COUNT, 8, 8, 1), 100, np.uint8), brightness={"amount": 0.3})[:, 0, 0, 0]
    assert 70 <= values.min() < 75
    assert 125 < values.max() <= 130
    striped = np.full((COUNT, 8, 8, 1), 80, np.uint8)
    striped[:, ::2] = 120
    stretched = changed(striped, contrast={"amount": 0.5})
    assert np.abs(stretched.mean((1, 2, 3)) - 100).max() <= 0.5
    spread = stretched.max((1, 2, 3)).astype(int) - stretched.min((1, 2, 3))
    assert spread.min() < 25
    assert 55 < spread.max() <= 60
    grey = np.repeat(faces(), 3, axis=-1)
    assert np.array_equal(changed(grey, saturation={"amount": 1.0}), grey)
    colour = np.full((COUNT, 4, 4, 3), [120, 100, 80], np.uint8)
    faded = changed(colour, saturation={"amount": 0.5}).astype(float)
    assert (faded.max(-1) - faded.min(-1)).std() > 1
    assert np.abs(faded @ [0.299, 0.587, 0.114] - colour @ [0.299, 0.587, 0.114]).max() < 1


def test_erasing_sets_one_rectangle_of_the_wanted_area_to_the_mean():
    pixels = faces(32)
    erased = changed(pixels, erasing={"low": 0.1, "high": 0.3, "aspect": 2.0})
    for before, after in zip(pixels[..., 0], erased[..., 0], strict=True):
        rows, columns = np.nonzero(before != after)
        box = after[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert len(np.unique(box)) == 1
        assert abs(int(box[0, 0]) - before.mean()) <= 1
        assert 0.08 < box.size / after.size < 0.33
        assert 1 / 2.4 < box.shape[0] / box.shape[1] < 2.4


@pytest.mark.parametrize("name", ["ten", "random"])
def test_crops_are_the_ten_of_torchvision_or_every_offset_in_whole_pixels(name):
    size, offsets = 11, [(0, 0), (0, 5), (5, 0), (5, 5), (2, 2)]
    if name == "random":
        size, offsets = 14, [(y, x) for y in range(3) for x in range(3)]
    pixels, seen = faces(16), set()
    for before, after in zip(pixels, changed(pixels, crop={"name": name, "size": size}), strict=True):
        crops = [before[y : y + size, x : x + size] for y, x in offsets]
        crops += [crop[:, ::-1] for crop in crops] if name == "ten" else []
        hits = [number for number, crop in enumerate(crops) if np.array_equal(crop, after)]
        assert len(hits) == 1
        seen.add(hits[0])
    assert len(seen) == {"ten": 10, "random": 9}[name]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_shows_the_faces_and_behind_each_what_training_makes_of_it(channels):
    pixels = faces(channels=channels)[:3]
    chosen = tiny_net.settings({"flip": 1.0, "crop": {"name": "random", "size": 12}}).augment
    drawn = sheet(pixels, chosen, 0, changes=2)
    assert drawn.shape == (3 * 36, 3 * 36, 3)[: 2 if channels == 1 else 3]
    cells = drawn[::2, ::2].reshape(3, 18, 3, 18, channels).swapaxes(1, 2)[:, :, 1:-1, 1:-1]
    np.testing.assert_array_equal(cells[:, 0], pixels)
    for number in (0, 1):
        np.testing.assert_array_equal(cells[:, 1 + number, :12, :12], augment(pixels, chosen, number))
    assert (cells[:, 1:, 12:] == 255).all()


def blocks(count: int = 2, channels: int = 1) -> Any:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 5, 5, channels)).astype(np.uint8)
    return np.kron(coarse, np.ones((1, 4, 4, 1), np.uint8))


def warped(
    pixels: Any, matrix: Any, offset: Any = (0, 0), fill: str = "nearest", size: int | None = None
) -> Any:
    count = len(pixels)
    matrices, offsets = np.tile(np.float32(matrix), (count, 1, 1)), np.tile(np.float32(offset), (count, 1))
    return np.asarray(warp(pixels, matrices, offsets, fill, size))


def test_warp_by_identity_mirror_whole_pixels_and_to_a_smaller_size():
    pixels = blocks(channels=3)
    for fill in ("nearest", "black"):
        assert np.array_equal(warped(pixels, np.eye(2), fill=fill), pixels)
    assert np.array_equal(warped(pixels, np.diag([-1, 1])), pixels[:, :, ::-1])
    assert np.array_equal(warped(pixels, np.eye(2), size=12), pixels[:, 4:16, 4:16])
    black = warped(pixels, np.eye(2), [3, -2], "black")
    assert np.array_equal(black[:, 2:, :-3], pixels[:, :-2, 3:])
    assert not black[:, :2].any()
    assert not black[:, :, -3:].any()
    assert np.array_equal(warped(pixels, np.eye(2), [3, -2])[:, 2:, -1], pixels[:, :-2, -1])
    each = np.stack([np.eye(2), np.diag([-1, 1])]).astype(np.float32)
    own = np.asarray(warp(pixels, each, np.zeros((2, 2), np.float32), "nearest"))
    assert np.array_equal(own, np.stack([pixels[0], pixels[1, :, ::-1]]))


@settings(max_examples=15, deadline=None)
@given(angle=st.floats(-math.pi, math.pi), zoom=st.floats(0.5, 2), x=st.floats(-8, 8), y=st.floats(-8, 8))
def test_warp_agrees_with_scipy(angle, zoom, x, y):
    """Inside and outside: scipy's `nearest` continues the edge, as ours does."""
    pixels = blocks(1)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / zoom
    swapped = rotation[::-1, ::-1]  # scipy's axes are (y, x)
    middle = np.array([9.5, 9.5])
    offset = middle + np.array([y, x]) - swapped @ middle
    face = pixels[0, :, :, 0].astype(float)
    theirs = affine_transform(face, swapped, offset=offset, order=1, mode="nearest")
    assert np.abs(warped(pixels, rotation, [x, y])[0, :, :, 0] - theirs).max() < 0.05
