"""The embedded dataset as its users get it: the archive, the same everywhere, and what its list promises."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from candid.data.download import sample
from candid.data.download.sample import FER2013, class_counts, draw_sample, write_sample

# A change of this sum is a change of the dataset: every figure that was measured on it must be made again.
PINNED = "b5c6234eeef6621421c62fff0223748958edc3c3daac5c89c0a55447a570e995"

SIZE, CROP, REACH = 48, 36, 6


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "raw" / "sample.zip"
    write_sample(path)
    return path


@pytest.fixture(scope="module")
def faces(archive):
    with zipfile.ZipFile(archive) as members:
        names = [name for name in members.namelist() if name != "planted.csv"]
        return {name: np.asarray(Image.open(io.BytesIO(members.read(name)))) for name in names}


@pytest.fixture(scope="module")
def planted(archive):
    with zipfile.ZipFile(archive) as members, members.open("planted.csv") as file:
        return pd.read_csv(file)


def test_the_bytes_are_the_pinned_ones(archive):
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == PINNED


def test_the_bytes_do_not_depend_on_the_machine(tmp_path):
    # NumPy then runs the loops that a processor without AVX gets; hash seed and locale are others too.
    features: dict[str, bool] = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    optional: list[str] = np._core._multiarray_umath.__cpu_dispatch__  # type: ignore[attr-defined]
    environment = {
        **os.environ,
        "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in optional if features[name]),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "4711",
        "LC_ALL": "C",
        "TZ": "Asia/Kathmandu",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    code = "from pathlib import Path; import candid.data.download.sample as s; s.write_sample(Path('o.zip'))"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    assert hashlib.sha256((tmp_path / "o.zip").read_bytes()).hexdigest() == PINNED


def test_the_archive_is_stored_sorted_and_without_dates(archive):
    with zipfile.ZipFile(archive) as members:
        entries = members.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}


def test_every_member_is_a_grey_face_that_pillow_reads(archive):
    with zipfile.ZipFile(archive) as members:
        for name in members.namelist():
            if name != "planted.csv":
                image = Image.open(io.BytesIO(members.read(name)))
                assert (image.format, image.mode, image.size) == ("PPM", "L", (SIZE, SIZE))
                assert np.asarray(image).std() > 5


def test_names_carry_label_person_and_a_number(faces):
    parts = [re.fullmatch(r"([a-z]+)/p([0-9]{3})_([0-9]{4})\.pgm", name) for name in faces]
    assert all(parts)
    found = [part.groups() for part in parts if part]
    assert {label for label, _, _ in found} == set(FER2013)
    assert sorted(int(number) for _, _, number in found) == list(range(len(faces)))
    assert len({person for _, person, _ in found}) == sample.PEOPLE


def test_originals_are_as_unbalanced_as_fer2013(faces, planted):
    labels = [name.split("/")[0] for name in faces if name not in set(planted["b"])]
    counts = {label: labels.count(label) for label in FER2013}
    assert sum(counts.values()) == sample.ORIGINALS
    total = sum(FER2013.values())
    assert all(abs(counts[label] - sample.ORIGINALS * FER2013[label] / total) < 1 for label in FER2013)


@given(st.integers(0, 10**6))
def test_class_counts_add_up_and_stay_within_one_of_the_share(n):
    counts = class_counts(n)
    assert sum(counts.values()) == n
    assert all(abs(counts[label] - n * FER2013[label] / sum(FER2013.values())) < 1 for label in FER2013)


def test_the_list_says_what_is_true_of_each_copy(faces, planted):
    assert list(planted.columns) == ["a", "b", "kind"]
    assert planted["b"].is_unique
    assert not set(planted["a"]) & set(planted["b"])
    assert 0.07 < len(planted) / len(faces) < 0.09
    assert (planted["a"].value_counts() == 2).sum() == sample.TRIPLES
    for a, b, kind in planted.itertuples(index=False):
        changes = kind.split("+")
        assert set(changes) <= {"exact", "reencoded", "shifted", "zoomed", "brightened", "mislabelled"}
        assert (a.split("/")[0] != b.split("/")[0]) == ("mislabelled" in changes)
        assert re.findall("p[0-9]+", a) == re.findall("p[0-9]+", b)
        assert np.array_equal(faces[a], faces[b]) == ("exact" in changes)
    assert 0.1 < planted["kind"].str.contains("mislabelled").mean() < 0.25


def test_planted_copies_are_near_duplicates(faces, planted):
    likeness = [similarity(faces[a], faces[b]) for a, b in zip(planted["a"], planted["b"], strict=True)]
    assert min(likeness) >= 0.94


def test_no_other_two_pictures_are_near_duplicates(faces, planted):
    names, images = list(faces), np.stack(list(faces.values()))
    family = {name: name for name in names} | dict(zip(planted["b"], planted["a"], strict=True))
    families = np.array([family[name] for name in names])
    likeness = thumbnail_similarity(images)
    likeness[families[:, None] == families[None, :]] = -1
    nearest = np.argsort(np.triu(likeness, 1), axis=None)[::-1][:250]
    found = [similarity(images[a], images[b]) for a, b in zip(*divmod(nearest, len(names)), strict=True)]
    assert max(found) < 0.88


@pytest.mark.parametrize("seed", [1, 2**40])
def test_another_seed_draws_other_faces_of_the_same_make(seed, monkeypatch):
    monkeypatch.setattr(sample, "ORIGINALS", 60)
    monkeypatch.setattr(sample, "PAIRS", 6)
    monkeypatch.setattr(sample, "TRIPLES", 1)
    images, table, planted = draw_sample(seed)
    assert images.shape == (len(table), SIZE, SIZE)
    assert len(table) == 60 + 6 + 2
    assert set(planted["a"]) | set(planted["b"]) <= set(table["file"])
    assert not np.array_equal(images, draw_sample(0)[0])


@settings(max_examples=3, deadline=None)
@given(st.integers(1, 70))
def test_pictures_do_not_depend_on_how_many_are_drawn_at_once(batch):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ORIGINALS": 60, "PAIRS": 4, "TRIPLES": 1}.items():
            patch.setattr(sample, name, value)
        images, table, _ = draw_sample(3)
        patch.setattr(sample, "BATCH", batch)
        again, same, _ = draw_sample(3)
    assert np.array_equal(images, again)
    assert table.equals(same)


def similarity(a: Any, b: Any) -> float:
    """Best normalised correlation of one's middle with the other, shifted up to 6 pixels and scaled."""
    return max(_best(a, b), _best(b, a))


