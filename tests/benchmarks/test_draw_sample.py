"""The embedded dataset as its users get it: still what the program draws, and what its list promises."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from benchmarks.draw_sample import __main__ as program
from benchmarks.draw_sample.__main__ import FER2013, draw_sample, planted_csv, sheet
from benchmarks.draw_sample.copies import brighten, reencode, shift, zoom
from tests.data.made import ROOT, encoded

SIZE, CROP, REACH = 48, 36, 6
ARCHIVE = ROOT / "data/sample.zip"


def digest(files: dict[str, Any], planted: bytes) -> str:
    """Of names, pixels and the list."""
    parts = [name.encode() + image.tobytes() for name, image in files.items()]
    return hashlib.sha256(b"".join([*parts, planted])).hexdigest()


@pytest.fixture(scope="module")
def faces():
    with zipfile.ZipFile(ARCHIVE) as archive:
        names = [name for name in archive.namelist() if name != "planted.csv"]
        return {name: np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names}


@pytest.fixture(scope="module")
def planted():
    with zipfile.ZipFile(ARCHIVE) as archive, archive.open("planted.csv") as file:
        return pd.read_csv(file)


@pytest.fixture(scope="module")
def small():
    """A smaller set of the same make."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ORIGINALS": 60, "SUBJECTS": 20, "PAIRS": 11, "TRIPLES": 1}.items():
            patch.setattr(program, name, value)
        yield draw_sample


@pytest.mark.slow
def test_the_file_in_git_is_what_the_program_draws_on_any_machine(faces):
    # NumPy then runs the loops that a processor without AVX gets; hash seed and locale are others too.
    features: dict[str, bool] = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    optional: list[str] = np._core._multiarray_umath.__cpu_dispatch__  # type: ignore[attr-defined]
    environment = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in optional if features[name]),
        **{"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "4711", "LC_ALL": "C", "TZ": "Asia/Kathmandu"},
        "PYTHONPATH": str(ROOT),
    }
    code = (
        "from tests.benchmarks.test_draw_sample import *; s = draw_sample(); "
        "print(digest(s.files, planted_csv(s)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    with zipfile.ZipFile(ARCHIVE) as archive:
        assert done.stdout.strip() == digest(faces, archive.read("planted.csv"))


def test_every_member_is_a_grey_face_named_by_label_subject_and_number(faces):
    parts = [re.fullmatch(r"([a-z]+)/p([0-9]{3})_([0-9]{4})\.png", name) for name in faces]
    found = [part.groups() for part in parts if part]
    assert len(found) == len(faces)
    assert {label for label, _, _ in found} == set(FER2013)
    assert sorted(int(number) for _, _, number in found) == list(range(len(faces)))
    assert all(image.shape == (SIZE, SIZE) and image.std() > 5 for image in faces.values())
    subjects = pd.Series([subject for _, subject, _ in found]).value_counts()
    assert len(subjects) == program.SUBJECTS
    assert 4 <= subjects.min() <= subjects.max() <= 9


def test_originals_are_as_unbalanced_as_fer2013(faces, planted):
    labels = [name.split("/")[0] for name in faces if name not in set(planted["b"])]
    total = sum(FER2013.values())
    assert len(labels) == program.ORIGINALS
    for label, count in FER2013.items():
        assert abs(labels.count(label) - len(labels) * count / total) < 1


def test_the_list_says_what_is_true_of_each_copy(faces, planted):
    assert list(planted.columns) == ["a", "b", "kind"]
    assert planted["b"].is_unique
    assert not set(planted["a"]) & set(planted["b"])
    assert 0.07 < len(planted) / len(faces) < 0.09
    assert (planted["a"].value_counts() == 2).sum() == program.TRIPLES
    for a, b, kind in planted.itertuples(index=False):
        changes = kind.split("+")
        assert set(changes) <= {"exact", "reencoded", "shifted", "zoomed", "brightened", "mislabelled"}
        assert (a.split("/")[0] != b.split("/")[0]) == ("mislabelled" in changes)
        assert re.findall("p[0-9]+", a) == re.findall("p[0-9]+", b)
        assert np.array_equal(faces[a], faces[b]) == ("exact" in changes)
        assert similarity(faces[a], faces[b]) >= 0.93
    assert 0.1 < planted["kind"].str.contains("mislabelled").mean() < 0.25


def test_no_other_two_pictures_are_near_duplicates(faces, planted):
    names, images = list(faces), np.stack(list(faces.values()))
    family = {name: name for name in names} | dict(zip(planted["b"], planted["a"], strict=True))
    families = np.array([family[name] for name in names])
    likeness = thumbnail_similarity(images)
    likeness[families[:, None] == families[None, :]] = -1
    nearest = np.argsort(np.triu(likeness, 1), axis=None)[::-1][:150]
    found = [similarity(images[a], images[b]) for a, b in zip(*divmod(nearest, len(names)), strict=True)]
    assert max(found) < 0.88


def test_another_seed_and_another_batch_size(small, monkeypatch):
    sample = small(3)
    monkeypatch.setattr(program, "BATCH", 7)
    again, other = small(3), small(4)
    assert planted_csv(sample) == planted_csv(again)
    assert all(np.array_equal(image, again.files[name]) for name, image in sample.files.items())
    assert not set(map(bytes, sample.files.values())) & set(map(bytes, other.files.values()))


def test_the_sheet_shows_faces_and_copies(faces, planted):
    pairs = [tuple(row) for row in planted.itertuples(index=False)]
    image = sheet(program.Sample(faces, pairs))
    assert image.width == 7 * 102 + 6
    assert 50 < np.asarray(image).std() < 120


def test_changes_do_what_their_names_say():
    image = np.random.default_rng(0).integers(60, 180, (48, 48), dtype=np.uint8)
    assert np.array_equal(shift(image, 2, -3)[5:40, 5:40], image[8:43, 3:38])
    assert np.array_equal(zoom(image, 1000), image)
    assert zoom(image, 1080).std() < image.std()
    assert np.array_equal(brighten(image, 1000, 5), image + 5)
    jpeg = Image.open(io.BytesIO(encoded(image, "JPEG", quality=60)))
    assert np.abs(reencode(image, 60).astype(int) - np.asarray(jpeg)).mean() < 2


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
        deviation = windows.std(axis=1) * CROP
        best = max(best, float((windows @ template / np.maximum(deviation, 1.0)).max()))
    return best


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
