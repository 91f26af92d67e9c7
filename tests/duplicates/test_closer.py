"""The second look, in the originals: copies that 48 pixels can't tell are found, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from benchmarks.copies import plot
from candid.duplicates.closer import EVIDENT, SIDE, STILL, Originals, compare
from candid.duplicates.find import find_duplicates
from tests.duplicates.made import made_pictures

COUNT = 24


def lettered(picture, *lines):
    image, font = Image.fromarray(picture), ImageFont.load_default(SIDE / 7)
    for row, line in enumerate(lines or ("WHEN YOU SEE", "WHAT IT IS")):
        at = (SIDE / 2, SIDE * (0.2 + 0.6 * row))
        ImageDraw.Draw(image).text(at, line, 255, font, "mm", stroke_width=1, stroke_fill=0)
    return np.asarray(image)


def turned(picture):
    return np.asarray(Image.fromarray(picture).rotate(5, Image.Resampling.BICUBIC))


def logo(picture):
    copy = picture.copy()
    copy[8:40, 104:136], copy[16:32, 112:128] = 255, 0
    return copy


def in_one_frame(pictures):
    screen = Image.new("L", (SIDE, SIDE), 240)
    for line in range(9):
        ImageDraw.Draw(screen).text((6, 16 * line), "a page that you follow", 0, ImageFont.load_default(11))
    framed = np.repeat(np.asarray(screen)[None], len(pictures), axis=0).copy()
    framed[:, 24:120, 16:144] = pictures[:, 24:120, 16:144]
    return framed


def reduced(close):
    return np.stack(
        [np.asarray(Image.fromarray(one).resize((48, 48), Image.Resampling.BOX)) for one in close]
    )


def searched(close, detailed=True, **options):
    again = Originals(np.full(len(close), detailed), close.__getitem__)
    return find_duplicates(reduced(close), originals=again, **options)


def ends(found):
    return {(int(a), int(b)) for a, b in found.pairs[["a", "b"]].to_numpy()}


@pytest.fixture(scope="module")
def pictures():
    """Different pictures with structure from 2 to 144 pixels."""
    fine = made_pictures(9 * COUNT, seed=1).reshape(COUNT, 3, 3, 48, 48).transpose(0, 1, 3, 2, 4)
    coarse = made_pictures(COUNT, size=SIDE).astype(int)
    return ((fine.reshape(COUNT, SIDE, SIDE) + 2 * coarse) // 3).astype(np.uint8)


@pytest.mark.parametrize(("change", "only_there"), [(lettered, 0), (turned, 0.9 * COUNT), (logo, 0)])
def test_copies_in_doubt_are_found_in_the_originals(pictures, change, only_there):
    close = np.concatenate([pictures, [change(picture) for picture in pictures]])
    true = {(row, row + COUNT) for row in range(COUNT)}
    found = ends(searched(close))
    assert not found - true
    assert len(found) >= 0.9 * COUNT
    assert len(found) - len(ends(searched(close, detailed=False))) >= only_there


def test_copies_in_a_border_are_found_in_what_it_encloses(pictures):
    close = np.full((2 * COUNT, SIDE, SIDE), 255, np.uint8)
    for row, picture in enumerate([*pictures, *(lettered(picture) for picture in pictures)]):
        inside = Image.fromarray(picture).resize((108, 96), Image.Resampling.BOX)
        close[row, 24:120, 18:126] = np.asarray(inside)
    true = {(row, row + COUNT) for row in range(COUNT)}
    found = ends(searched(close))
    assert not found - true
    assert len(found) >= 0.9 * COUNT > len(ends(searched(close, detailed=False)))


def test_plots_on_the_same_axes_are_different():
    random, close = np.random.default_rng(0), []
    for _ in range(COUNT):
        sheet = Image.new("L", (SIDE, SIDE), 255)
        draw = ImageDraw.Draw(sheet)
        draw.rectangle((21, 12, 135, 126), outline=0)
        for k, height in enumerate(random.integers(20, 150, 12).clip(0, 108)):
            draw.rectangle((24 + 9 * k, 125 - height, 30 + 9 * k, 125), fill=20)
        for k in range(1, 5):
            draw.text((6, 126 - 23 * k), str(20 * k), 0, ImageFont.load_default(9), "lm")
        close.append(np.asarray(sheet))
    assert not ends(searched(np.stack(close)))


@pytest.mark.parametrize(("seed", "pair"), [(7, (8, 34)), (31, (7, 36))])
def test_plots_that_48_pixels_take_for_copies_are_dropped(seed, pair):
    random = np.random.default_rng(seed)
    plots = [plot(random).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX) for _ in range(60)]
    close = np.stack([np.asarray(plots[row]) for row in pair])
    assert ends(searched(close, detailed=False)) == {(0, 1)}
    assert not ends(searched(close))


def test_copies_under_a_label_that_outweighs_the_picture_are_found_by_the_rest(pictures):
    faint = (60 + pictures // 2).astype(np.uint8)
    labelled = faint.copy()
    labelled[:, 88:136, 72:136], labelled[:, 100:124, 84:124] = 255, 0
    found = ends(searched(np.concatenate([faint, labelled])))
    assert not found - {(row, row + COUNT) for row in range(COUNT)}
    assert len(found) >= 0.6 * COUNT  # none without the parts


@pytest.fixture(scope="module")
def soft():
    """Pictures of soft edges: most cells are even."""
    noise = np.random.default_rng(2).standard_normal((COUNT, SIDE, SIDE))
    waves = gaussian_filter(noise, (0, 12, 12))
    waves /= waves.std(axis=(1, 2), keepdims=True)
    return np.clip(128 + 70 * np.tanh(10 * waves) + 8 * waves, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", [turned, logo, lettered], ids=lambda change: change.__name__)
def test_soft_edges_are_enough(soft, change):
    assert not ends(searched(soft))
    found = ends(searched(np.concatenate([soft, [change(picture) for picture in soft]])))
    assert not found - {(row, row + COUNT) for row in range(COUNT)}
    assert len(found) >= 0.85 * COUNT


def test_what_changed_between_two_moments_was_not_put_on(soft):
    moments, texture = np.concatenate([soft, soft]), made_pictures(2 * COUNT, size=SIDE)
    moments[:, 48:96, 8:136] = texture[:, 48:96, 8:136]
    assert ends(searched(moments)) <= ends(searched(moments, detailed=False))


def test_without_detail_nothing_is_read(pictures):
    def read(rows):
        raise AssertionError("read")

    found = find_duplicates(reduced(pictures), originals=Originals(np.zeros(COUNT, np.bool_), read))
    assert not len(found.pairs)


def test_the_order_of_images_and_mirroring_do_not_matter(pictures):
    close = np.concatenate([pictures, [turned(picture) for picture in pictures]])
    order = np.random.default_rng(0).permutation(len(close))
    names = {tuple(sorted((int(order[a]), int(order[b])))) for a, b in ends(searched(close[order]))}
    assert names == ends(searched(close))
    close[COUNT:] = close[COUNT:, :, ::-1]
    found = searched(close, mirror=True)
    assert len(ends(found)) >= 0.9 * COUNT
    assert set(found.pairs["kind"]) == {"mirror"}


@pytest.mark.parametrize("kind", ["pictures", "soft"])
def test_different_pictures_under_the_same_words_or_in_one_frame_are_not_paired(request, kind):
    pictures = request.getfixturevalue(kind)
    words = np.stack([lettered(picture) for picture in pictures])
    assert not ends(searched(words))
    assert not ends(searched(in_one_frame(pictures)))


@pytest.mark.parametrize("other", ["of edges", "even"])
def test_an_even_picture_and_another_in_one_frame_differ_in_light(soft, other):
    slope = np.linspace(20, 220, SIDE)
    across = np.broadcast_to(slope, (COUNT, SIDE, SIDE))
    others = soft if other == "of edges" else np.broadcast_to(slope[:, None], (COUNT, SIDE, SIDE))
    pairs = np.arange(2 * COUNT).reshape(2, -1).T
    for first, second in ((across, others), (others, across)):
        close = in_one_frame(np.concatenate([first, second]))
        said = compare(close.__getitem__, pairs, np.tile(STILL, (COUNT, 1)), np.zeros(COUNT, np.bool_))
        assert (said[:, 0] < EVIDENT).all()


def test_what_a_limit_leaves_out_is_said(pictures, monkeypatch):
    close = np.concatenate([pictures, [turned(picture) for picture in pictures]])
    monkeypatch.setattr("candid.duplicates.closer.MOST", 5)
    found = searched(close)
    assert len(ends(found)) <= 5
    assert "left out" in found.warning


def test_a_small_part_of_a_picture_is_found_wherever_it_was_cut(pictures):
    boxes = [(8, 36), (36, 8), (14, 30), (29, 29)]
    cut = [
        Image.fromarray(picture).crop((x, y, x + 100, y + 100)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        for picture, (x, y) in zip(pictures, boxes * (COUNT // len(boxes)), strict=True)
    ]
    close = np.concatenate([pictures, np.stack([np.asarray(picture) for picture in cut])])
    found = ends(searched(close))
    assert not found - {(row, row + COUNT) for row in range(COUNT)}
    assert len(found) >= 0.8 * COUNT
    assert len(ends(searched(close, detailed=False))) < 0.5 * COUNT


def test_what_looks_alike_when_small_is_contradicted_by_the_originals(pictures):
    first, second = np.random.default_rng(0).normal(0, 30, (2, COUNT, SIDE, SIDE))
    close = np.clip(np.concatenate([pictures + first, pictures + second]), 0, 255).astype(np.uint8)
    assert len(ends(searched(close, detailed=False))) >= 0.5 * COUNT
    assert not ends(searched(close))
