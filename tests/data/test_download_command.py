"""python -m stages.download, as dvc runs it."""

from __future__ import annotations

import hashlib

import pytest

from tests.data.made import CATALOGUE, face, one_line, write_params, zipped


def test_a_folder_of_ones_own_is_packed_the_same_each_time(run_stage, tmp_path):
    (tmp_path / "own/happy").mkdir(parents=True)
    (tmp_path / "own/happy/1.png").write_bytes(face())
    write_params(tmp_path, dataset="folder", path="own")
    done = run_stage("stages.download")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "folder.zip: packed from own\n")
    first = (tmp_path / "data/raw/folder.zip").read_bytes()
    run_stage("stages.download", TZ="Asia/Tokyo", PYTHONHASHSEED="3")
    assert (tmp_path / "data/raw/folder.zip").read_bytes() == first


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"dataset": "fer2014"}, ["data.dataset = 'fer2014'", "expected one of sample, fer2013"]),
        ({"dataset": "folder", "path": "nowhere"}, ["data.path = 'nowhere'", "one folder a class"]),
        ({"dataset": "rafdb"}, ["list_patition_label.txt", "whdeng.cn", "CANDID_MIRROR"]),
        ({"dataset": "ck48"}, ["mirror/ck48.zip", "sha256", "53e52a36"]),
        ({"path": 3}, ["data.path = 3"]),
    ],
)
def test_bad_input_ends_in_one_line(run_stage, tmp_path, data, words):
    zipped(tmp_path / "mirror/ck48.zip", {"CK+48/happy/S1_1_1.png": face()})
    write_params(tmp_path, **data)
    one_line(
        run_stage("stages.download", CANDID_MIRROR=str(tmp_path / "mirror")), "candid download: ", *words
    )
    raw = tmp_path / "data/raw"
    assert not raw.exists() or not list(raw.iterdir())


def test_a_relative_mirror_is_refused(run_stage, tmp_path):
    write_params(tmp_path, dataset="ck48")
    one_line(run_stage("stages.download", CANDID_MIRROR="mirror"), "CANDID_MIRROR = 'mirror'", "absolute")


@pytest.mark.data
def test_the_real_archives_pass_their_checks(run_stage, tmp_path, mirror):
    for name in ("ck48", "fergit"):
        write_params(tmp_path, dataset=name)
        done = run_stage("stages.download", CANDID_MIRROR=str(mirror))
        assert (done.returncode, done.stderr) == (0, "")
    for name in ("fer2013", "muxspace", "ck48"):
        (archive,) = CATALOGUE[name].archives
        data = (tmp_path / "data/raw" / archive.name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == archive.sha256
