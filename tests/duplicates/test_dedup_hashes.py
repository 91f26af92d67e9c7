"""Hashes are those of imagehash, bit for bit."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from candid.duplicates.hashes import hash_images, pack, resize, to_grey, unpack
from tests.duplicates.dedup_pictures import made_pictures

THEIRS = {
    "phash": imagehash.phash,
    "dhash": imagehash.dhash,
    "average": imagehash.average_hash,
    "wavelet": imagehash.whash,
}
NAMES = sorted(THEIRS)


def theirs(images: np.ndarray, name: str, hash_size: int) -> np.ndarray:
    return np.stack([THEIRS[name](Image.fromarray(i), hash_size=hash_size).hash.ravel() for i in images])


def assert_equal_hashes(images, name, hash_size):
    ours = unpack(hash_images(images, name, hash_size), hash_size**2)
    np.testing.assert_array_equal(ours, theirs(images, name, hash_size))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hash_size", [4, 8, 16])
def test_pictures(name, hash_size):
    assert_equal_hashes(made_pictures(12, seed=hash_size), name, hash_size)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(48, 48), (40, 64), (100, 30), (33, 33, 3), (64, 48, 3)])
def test_noise_of_any_size_and_colour(name, shape):
    noise = np.random.default_rng(0).integers(0, 256, (6, *shape), dtype=np.uint8)
    assert_equal_hashes(noise, name, 8)


@pytest.mark.parametrize("name", NAMES)
def test_flat_and_symmetric_pictures(name):
    ramp = np.broadcast_to(np.arange(48, dtype=np.uint8), (48, 48))
    check = np.uint8(255) * (np.indices((48, 48)).sum(axis=0) % 2).astype(np.uint8)
    pictures = np.stack([np.zeros((48, 48), np.uint8), np.full((48, 48), 255, np.uint8), ramp, ramp.T, check])
    assert_equal_hashes(pictures, name, 8)


@pytest.mark.data
@pytest.mark.parametrize("name", NAMES)
def test_real_faces(name, mirror: Path):
    with zipfile.ZipFile(mirror / "fer2013.zip") as archive:
        files = sorted(n for n in archive.namelist() if n.endswith((".jpg", ".png")))[::1500]
        faces = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(n))).convert("L")) for n in files])
    assert_equal_hashes(faces, name, 16 if name == "phash" else 8)


def test_resize_is_pillows():
    images = np.random.default_rng(1).integers(0, 256, (3, 37, 53), dtype=np.uint8)
    for width, height in ((64, 64), (9, 8), (53, 20), (37, 37)):
        expected = [
            np.asarray(Image.fromarray(i).resize((width, height), Image.Resampling.LANCZOS)) for i in images
        ]
        np.testing.assert_array_equal(resize(images, width, height), np.stack(expected))


def test_grey_is_pillows():
    images = np.random.default_rng(2).integers(0, 256, (4, 20, 30, 3), dtype=np.uint8)
    expected = np.stack([np.asarray(Image.fromarray(i).convert("L")) for i in images])
    np.testing.assert_array_equal(to_grey(images), expected)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 5), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_unpack_reverses_pack(count, bits, seed):
    flags = np.random.default_rng(seed).integers(0, 2, (count, bits)).astype(bool)
    words = pack(flags)
    assert words.shape == (count, -(-bits // 64))
    np.testing.assert_array_equal(unpack(words, bits), flags)


def test_no_images():
    assert hash_images(np.empty((0, 48, 48), np.uint8), "phash", 16).shape == (0, 4)
