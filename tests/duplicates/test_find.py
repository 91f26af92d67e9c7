"""Copies are found as copies, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from candid.duplicates.candidates import CLOSEST, candidate_pairs
from candid.duplicates.find import find_duplicates
from candid.duplicates.settings import Aligned, Hash
from candid.duplicates.views import low_contrast, working_images
from candid.errors import CandidError
from tests.duplicates.made import COPIES, cut, jpeg, made_pictures, squeezed, turned


@pytest.fixture(scope="module")
def pictures():
    return made_pictures(60)


def ends(found):
    return set(zip(found.pairs["a"], found.pairs["b"], strict=True))


def with_copies(pictures, change):
    return np.concatenate([pictures, np.stack([change(picture) for picture in pictures])])


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_others_are_not(pictures, kind):
    found = find_duplicates(with_copies(pictures, COPIES[kind]))
    pairs = ends(found)
    true = {(i, i + 60) for i in range(60)}
    assert not pairs - true
    assert len(pairs) >= 54
    assert (found.pairs["kind"] == "near").all()
    assert (found.groups >= 0).sum() == 2 * len(pairs)
    assert found.pairs["similarity"].between(Aligned().min_similarity, 1).all()


def test_the_order_of_images_does_not_matter(pictures):
    images = np.concatenate(
        [pictures[:20], *(np.stack([f(p) for p in pictures[:20]]) for f in COPIES.values())]
    )
    order = np.random.default_rng(0).permutation(len(images))
    one, two = find_duplicates(images), find_duplicates(images[order])

    def told(found, names):
        ends = np.sort(np.stack([names[found.pairs["a"]], names[found.pairs["b"]]], axis=1), axis=1)
        return sorted(zip(*ends.T.tolist(), found.pairs["similarity"], strict=True))

    assert told(one, np.arange(len(images))) == told(two, order)
    assert len(one.pairs) > 300


def test_cores_do_not_matter(pictures, monkeypatch):
    images = with_copies(pictures, lambda p: cut(p, 1, 3, 44))
    one = find_duplicates(images)
    monkeypatch.setattr("candid.duplicates.kernels.cores", lambda: 1)
    monkeypatch.setattr("candid.duplicates.candidates.ROWS", 7)
    monkeypatch.setattr("candid.duplicates.alignment.BLOCK", 3)
    assert find_duplicates(images).pairs.equals(one.pairs)


def test_exact_copies(pictures):
    images = np.concatenate([pictures[:3], pictures[[1, 1]], cut(pictures[1], 1, 1, 45)[None]])
    found = find_duplicates(images)
    kinds = {(a, b): kind for a, b, kind in zip(*(found.pairs[c] for c in ("a", "b", "kind")), strict=True)}
    assert {pair for pair, kind in kinds.items() if kind == "exact"} == {(1, 3), (1, 4), (3, 4)}
    assert {pair for pair, kind in kinds.items() if kind == "near"} == {(1, 5), (3, 5), (4, 5)}
    assert (found.pairs["similarity"][found.pairs["kind"] == "exact"] == 1).all()
    assert found.groups.tolist() == [-1, 1, -1, 1, 1, 1]


def test_thousands_of_copies_do_not_explode(pictures):
    images = np.concatenate(
        [np.repeat(pictures[:1], 3000, axis=0), cut(pictures[0], 1, 1, 45)[None], pictures[1:9]]
    )
    found = find_duplicates(images)
    assert len(found.pairs) == 3000
    assert (found.groups[:3001] == 0).all()
    assert (found.groups[3001:] == -1).all()


def test_low_contrast_are_told_apart(pictures):
    black, noise = np.zeros((48, 48), np.uint8), np.random.default_rng(0).integers(98, 102, (48, 48))
    images = np.stack([black, pictures[0], black, black + np.uint8(3), noise.astype(np.uint8)])
    found = find_duplicates(images)
    assert found.flat.tolist() == [True, False, True, True, True]
    assert found.pairs[["a", "b", "kind"]].to_numpy().tolist() == [[0, 2, "exact"]]


def test_flat_is_a_standard_deviation_below_four():
    checks = np.indices((48, 48)).sum(axis=0) % 2
    images = np.stack([100 + checks * 2 * step for step in (3, 4, 5)]).astype(np.uint8)
    assert low_contrast(images).tolist() == [True, False, False]


def test_mirrored_copies_only_when_asked(pictures):
    assert not len(find_duplicates(with_copies(pictures, lambda p: cut(p[:, ::-1], 0, 1, 45))).pairs)


@pytest.mark.parametrize(("left", "top"), [(0, 1), (3, 1), (1, 0), (1, 3)])
def test_mirrored_copies_are_found_whichever_way_they_are_shifted(pictures, left, top):
    found = find_duplicates(with_copies(pictures, lambda p: cut(p[:, ::-1], left, top, 45)), mirror=True)
    assert ends(found) <= {(i, i + 60) for i in range(60)}
    assert len(ends(found)) >= 57
    assert set(found.pairs["kind"]) == {"mirror"}


def similarity(images, **options):
    return find_duplicates(images, Aligned(min_similarity=0.5), **options).pairs["similarity"].median()


def test_a_turn_is_doubted_more_than_a_new_crop(pictures):
    turns = with_copies(pictures[:20], lambda p: turned(p, 3))
    crops = with_copies(pictures[:20], lambda p: cut(p, 2, 2, 43))
    assert similarity(turns) < similarity(crops)


def test_of_a_series_a_pair_without_a_new_crop_is_doubted(pictures):
    still = with_copies(pictures[:20], lambda p: jpeg(p, 20))
    assert similarity(still, series=np.ones(40, bool)) < similarity(still) - 0.01
    assert similarity(still, series=np.arange(40) < 20) == similarity(still)


def test_different_pictures_in_one_frame_are_not_paired(pictures):
    """A screen with the same bars, and another picture on half of it."""
    screen = np.full((len(pictures), 48, 48), 245, np.uint8)
    screen[:, :4] = 10
    screen[:, 42:46, 4:12], screen[:, 42:46, 20:28], screen[:, 42:46, 36:44] = 30, 90, 150
    screen[:, 6:9, 3:6] = 100
    screen[:, 12:36] = [squeezed(p, (0, 12, 48, 36))[::2] for p in pictures]
    assert not len(find_duplicates(screen).pairs)


@pytest.mark.parametrize("size", [32, 96, 200])
def test_any_size_and_colour(size):
    large = made_pictures(20, seed=3, size=size)
    images = with_copies(large, lambda p: cut(p, size / 20, 0, size * 0.9))
    colour = np.stack([images, images // 2, 255 - images], axis=-1)
    for stack in (images, colour):
        pairs = ends(find_duplicates(stack))
        assert pairs <= {(i, i + 20) for i in range(20)}
        assert len(pairs) >= 17
    assert working_images(colour).shape == (40, 48, 48)


def test_colours_tell_exact_copies_apart(pictures):
    red, green = np.zeros((2, 48, 48, 3), np.uint8)
    red[..., 0], green[..., 1] = pictures[0], pictures[0]
    pairs = find_duplicates(np.stack([red, red, green])).pairs
    assert dict(zip(zip(pairs["a"], pairs["b"], strict=True), pairs["kind"], strict=True))[0, 1] == "exact"
    assert "exact" not in set(pairs["kind"][1:])


def test_digests_tell_exact_copies_where_given(pictures):
    digests = np.arange(4).astype("V16")
    images = pictures[[0, 0, 1, 2]]
    found = find_duplicates(images, digests=digests)
    assert found.pairs[["a", "b", "kind"]].to_numpy().tolist() == [[0, 1, "near"]]


@pytest.mark.parametrize("name", ["phash", "dhash", "average", "wavelet"])
def test_the_hash_alone_decides(pictures, name):
    images = np.concatenate([pictures, np.clip(pictures.astype(int) + 9, 0, 255).astype(np.uint8)])
    found = find_duplicates(images, Hash(hash=name))
    assert len({(i, i + 60) for i in range(60)} - ends(found)) <= 3
    assert found.pairs["similarity"].isin(np.round(1 - np.arange(5) / 64, 4)).all()
    assert not len(found.rejected)


def test_hashes_of_mirror_images(pictures):
    found = find_duplicates(np.concatenate([pictures, pictures[:, :, ::-1]]), "hash", mirror=True)
    assert {(i, i + 60) for i in range(60)} <= ends(found)
    assert set(found.pairs["kind"]) <= {"near", "mirror"}


def test_just_rejected_pairs_are_handed_on(pictures):
    images = with_copies(pictures, lambda p: cut(p, 1, 4, 43))
    strict = find_duplicates(images, Aligned(min_similarity=0.99))
    loose = find_duplicates(images)
    assert len(strict.rejected)
    assert strict.rejected["similarity"].between(0.84, 0.99, inclusive="left").all()
    both = len(strict.pairs) + (strict.rejected["similarity"] >= Aligned().min_similarity).sum()
    assert both == len(loose.pairs)


def test_a_chain_of_copies_is_not_plausible():
    start = made_pictures(1, size=96)[0]
    frames = np.stack([start[i // 4 : i // 4 + 48, i % 40 : i % 40 + 48] for i in range(160)])
    warning = find_duplicates(frames).warning
    assert warning.startswith("one group holds ")
    assert "different images of 160" in warning
    assert "frames of one video" in warning


def test_the_index_of_large_sets_finds_most(pictures):
    images = with_copies(pictures, lambda p: cut(p, 0, 2, 45))
    all_pairs, looked_up = candidate_pairs(images), candidate_pairs(images, many=0)
    known = {tuple(pair) for pair in all_pairs.pairs.tolist()}
    found = {tuple(pair) for pair in looked_up.pairs.tolist()}
    assert found <= known
    assert len(found & {(i, i + 60) for i in range(60)}) >= 59


@pytest.mark.parametrize("method", ["aligned", "hash"])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_small_sets(count, method):
    found = find_duplicates(made_pictures(max(count, 1))[:count], method, mirror=True)
    assert len(found.groups) == count
    assert not len(found.pairs)


def test_an_unknown_method_is_refused(pictures):
    with pytest.raises(CandidError, match="method = 'md5'; expected one of aligned, hash"):
        find_duplicates(pictures, "md5")


def test_pairs_are_bounded_where_everything_looks_alike(monkeypatch):
    """One picture with a little noise, 600 times: each keeps its closest, and all are one group."""
    monkeypatch.setattr("candid.duplicates.candidates.GATHERED", 20_000)
    picture = made_pictures(1)[0].astype(int)
    noise = np.random.default_rng(0).integers(-4, 5, (600, 48, 48))
    images = np.clip(picture + noise, 0, 255).astype(np.uint8)
    seen = candidate_pairs(images)
    assert 600 <= len(seen.pairs) <= 600 * CLOSEST
    assert (find_duplicates(images).groups == 0).all()
