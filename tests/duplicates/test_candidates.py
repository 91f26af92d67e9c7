"""Which images a crop is compared with: those near by its sketch, the nearest by both where they are many."""

from __future__ import annotations

import numpy as np
import pytest

from candid.duplicates import candidates as search
from candid.duplicates.views import CENTRE_VIEW, SKETCH_BITS, View, _projection, thumbnails
from tests.duplicates.made import made_pictures


def look_alikes(count, strength):
    """One picture, with other fine structure each time."""
    grain = np.random.default_rng(1).integers(-strength, strength + 1, (count, 24, 24))
    grain = grain.repeat(2, axis=1).repeat(2, axis=2)
    return np.clip(made_pictures(1)[0] // 2 + 60 + grain, 0, 255).astype(np.uint8)


def unequal_bits(first, second):
    """All against all; words x N each."""
    bits = [np.unpackbits(np.ascontiguousarray(words.T).view(np.uint8), axis=1) for words in (first, second)]
    return (bits[0][:, None] != bits[1][None]).sum(axis=2)


def test_details_say_which_of_two_cells_is_lighter():
    images = made_pictures(5)
    there, back = (thumbnails(each, CENTRE_VIEW).details for each in (images, 255 - images))
    assert (np.diag(unequal_bits(there, back)) > SKETCH_BITS - 12).all()  # but where two are equal


@pytest.mark.parametrize("count", [0, 1, 37])
def test_sketches_are_the_signs_of_sums_of_whole_numbers(count):
    made = thumbnails(made_pictures(count), CENTRE_VIEW)
    signs = made.features.astype(np.int64) @ _projection().astype(np.int64) > 0
    words = np.ascontiguousarray(made.sketches.T).view(np.uint8)
    np.testing.assert_array_equal(np.unpackbits(words, axis=1, bitorder="little"), signs)


@pytest.mark.parametrize("many", [search.MANY, 1], ids=["one cell", "cells of any size"])
def test_of_many_near_centres_those_count_that_both_sketches_have_nearest(monkeypatch, many):
    monkeypatch.setattr(search, "PROBES", 99)  # all cells
    images, keys = look_alikes(200, 20), np.arange(200)
    centres, crops = thumbnails(images, CENTRE_VIEW), thumbnails(images, View(1.5, 0.0, 36.0, 36.0))
    apart = unequal_bits(crops.sketches, centres.sketches)
    both = apart + unequal_bits(crops.details, centres.details)
    near = (apart <= search.MAX_SKETCH_BITS) & (keys[:, None] != keys)
    assert near.sum(axis=1).min() > 2 * search.NEAREST
    limits = np.sort(np.where(near, both, 255), axis=1)[:, [search.NEAREST - 1]]
    expected = {(i, j, both[i, j]) for i, j in np.argwhere(near & (both <= limits))}
    alike = search.alike_sketches(*crops[1:], keys, *centres[1:], keys)
    assert {*map(tuple, alike.tolist())} == expected
    scores = search.correlations(crops.features[alike[:, 0]], centres.features[alike[:, 1]])
    hits = np.concatenate(search._scan(crops, search._index(centres, many), 0, 200))
    assert len(hits) > 1000
    assert {*map(tuple, hits[:, :2].tolist())} == {*map(tuple, alike[scores >= 0, :2].tolist())}


def test_a_copy_is_a_candidate_among_more_look_alikes_than_a_crop_is_compared_with():
    originals = look_alikes(300, 45)
    copies = np.clip(originals * 0.8 + 20, 0, 255).astype(np.uint8)
    pairs = search.candidate_pairs(np.concatenate([originals, copies])).pairs
    assert {(i, 300 + i) for i in range(300)} <= {tuple(pair) for pair in pairs.tolist()}


def test_of_an_image_the_closest_pairs_are_kept_in_their_best_view(monkeypatch):
    monkeypatch.setattr(search, "CLOSEST", 3)
    random = np.random.default_rng(0)
    ends = np.argsort(random.random((400, 12)), axis=1)[:, :2]  # crop and centre, different images
    scores, views = random.integers(950_000, 950_050, 400), random.integers(0, 40, 400)
    hits = search.closest([search.by_pair(ends, scores, views, 12)], 12)
    best: dict[tuple[int, int], int] = {}
    for pair, score in zip(np.sort(ends).tolist(), scores, strict=True):
        best[*pair] = max(best.get((*pair,), 0), score)
    third = [sorted(score for pair, score in best.items() if image in pair)[-3] for image in range(12)]
    expected = {pair: score for pair, score in best.items() if score >= min(third[pair[0]], third[pair[1]])}
    assert len(expected) < len(best)
    found = [divmod(key, 12) for key in hits.key.tolist()]
    assert found == sorted(found)
    assert dict(zip(found, 1_000_000 - (hits.said >> 9), strict=True)) == expected