def _best(a: Any, b: Any) -> float:
    template = _unit(a[REACH : REACH + CROP, REACH : REACH + CROP].reshape(1, -1))[0]
    best = -1.0
    for scale in (0.92, 0.96, 1.0, 1.04, 1.08):
        scaled = _scaled(b[None], scale)[0]
        corner = (len(scaled) - CROP) // 2
        reach = slice(max(corner - REACH, 0), corner + REACH + 1)
        windows = sliding_window_view(scaled, (CROP, CROP))[reach, reach].reshape(-1, CROP * CROP)
        deviation = np.sqrt(np.maximum(_boxes(scaled * scaled) - _boxes(scaled) ** 2 / CROP**2, 1.0))
        best = max(best, float((windows @ template / deviation[reach, reach].reshape(-1)).max()))
    return best


def _boxes(image: Any) -> Any:
    """Sum every window of CROP x CROP pixels."""
    sums = np.pad(image.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return sums[CROP:, CROP:] - sums[CROP:, :-CROP] - sums[:-CROP, CROP:] + sums[:-CROP, :-CROP]


def thumbnail_similarity(images: Any) -> Any:
    """Best correlation of 9x9 thumbnails of the middles over shifts and scales, for all pairs: n x n."""
    middle = _thumbnails(images.astype(np.float32), REACH, REACH)
    best = np.full((len(images), len(images)), -1, np.float32)
    for scale in (1.0, 1.07):  # and, the other way round, 0.93
        scaled = _scaled(images, scale)
        corner = (scaled.shape[1] - CROP) // 2
        steps = range(max(corner - REACH, 0), min(corner + REACH, scaled.shape[1] - CROP) + 1, 3)
        for top in steps:
            for left in steps:
                np.maximum(best, middle @ _thumbnails(scaled, top, left).T, out=best)
    return np.maximum(best, best.T)


def _thumbnails(images: Any, top: int, left: int) -> Any:
    crops = images[:, top : top + CROP, left : left + CROP].reshape(len(images), 9, 4, 9, 4)
    return _unit(crops.mean(axis=(2, 4)).reshape(len(images), -1))


def _scaled(images: Any, scale: float) -> Any:
    size = round(SIZE * scale / 2) * 2
    at = np.clip((np.arange(size) - (size - 1) / 2) / scale + (SIZE - 1) / 2, 0, SIZE - 1)
    low = np.minimum(at.astype(int), SIZE - 2)
    weight = (at - low).astype(np.float32)
    rows = images[:, low] * (1 - weight)[:, None] + images[:, low + 1] * weight[:, None]
    return (rows[:, :, low] * (1 - weight) + rows[:, :, low + 1] * weight).astype(np.float32)


def _unit(rows: Any) -> Any:
    centred = rows.astype(np.float32) - rows.mean(axis=1, keepdims=True, dtype=np.float32)
    return centred / np.maximum(np.sqrt((centred * centred).sum(axis=1, keepdims=True)), 1e-6)
