"""The embedded dataset as its users get it: still what the program draws, and what its list promises."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.draw_sample.__main__ import FER2013, ORIGINALS, SUBJECTS, TRIPLES
from benchmarks.draw_sample.copies import brighten, reencode, shift, zoom
from candid.duplicates.find import find_duplicates
from tests.conftest import python
from tests.data.made import ROOT, encoded

ARCHIVE = ROOT / "data/sample.zip"


@pytest.fixture(scope="module")
def faces():
    with zipfile.ZipFile(ARCHIVE) as archive:
        names = [name for name in archive.namelist() if name != "planted.csv"]
        return {name: np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names}


@pytest.fixture(scope="module")
def planted():
    with zipfile.ZipFile(ARCHIVE) as archive, archive.open("planted.csv") as file:
        return pd.read_csv(file)


@pytest.mark.slow
def test_the_file_in_git_is_what_the_program_draws_on_any_machine(tmp_path):
    # NumPy then runs the loops that a processor without AVX gets; batches and locale are others too.
    features: dict[str, bool] = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    optional: list[str] = np._core._multiarray_umath.__cpu_dispatch__  # type: ignore[attr-defined]
    environment = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in optional if features[name]),
        **{"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "4711", "LC_ALL": "C", "TZ": "Asia/Kathmandu"},
    }
    code = "from benchmarks.draw_sample import __main__ as program; program.BATCH = 29; program.main()"
    done = python(code, tmp_path, "sample.zip", env=environment)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(ARCHIVE) as committed, zipfile.ZipFile(tmp_path / "sample.zip") as drawn:
        assert drawn.namelist() == committed.namelist()
        for name in drawn.namelist():  # by pixels: a PNG's bytes are its compressor's
            if name.endswith(".png"):
                now, then = (np.asarray(Image.open(io.BytesIO(z.read(name)))) for z in (drawn, committed))
                assert np.array_equal(now, then), name
            else:
                assert drawn.read(name) == committed.read(name)


def test_every_member_is_a_grey_face_named_by_label_subject_and_number(faces):
    parts = [re.fullmatch(r"([a-z]+)/p([0-9]{3})_([0-9]{4})\.png", name) for name in faces]
    words = [part.groups() for part in parts if part]
    assert len(words) == len(faces)
    assert {label for label, _, _ in words} == set(FER2013)
    assert sorted(int(number) for _, _, number in words) == list(range(len(faces)))
    assert all(image.shape == (48, 48) and image.std() > 5 for image in faces.values())
    subjects = pd.Series([subject for _, subject, _ in words]).value_counts()
    assert len(subjects) == SUBJECTS
    assert 4 <= subjects.min() <= subjects.max() <= 9


def test_originals_are_as_unbalanced_as_fer2013(faces, planted):
    labels = [name.split("/")[0] for name in faces if name not in set(planted["b"])]
    total = sum(FER2013.values())
    assert len(labels) == ORIGINALS
    for label, count in FER2013.items():
        assert abs(labels.count(label) - len(labels) * count / total) < 1


def test_the_list_says_what_is_true_of_each_copy(faces, planted):
    assert list(planted.columns) == ["a", "b", "kind"]
    assert planted["b"].is_unique
    assert not set(planted["a"]) & set(planted["b"])
    assert 0.07 < len(planted) / len(faces) < 0.09
    assert (planted["a"].value_counts() == 2).sum() == TRIPLES
    for a, b, kind in planted.itertuples(index=False):
        changes = kind.split("+")
        assert set(changes) <= {"exact", "reencoded", "shifted", "zoomed", "brightened", "mislabelled"}
        assert (a.split("/")[0] != b.split("/")[0]) == ("mislabelled" in changes)
        assert re.findall("p[0-9]+", a) == re.findall("p[0-9]+", b)
        assert np.array_equal(faces[a], faces[b]) == ("exact" in changes)
    assert 0.1 < planted["kind"].str.contains("mislabelled").mean() < 0.25


def test_only_the_listed_copies_are_near_duplicates(faces, planted):
    names = list(faces)
    pairs = find_duplicates(np.stack(list(faces.values()))).pairs
    family = {name: name for name in names} | dict(zip(planted["b"], planted["a"], strict=True))
    assert all(family[names[a]] == family[names[b]] for a, b in pairs[["a", "b"]].to_numpy())
    assert len(pairs) >= 0.98 * len(planted)


def test_changes_do_what_their_names_say():
    image = np.random.default_rng(0).integers(60, 180, (48, 48), dtype=np.uint8)
    assert np.array_equal(shift(image, 2, -3)[5:40, 5:40], image[8:43, 3:38])
    assert np.array_equal(zoom(image, 1000), image)
    assert zoom(image, 1080).std() < image.std()
    assert np.array_equal(brighten(image, 1000, 5), image + 5)
    jpeg = Image.open(io.BytesIO(encoded(image, "JPEG", quality=60)))
    assert np.abs(reencode(image, 60).astype(int) - np.asarray(jpeg)).mean() < 2
