"""Copies are found as copies, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from candid.duplicates.candidates import CLOSEST, view_pairs
from candid.duplicates.duplicates import find_duplicates
from candid.duplicates.params import DedupSettings
from candid.duplicates.views import flat_images, working_images
from candid.errors import CandidError
from tests.duplicates.dedup_pictures import COPIES, cut, made_pictures, turned

ALL = DedupSettings(max_group_share=1.0)


@pytest.fixture(scope="module")
def pictures():
    return made_pictures(60)


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_others_are_not(pictures, kind):
    images = np.concatenate([pictures, np.stack([COPIES[kind](p) for p in pictures])])
    found = find_duplicates(images, ALL)
    pairs = set(zip(found.pairs["a"], found.pairs["b"], strict=True))
    true = {(i, i + 60) for i in range(60)}
    assert not pairs - true
    assert len(pairs) >= 54
    assert (found.pairs["kind"] == "near").all()
    assert found.pairs["similarity"].between(ALL.min_similarity, 1).all()


def test_different_pictures_are_not_paired(pictures):
    found = find_duplicates(pictures, ALL)
    assert not len(found.pairs)
    assert (found.groups == -1).all()


def test_the_order_of_images_does_not_matter(pictures):
    images = np.concatenate(
        [pictures[:20], *(np.stack([f(p) for p in pictures[:20]]) for f in COPIES.values())]
    )
    order = np.random.default_rng(0).permutation(len(images))
    one, two = find_duplicates(images, ALL), find_duplicates(images[order], ALL)

    def told(found, names):
        ends = np.sort(np.stack([names[found.pairs["a"]], names[found.pairs["b"]]], axis=1), axis=1)
        return sorted(
            zip(*ends.T.tolist(), found.pairs["distance_bits"], found.pairs["similarity"], strict=True)
        )

    assert told(one, np.arange(len(images))) == told(two, order)
    assert len(one.pairs) > 300


def test_cores_do_not_matter(pictures, monkeypatch):
    images = np.concatenate([pictures, np.stack([cut(p, 1, 3, 44) for p in pictures])])
    one = find_duplicates(images, ALL)
    monkeypatch.setattr("candid.duplicates.kernels.cores", lambda: 1)
    monkeypatch.setattr("candid.duplicates.candidates.ROWS", 7)
    monkeypatch.setattr("candid.duplicates.verify.BLOCK", 3)
    assert find_duplicates(images, ALL).pairs.equals(one.pairs)


def test_exact_copies(pictures):
    images = np.concatenate([pictures[:3], pictures[[1, 1]], cut(pictures[1], 1, 1, 45)[None]])
    found = find_duplicates(images, ALL)
    kinds = {(a, b): kind for a, b, kind in zip(*(found.pairs[c] for c in ("a", "b", "kind")), strict=True)}
    assert {pair for pair, kind in kinds.items() if kind == "exact"} == {(1, 3), (1, 4), (3, 4)}
    assert {pair for pair, kind in kinds.items() if kind == "near"} == {(1, 5), (3, 5), (4, 5)}
    exact = found.pairs[found.pairs["kind"] == "exact"]
    assert (exact["distance_bits"] == 0).all()
    assert (exact["similarity"] == 1).all()
    assert found.groups.tolist() == [-1, 1, -1, 1, 1, 1]


def test_thousands_of_copies_do_not_explode(pictures):
    images = np.concatenate(
        [np.repeat(pictures[:1], 3000, axis=0), cut(pictures[0], 1, 1, 45)[None], pictures[1:9]]
    )
    found = find_duplicates(images, DedupSettings())
    assert len(found.pairs) == 3000
    assert (found.groups[:3001] == 0).all()
    assert (found.groups[3001:] == -1).all()


def test_flat_images_are_told_apart(pictures):
    black, noise = np.zeros((48, 48), np.uint8), np.random.default_rng(0).integers(98, 102, (48, 48))
    images = np.stack([black, pictures[0], black, black + np.uint8(3), noise.astype(np.uint8)])
    found = find_duplicates(images, ALL)
    assert found.flat.tolist() == [True, False, True, True, True]
    assert found.pairs[["a", "b", "kind"]].to_numpy().tolist() == [[0, 2, "exact"]]


def test_flat_is_a_standard_deviation_below_four():
    checks = np.indices((48, 48)).sum(axis=0) % 2
    images = np.stack([100 + checks * 2 * step for step in (3, 4, 5)]).astype(np.uint8)
    assert flat_images(images).tolist() == [True, False, False]


def test_mirrored_copies_only_when_asked(pictures):
    images = np.concatenate([pictures, np.stack([cut(p[:, ::-1], 0, 2, 45) for p in pictures])])
    assert not len(find_duplicates(images, ALL).pairs)
    found = find_duplicates(images, ALL.model_copy(update={"mirror": True}))
    pairs = set(zip(found.pairs["a"], found.pairs["b"], strict=True))
    assert not pairs - {(i, i + 60) for i in range(60)}
    assert len(pairs) >= 54
    assert set(found.pairs["kind"]) == {"mirror"}


def test_mirrored_copies_are_found_whichever_way_they_are_shifted(pictures):
    mirror = ALL.model_copy(update={"mirror": True})
    for left, top in ((0, 1), (3, 1), (1, 0), (1, 3)):
        images = np.concatenate([pictures, np.stack([cut(p[:, ::-1], left, top, 45) for p in pictures])])
        pairs = find_duplicates(images, mirror).pairs
        found = set(zip(pairs["a"], pairs["b"], strict=True))
        assert len(found & {(i, i + 60) for i in range(60)}) >= 57, (left, top)


def test_a_turn_is_doubted_more_than_a_new_crop(pictures):
    images = np.concatenate([pictures[:20], np.stack([turned(p, 3) for p in pictures[:20]])])
    plain = np.concatenate([pictures[:20], np.stack([cut(p, 2, 2, 43) for p in pictures[:20]])])

    def median(stack):
        found = find_duplicates(stack, ALL.model_copy(update={"min_similarity": 0.5}))
        return found.pairs["similarity"].median()

    assert median(images) < median(plain)


@pytest.mark.parametrize("size", [32, 96, 200])
def test_any_size_and_colour(size):
    large = made_pictures(20, seed=3, size=size)
    images = np.concatenate([large, np.stack([cut(p, size / 20, 0, size * 0.9) for p in large])])
    colour = np.stack([images, images // 2, 255 - images], axis=-1)
    for stack in (images, colour):
        pairs = find_duplicates(stack, ALL).pairs
        assert set(zip(pairs["a"], pairs["b"], strict=True)) <= {(i, i + 20) for i in range(20)}
        assert len(pairs) >= 17
    assert working_images(colour).shape == (40, 48, 48)


def test_colours_tell_exact_copies_apart(pictures):
    red, green = np.zeros((2, 48, 48, 3), np.uint8)
    red[..., 0], green[..., 1] = pictures[0], pictures[0]
    pairs = find_duplicates(np.stack([red, red, green]), ALL).pairs
    assert dict(zip(zip(pairs["a"], pairs["b"], strict=True), pairs["kind"], strict=True))[0, 1] == "exact"
    assert "exact" not in set(pairs["kind"][1:])


def test_digests_tell_exact_copies_where_given(pictures):
    digests = np.arange(4).astype("V16")
    images = pictures[[0, 0, 1, 2]]
    found = find_duplicates(images, ALL, digests)
    assert found.pairs[["a", "b", "kind"]].to_numpy().tolist() == [[0, 1, "near"]]


def test_without_verification_the_hash_alone_decides(pictures):
    images = np.concatenate([pictures, np.clip(pictures.astype(int) + 9, 0, 255).astype(np.uint8)])
    settings = ALL.model_copy(
        update={"verify": False, "hash": "dhash", "hash_size": 8, "max_distance_bits": 4}
    )
    found = find_duplicates(images, settings)
    assert {(i, i + 60) for i in range(60)} <= set(zip(found.pairs["a"], found.pairs["b"], strict=True))
    assert (found.pairs["distance_bits"] <= 4).all()
    np.testing.assert_array_equal(
        found.pairs["similarity"], np.round(1 - found.pairs["distance_bits"] / 64, 4)
    )
    assert not len(found.rejected)


def test_just_rejected_pairs_are_handed_on(pictures):
    images = np.concatenate([pictures, np.stack([cut(p, 1, 4, 43) for p in pictures])])
    strict = find_duplicates(images, ALL.model_copy(update={"min_similarity": 0.99}))
    loose = find_duplicates(images, ALL)
    assert len(strict.rejected)
    assert strict.rejected["similarity"].between(0.84, 0.99, inclusive="left").all()
    both = len(strict.pairs) + (strict.rejected["similarity"] >= ALL.min_similarity).sum()
    assert both == len(loose.pairs)


def test_a_chain_of_copies_is_stopped():
    start = made_pictures(1, size=96)[0]
    frames = np.stack([start[i // 4 : i // 4 + 48, i % 40 : i % 40 + 48] for i in range(160)])
    with pytest.raises(
        CandidError, match=r"one group holds \d+ different pictures of 160.*frames of one video"
    ):
        find_duplicates(frames, DedupSettings())


def test_the_index_of_large_sets_finds_most(pictures):
    images = np.concatenate([pictures, np.stack([cut(p, 0, 2, 45) for p in pictures])])
    all_pairs, looked_up = view_pairs(images), view_pairs(images, many=0)
    known = {tuple(pair) for pair in all_pairs.pairs.tolist()}
    found = {tuple(pair) for pair in looked_up.pairs.tolist()}
    assert found <= known
    assert len(found & {(i, i + 60) for i in range(60)}) >= 40


@pytest.mark.parametrize("count", [0, 1, 2])
def test_small_sets(count):
    found = find_duplicates(made_pictures(max(count, 1))[:count], ALL.model_copy(update={"mirror": True}))
    assert len(found.groups) == count
    assert not len(found.pairs)


def test_too_many_images_for_wide_hashes_alone(pictures, monkeypatch):
    monkeypatch.setattr("candid.duplicates.search.MANY", 10)
    with pytest.raises(CandidError, match=r"too many.*dedup\.verify: true"):
        find_duplicates(pictures, ALL.model_copy(update={"verify": False}))
    assert not len(find_duplicates(pictures, ALL).pairs)


def test_pairs_are_bounded_where_everything_looks_alike(monkeypatch):
    """One picture with a little noise, a thousand times: each keeps its closest, and all are one group."""
    monkeypatch.setattr("candid.duplicates.candidates.GATHERED", 20_000)
    picture = made_pictures(1)[0].astype(int)
    noise = np.random.default_rng(0).integers(-4, 5, (1000, 48, 48))
    images = np.clip(picture + noise, 0, 255).astype(np.uint8)
    seen = view_pairs(images)
    assert 1000 <= len(seen.pairs) <= 1000 * CLOSEST
    settings = ALL.model_copy(update={"hash_size": 8, "max_distance_bits": 0})
    assert (find_duplicates(images, settings).groups == 0).all()
