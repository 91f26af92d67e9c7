"""A folder or a tar archive becomes one zip, the same bytes for the same files."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile

import pytest

from candid.data.download.own import take_own
from candid.data.download.pack import pack_folder, pack_tar
from candid.data.download.verify import contents_digest
from candid.errors import CandidError
from tests.data.made import face, zipped

FILES = {"happy/1.png": b"one", "happy/10.png": b"ten", "sad/2.png": b"two", "Zebra/ü.png": b"umlaut"}


def folder(path, files=None):
    for name, data in (files or FILES).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def contents(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def tarred(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                info.type, info.linkname = data
                archive.addfile(info)
    return path


def test_equal_folders_give_equal_bytes_whatever_dates_rights_and_order(tmp_path):
    one = folder(tmp_path / "one")
    other = folder(tmp_path / "other", dict(reversed(FILES.items())))
    for path in other.rglob("*.png"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert pack_folder(one, tmp_path / "1.zip") == 4
    pack_folder(other, tmp_path / "2.zip")
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    assert contents(tmp_path / "1.zip") == FILES
    assert list(contents(tmp_path / "1.zip")) == sorted(FILES)


def test_a_change_in_the_folder_changes_the_archive(tmp_path):
    path = folder(tmp_path / "own")
    pack_folder(path, tmp_path / "1.zip")
    (path / "sad/2.png").write_bytes(b"too")
    pack_folder(path, tmp_path / "2.zip")
    assert (tmp_path / "1.zip").read_bytes() != (tmp_path / "2.zip").read_bytes()


def test_hidden_files_stay_out_links_are_followed_and_circles_end(tmp_path):
    path = folder(tmp_path / "own", {"happy/1.png": b"one", ".git/config": b"-", "happy/.DS_Store": b"-"})
    store = folder(tmp_path / "store", {"a.png": b"stored"})
    (path / "sad").symlink_to(store, target_is_directory=True)
    (path / "happy/2.png").symlink_to(store / "a.png")
    (path / "happy/round").symlink_to(path, target_is_directory=True)
    (path / "happy/gone.png").symlink_to(tmp_path / "nowhere")
    pack_folder(path, tmp_path / "1.zip")
    assert contents(tmp_path / "1.zip") == {
        "happy/1.png": b"one",
        "happy/2.png": b"stored",
        "sad/a.png": b"stored",
    }


def test_a_name_that_is_no_text_is_one_line(tmp_path):
    path = folder(tmp_path / "own")
    try:
        (path / os.fsdecode(b"happy/\xff.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(CandidError, match="not UTF-8"):
        pack_folder(path, tmp_path / "1.zip")
    assert not (tmp_path / "1.zip").exists()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_packed_without_touching_the_disk(tmp_path, mode):
    path = tarred(tmp_path / "own.tar", FILES | {".hidden": b"-"}, mode)
    assert pack_tar(path, tmp_path / "1.zip") == 4
    assert contents(tmp_path / "1.zip") == FILES
    assert sorted(each.name for each in tmp_path.iterdir()) == ["1.zip", "own.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_stop_the_run(tmp_path, kind):
    path = tarred(tmp_path / "own.tar", {"happy/1.png": (kind, "/etc/passwd")})
    with pytest.raises(CandidError, match="no plain file"):
        pack_tar(path, tmp_path / "1.zip")
    assert not (tmp_path / "1.zip").exists()


def test_a_tar_that_swells_stops_the_run(tmp_path):
    path = tarred(tmp_path / "own.tar.gz", {"happy/1.png": b"\0" * 20_000_000})
    with pytest.raises(CandidError, match="more than 100 times"):
        pack_tar(path, tmp_path / "1.zip")


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_a_tar_that_is_cut_stops_the_run(tmp_path, share, mode):
    path = tarred(tmp_path / "own.tar", {f"happy/{i}.png": face(i) for i in range(9)}, mode)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(CandidError, match="not a whole tar archive"):
        pack_tar(path, tmp_path / "1.zip")
    assert not (tmp_path / "1.zip").exists()


def test_a_folder_a_zip_and_a_tar_of_the_same_files_hold_the_same(tmp_path):
    take_own(folder(tmp_path / "own"), tmp_path / "1.zip")
    take_own(zipped(tmp_path / "own.zip", FILES, zipfile.ZIP_DEFLATED), tmp_path / "2.zip")
    take_own(tarred(tmp_path / "own.tar.gz", FILES), tmp_path / "3.zip")
    assert len({contents_digest(tmp_path / f"{i}.zip") for i in (1, 2, 3)}) == 1


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda path: None, "no such file or folder"),
        (lambda path: path.mkdir(), "no file in it"),
        (lambda path: path.write_bytes(b""), "0 bytes"),
        (lambda path: path.write_bytes(b"text"), "neither a zip nor a tar"),
        (
            lambda path: path.write_bytes(zipped(path, {"a/1.png": face()}).read_bytes()[:-30]),
            "neither a zip",
        ),
    ],
)
def test_what_is_no_set_of_pictures_is_one_line(tmp_path, make, match):
    make(tmp_path / "own")
    with pytest.raises(CandidError, match=match) as caught:
        take_own(tmp_path / "own", tmp_path / "1.zip")
    assert "data.path" in str(caught.value)
    assert "one folder a class" in str(caught.value)
    assert not (tmp_path / "1.zip").exists()
