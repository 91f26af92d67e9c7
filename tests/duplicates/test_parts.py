"""Pairs that look alike in a part are found as by an exhaustive comparison."""

from __future__ import annotations

import numpy as np
import pytest

from candid.duplicates.parts import BITS, PARTS, alike_in_parts, part_sketches
from tests.duplicates.made import made_pictures

COUNT = 40


def least_apart(sketches):
    """Bits by which the likest parts of each two images differ."""
    return np.bitwise_count(sketches[:, None] ^ sketches[None]).sum(axis=3, dtype=int).min(axis=2)


def pairs(sketches):
    return set(map(tuple, alike_in_parts(sketches).tolist()))


@pytest.fixture(scope="module")
def pictures():
    return made_pictures(COUNT)


@pytest.mark.parametrize(
    ("rows", "columns"), [((0, 32), (0, 48)), ((16, 48), (0, 48)), ((28, 48), (20, 48)), ((0, 48), (28, 48))]
)
def test_pictures_that_are_half_covered_are_found(pictures, rows, columns):
    copies = pictures.copy()
    copies[:, slice(*rows), slice(*columns)] = 255
    assert pairs(part_sketches(np.concatenate([pictures, copies]))) >= {(i, i + COUNT) for i in range(COUNT)}


def test_all_pairs_of_an_exhaustive_comparison_are_found_whatever_their_order(pictures):
    random = np.random.default_rng(0)
    noisy = np.clip(pictures + random.normal(0, 4, pictures.shape), 0, 255).astype(np.uint8)
    sketches = part_sketches(np.concatenate([pictures, noisy]))
    apart = least_apart(sketches)
    wanted = {(a, b) for a, b in np.argwhere(apart <= BITS) if a < b}
    found = pairs(sketches)
    assert found <= wanted
    assert len(found) >= 0.95 * len(wanted) > COUNT / 2
    order = random.permutation(len(sketches))
    assert {tuple(sorted(order[[a, b]].tolist())) for a, b in pairs(sketches[order])} == found


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_images(pictures, count):
    sketches = part_sketches(pictures[:count])
    assert sketches.shape[:2] == (count, len(PARTS))
    assert alike_in_parts(sketches).shape == (0, 2)


def test_many_equal_parts_take_no_more_than_their_share(pictures):
    same = part_sketches(pictures[:1].repeat(3000, axis=0))
    found = alike_in_parts(same)
    assert len(found) == 2 * len(same)
