"""python -m stages.download, as dvc runs it."""

from __future__ import annotations

import hashlib
import os

import pytest

from tests.data.made import CATALOGUE, ROOT, face, folder, one_line, write_params, zipped


def test_the_sample_is_the_file_in_git_and_needs_no_path(run_stage, tmp_path):
    (tmp_path / "data").mkdir()
    os.link(ROOT / "data/sample.zip", tmp_path / "data/sample.zip")
    write_params(tmp_path, path=None)
    done = run_stage("stages.download")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sample.zip: from data/sample.zip")
    assert (tmp_path / "data/raw/sample.zip").read_bytes() == (ROOT / "data/sample.zip").read_bytes()


def test_a_folder_of_ones_own_is_packed_the_same_each_time(run_stage, tmp_path):
    folder(tmp_path / "data/own", {"happy/1.png": face()})
    write_params(tmp_path, dataset="folder", path="data/own")
    done = run_stage("stages.download")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "folder.zip: packed from data/own\n")
    first = (tmp_path / "data/raw/folder.zip").read_bytes()
    run_stage("stages.download", TZ="Asia/Tokyo", PYTHONHASHSEED="3")
    assert (tmp_path / "data/raw/folder.zip").read_bytes() == first


def test_pictures_that_dvc_does_not_watch_are_said_to_be_so(run_stage, tmp_path):
    folder(tmp_path / "elsewhere", {"happy/1.png": face()})
    write_params(tmp_path, dataset="folder", path=str(tmp_path / "elsewhere"))
    assert "outside data/own" in run_stage("stages.download").stdout


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"dataset": "rafdb"}, ["list_patition_label.txt", "whdeng.cn", "CANDID_MIRROR"]),
        ({"dataset": "ck48"}, ["mirror/ck48.zip", "sha256", "53e52a36", "981 missing"]),
    ],
)
def test_bad_input_ends_in_one_line(run_stage, tmp_path, data, words):
    zipped(tmp_path / "mirror/ck48.zip", {"CK+48/happy/S1_1_1.png": face()})
    write_params(tmp_path, **data)
    mirror = str(tmp_path / "mirror")
    one_line(run_stage("stages.download", CANDID_MIRROR=mirror), "candid download: ", *words)
    raw = tmp_path / "data/raw"
    assert not raw.exists() or not list(raw.iterdir())


@pytest.mark.data
@pytest.mark.parametrize("dataset", ["ck48", "fergit", "ferplus"])
def test_the_real_archives_pass_their_checks(run_stage, tmp_path, mirror, dataset):
    write_params(tmp_path, dataset=dataset)
    done = run_stage("stages.download", CANDID_MIRROR=str(mirror))
    assert (done.returncode, done.stderr) == (0, "")
    for name in CATALOGUE[dataset].union or [dataset]:
        for archive in CATALOGUE[name].archives:
            data = (tmp_path / "data/raw" / archive.name).read_bytes()
            assert archive.sha256 in (None, hashlib.sha256(data).hexdigest())
