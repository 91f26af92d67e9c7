"""What is packed for a bare machine comes back bit for bit."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from benchmarks.gpu import jpeg
from benchmarks.gpu.parts import decoded, read, write_pixels
from benchmarks.gpu.pool import Pool
from benchmarks.gpu.rans import BITS, Decoder, encode, frequencies


def faces(count: int = 12, size: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth and noisy faces, some of them blown out."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((size, size)) / size
    waves = rng.normal(size=(count, 4))[..., None, None] * 3
    smooth = 128 + 120 * np.sin(waves[:, 0] * x + waves[:, 1] * y + waves[:, 2]) * rng.uniform(
        0.2, 1.8, (count, 1, 1)
    )
    noisy = smooth + rng.normal(size=smooth.shape) * np.abs(waves[:, 3]) * 4
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def as_jpeg(face: NDArray[np.uint8], quality: int) -> bytes:
    box = io.BytesIO()
    Image.fromarray(face).save(box, "JPEG", quality=quality)
    return box.getvalue()


def pixels_of(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 30))
def test_symbols_come_back(seed: int, lanes: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, 3, lanes) for _ in range(steps)]
    given_symbols = [
        (rng.geometric(0.3, lanes) % 256 * (row != 2)).astype(np.uint8) for row in rows
    ]  # table 2 knows one symbol
    counts = np.zeros((4, 256), np.int64)
    for symbols, row in zip(given_symbols, rows, strict=True):
        np.add.at(counts, (row, symbols), 1)
    tables = frequencies(counts)
    assert (tables.sum(axis=1) == 1 << BITS).all()
    states, words = encode(list(zip(given_symbols, rows, strict=True)), tables, lanes)
    decoder = Decoder(tables, states, words)
    for symbols, row in zip(given_symbols, rows, strict=True):
        assert np.array_equal(decoder.step(row), symbols)
    assert decoder.read == len(words)


@pytest.mark.parametrize("colours", [(), (3,)], ids=["grey", "rgb"])
def test_pixels_come_back(colours: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (5, 9, 7, *colours), dtype=np.uint8)
    flat = np.stack([np.full((9, 7, *colours), value, np.uint8) for value in (0, 255)])
    images = np.concatenate([noise, flat, np.where(noise > 127, 255, 0).astype(np.uint8)])
    found = read(write_pixels(images))
    assert found.dtype == np.uint8
    assert np.array_equal(found, images)


def test_smooth_pixels_take_fewer_bytes() -> None:
    images = np.stack([np.add.outer(np.arange(48), np.arange(48) * k).astype(np.uint8) for k in range(200)])
    assert len(write_pixels(images)) < images.size / 10


@pytest.mark.parametrize("quality", [50, 95, 100])
def test_coefficients_give_the_pixels_of_libjpeg(quality: int) -> None:
    files = [as_jpeg(face, quality) for face in faces()]
    header = jpeg.read_header(files[0])
    assert header is not None
    found = jpeg.coefficients(files, header)
    made = decoded(found, np.array(header.steps), 48, 48)
    assert np.array_equal(made, [pixels_of(content) for content in files])


def test_other_files_are_left_alone() -> None:
    colour, odd = np.zeros((48, 48, 3), np.uint8), np.zeros((47, 48), np.uint8)
    box = io.BytesIO()
    Image.fromarray(faces(1)[0]).save(box, "JPEG", progressive=True)
    png = io.BytesIO()
    Image.fromarray(odd).save(png, "PNG")
    for content in (b"", b"\xff\xd8", as_jpeg(colour, 90), as_jpeg(odd, 90), box.getvalue(), png.getvalue()):
        assert jpeg.read_header(content) is None


def test_a_pool_holds_each_face_once_and_gives_all_back() -> None:
    """JPEG files of two qualities, a face whose file is missing, one whose file is another's, and copies."""
    files: list[bytes | None] = [as_jpeg(face, 95) for face in faces(8)]
    files += [as_jpeg(face, 80) for face in faces(4, seed=1)]
    images = np.stack([pixels_of(content) for content in files if content])
    files[2], files[3] = None, files[4]
    again = images[[5, 2, 9]]
    pool = Pool()
    places = pool.add(images, lambda row: files[row])
    later = pool.add(again, lambda row: None)
    assert np.array_equal(later, places[[5, 2, 9]])
    stored = np.concatenate([read(content) for content in pool.files])
    assert len(stored) == len(images)
    assert np.array_equal(stored[places], images)


def test_faces_of_an_earlier_pack_are_not_written_again() -> None:
    earlier, pool = Pool(), Pool()
    earlier.add(faces(4), lambda row: None)
    for content in earlier.files:
        pool.know(read(content))
    places = pool.add(np.concatenate([faces(4)[1:3], faces(2, seed=3)]), lambda row: None)
    assert places.tolist() == [1, 2, 4, 5]
    assert pool.earlier == len(earlier.files)
    assert np.array_equal(np.concatenate([read(content) for content in pool.files]), faces(2, seed=3))


def test_new_faces_of_a_later_set_come_behind() -> None:
    pool = Pool()
    first = pool.add(faces(4), lambda row: None)
    second = pool.add(np.concatenate([faces(4)[1:3], faces(2, seed=3)]), lambda row: None)
    assert first.tolist() == [0, 1, 2, 3]
    assert second.tolist() == [1, 2, 4, 5]
    stored = np.concatenate([read(content) for content in pool.files])
    assert np.array_equal(stored, np.concatenate([faces(4), faces(2, seed=3)]))
