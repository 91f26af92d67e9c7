"""What is done to planted copies, and the random numbers behind the faces."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from candid.data.download import sample_actions
from candid.data.download.sample import FER2013
from candid.data.download.sample_actions import VARIANTS, draw_actions
from candid.data.download.sample_alike import alike
from candid.data.download.sample_plant import brighten, reencode, shift, zoom
from candid.data.download.sample_random import Bell, Chance, Even, Stream

few = settings(max_examples=25, deadline=None)


def picture(seed: int) -> np.ndarray:
    """A smooth picture with an edge in it."""
    rows, columns = np.mgrid[0:48, 0:48]
    values = 120 + 60 * np.sin((rows + seed % 17) / 7.0) + 40 * np.cos(columns / (4.0 + seed % 5))
    values[10:20, 15 + seed % 9 : 30] -= 60
    image: np.ndarray = np.clip(values, 0, 255).astype(np.uint8)
    return image


@few
@given(st.integers(0, 99), st.integers(-4, 4), st.integers(-4, 4))
def test_a_shift_moves_every_pixel_by_that_much(seed, across, down):
    image = picture(seed)
    moved = shift(image, across, down)
    assert np.array_equal(moved[8 + down : 40 + down, 8 + across : 40 + across], image[8:40, 8:40])


def test_a_zoom_by_nothing_changes_nothing():
    assert np.array_equal(zoom(picture(1), 1000), picture(1))


@pytest.mark.parametrize("thousandths", [920, 970, 1030, 1080])
def test_a_zoom_enlarges_about_the_middle(thousandths):
    rows, columns = np.mgrid[0:48, 0:48]
    ramp = (3 * columns + rows + 20).astype(np.uint8)
    inner = slice(6, 42)
    expected = 20 + 4 * 23.5 + (3 * (columns - 23.5) + (rows - 23.5)) * 1000 / thousandths
    assert np.abs(zoom(ramp, thousandths)[inner, inner] - expected[inner, inner]).max() <= 1


@few
@given(st.integers(0, 99), st.integers(700, 1300), st.integers(-20, 30))
def test_brightening_keeps_the_order_of_tones(seed, gain, offset):
    image = picture(seed)
    changed = brighten(image, gain, offset)
    order = np.argsort(image, axis=None)
    assert (np.diff(changed.reshape(-1)[order].astype(int)) >= 0).all()


@few
@given(st.integers(0, 99), st.integers(10, 95))
def test_reencoding_loses_what_libjpeg_loses(seed, quality):
    image = picture(seed)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    libjpeg = np.asarray(Image.open(buffer)).astype(int)
    ours = reencode(image, quality).astype(int)
    loss, our_loss = np.abs(libjpeg - image).mean(), np.abs(ours - image).mean()
    assert abs(our_loss / loss - 1) < 0.35
    assert np.abs(ours - libjpeg).mean() < 1.6  # a coefficient on the edge of two levels may fall either way


def test_the_raw_stream_is_the_one_that_numpy_guarantees():
    # Values of PCG64 seeded with [0, 0]; were they to change, so would every face.
    assert Stream(0, "people").raw(2).tolist() == np.random.PCG64([0, 0]).random_raw(2).tolist()
    assert Stream(0, "people").raw(1)[0] != Stream(0, "labels").raw(1)[0]
    assert Stream(0, "people").raw(1)[0] != Stream(1, "people").raw(1)[0]


def test_laws_keep_their_promises():
    raw = Stream(7, "scenes").raw(20000)
    even, bell, chance = Even(-2, 3).of(raw), Bell(1.0, 0.5).of(raw), Chance(0.3).of(raw)
    assert even.min() >= -2
    assert even.max() < 3
    assert abs(even.mean() - 0.5) < 0.05
    assert abs(bell.mean() - 1.0) < 0.02
    assert abs(bell.std() - 0.5) < 0.02
    assert np.abs(bell - 1.0).max() < 3.47 * 0.5
    assert abs(chance.mean() - 0.3) < 0.02
    assert {law.dtype for law in (even, bell, chance)} == {np.dtype(np.float32)}


def test_below_reaches_every_number_about_equally_often():
    counts = np.bincount(Stream(7, "names").below(7, 14000), minlength=7)
    assert len(counts) == 7
    assert abs(counts - 2000).max() < 200


def test_an_expression_moves_the_muscles_that_make_it():
    n = 400
    means = {}
    for label in FER2013:
        actions = draw_actions([label] * n, Stream(1, "actions"))
        means[label] = {action: float(value.mean()) for action, value in actions.items()}
    signs = {"happy": 12, "sad": 15, "surprise": 26, "fear": 20, "disgust": 9, "angry": 4}
    for label, action in signs.items():
        assert max(means, key=lambda name: means[name][action]) == label
    assert max(means["neutral"].values()) < 0.2


def test_every_variant_uses_actions_that_exist():
    used = {action for variants in VARIANTS.values() for variant in variants for action in variant}
    assert used == set(sample_actions.ACTIONS)
    assert set(VARIANTS) == set(FER2013)


def test_alike_finds_a_moved_picture_and_leaves_the_earlier_one():
    noise = np.random.default_rng(0).integers(0, 256, (6, 12, 12)).repeat(4, axis=1).repeat(4, axis=2)
    images = noise.astype(np.uint8)
    images[4] = shift(images[1], 3, -3)
    assert alike(images, np.arange(6)).tolist() == [4]
    assert alike(images, np.array([1])).tolist() == [1]
    assert alike(images, np.array([0, 2, 3, 5])).tolist() == []
