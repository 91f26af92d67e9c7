from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import affine_transform

from candid.training.warp import warp


def faces(count=2, size=20, channels=1):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 5, 5, channels)).astype(np.uint8)
    return np.kron(coarse, np.ones((1, size // 5, size // 5, 1), np.uint8))


def same_for_all(matrix, offset, count=2):
    return np.tile(np.float32(matrix), (count, 1, 1)), np.tile(np.float32(offset), (count, 1))


@pytest.mark.parametrize("fill", ["nearest", "black"])
def test_identity_keeps_every_pixel(fill):
    pixels = faces(channels=3)
    matrix, offset = same_for_all(np.eye(2), [0, 0])
    assert np.array_equal(np.asarray(warp(pixels, matrix, offset, fill)), pixels)


def test_mirror_is_the_mirrored_array():
    pixels = faces()
    matrix, offset = same_for_all(np.diag([-1, 1]), [0, 0])
    assert np.array_equal(np.asarray(warp(pixels, matrix, offset, "nearest")), pixels[:, :, ::-1])


def test_whole_pixel_shift_moves_and_fills():
    pixels = faces()
    matrix, offset = same_for_all(np.eye(2), [3, -2])
    black = np.asarray(warp(pixels, matrix, offset, "black"))
    assert np.array_equal(black[:, 2:, :-3], pixels[:, :-2, 3:])
    assert not black[:, :2].any()
    assert not black[:, :, -3:].any()
    nearest = np.asarray(warp(pixels, matrix, offset, "nearest"))
    assert np.array_equal(nearest[:, 2:, -1], pixels[:, :-2, -1])


@settings(max_examples=15, deadline=None)
@given(
    angle=st.floats(-math.pi, math.pi),
    zoom=st.floats(0.5, 2),
    x=st.floats(-8, 8),
    y=st.floats(-8, 8),
)
def test_agrees_with_scipy(angle, zoom, x, y):
    """Inside and outside: scipy's `nearest` continues the edge, as ours does."""
    pixels = faces(1)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / zoom
    matrix, offset = same_for_all(rotation, [x, y], 1)
    ours = np.asarray(warp(pixels, matrix, offset, "nearest"))[0, :, :, 0]
    swapped = rotation[::-1, ::-1]  # scipy's axes are (y, x)
    middle = np.array([9.5, 9.5])
    theirs = affine_transform(
        pixels[0, :, :, 0].astype(np.float64),
        swapped,
        offset=middle + np.array([y, x]) - swapped @ middle,
        order=1,
        mode="nearest",
    )
    assert np.abs(ours - theirs).max() < 0.05


def test_agrees_with_pillow_on_a_rotation():
    pixels = faces(1)
    angle = math.radians(30)
    rotation = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    # Away from the edges, which Pillow does in its own way.
    matrix, offset = same_for_all(rotation, [0, 0], 1)
    ours = np.asarray(warp(pixels, matrix, offset, "black"))[0, :, :, 0]
    theirs = np.asarray(Image.fromarray(pixels[0, :, :, 0]).rotate(30, Image.Resampling.BILINEAR))
    inside = np.hypot(*np.meshgrid(np.arange(20) - 9.5, np.arange(20) - 9.5)) < 8
    assert np.abs(ours - theirs)[inside].max() <= 1


def test_smaller_output_is_the_middle():
    pixels = faces()
    matrix, offset = same_for_all(np.eye(2), [0, 0])
    found = np.asarray(warp(pixels, matrix, offset, "nearest", 12))
    assert np.array_equal(found, pixels[:, 4:16, 4:16])


def test_each_face_has_its_own_map():
    pixels = faces()
    matrix = np.stack([np.eye(2), np.diag([-1, 1])]).astype(np.float32)
    found = np.asarray(warp(pixels, matrix, np.zeros((2, 2), np.float32), "nearest"))
    assert np.array_equal(found[0], pixels[0])
    assert np.array_equal(found[1], pixels[1, :, ::-1])
