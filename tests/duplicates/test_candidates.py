"""Which images a crop is compared with: those near by its sketch, the nearest by both where they are many."""

from __future__ import annotations

import numpy as np

from candid.duplicates.candidates import MAX_SKETCH_BITS, NEAREST, alike_sketches, candidate_pairs
from candid.duplicates.views import CENTRE_VIEW, SKETCH_BITS, View, thumbnails
from tests.duplicates.made import made_pictures


def look_alikes(count):
    """One picture, with other fine structure each time."""
    grain = np.random.default_rng(1).integers(-45, 46, (count, 24, 24)).repeat(2, axis=1).repeat(2, axis=2)
    return np.clip(made_pictures(1)[0] // 2 + 60 + grain, 0, 255).astype(np.uint8)


def unequal_bits(first, second):
    """All against all; words x N each."""
    bits = [np.unpackbits(np.ascontiguousarray(words.T).view(np.uint8), axis=1) for words in (first, second)]
    return (bits[0][:, None] != bits[1][None]).sum(axis=2)


def test_details_say_which_of_two_cells_is_lighter():
    images = made_pictures(5)
    there, back = (thumbnails(each, CENTRE_VIEW).details for each in (images, 255 - images))
    bits = np.unpackbits(np.ascontiguousarray(there.T).view(np.uint8), axis=1)
    assert bits.shape == (5, SKETCH_BITS)
    assert 0.3 < bits.mean() < 0.7
    assert (np.diag(unequal_bits(there, back)) > SKETCH_BITS - 12).all()  # but where two are equal


def test_of_many_near_centres_those_count_that_both_sketches_have_nearest():
    images = look_alikes(200)
    centres, crops = thumbnails(images, CENTRE_VIEW), thumbnails(images, View(1.5, 0.0, 36.0, 36.0))
    keys = np.arange(200)
    apart = unequal_bits(crops.sketches, centres.sketches)
    both = apart + unequal_bits(crops.details, centres.details)
    near = (apart <= MAX_SKETCH_BITS) & (keys[:, None] != keys)
    assert near.sum(axis=1).max() > 2 * NEAREST
    limits = [np.sort(both[i, near[i]])[NEAREST - 1] if near[i].sum() >= NEAREST else 255 for i in keys]
    wanted = {(i, j, both[i, j]) for i, j in np.argwhere(near & (both <= np.array(limits)[:, None]))}
    found = alike_sketches(crops.sketches, crops.details, keys, centres.sketches, centres.details, keys)
    assert {tuple(row) for row in found.tolist()} == wanted


def test_a_copy_is_a_candidate_among_more_look_alikes_than_a_crop_is_compared_with():
    originals = look_alikes(300)
    copies = np.clip(originals * 0.8 + 20, 0, 255).astype(np.uint8)
    pairs = candidate_pairs(np.concatenate([originals, copies])).pairs
    assert {(i, 300 + i) for i in range(300)} <= {tuple(pair) for pair in pairs.tolist()}
