"""What a set may hold, whether it is a folder, a zip or a tar, and that nothing of it reaches the disk."""

from __future__ import annotations

import os
import tarfile
import tracemalloc
import zipfile

import pytest

from candid.data.archives import UnreadableError, is_tar, open_files, pack, skip_reason
from candid.errors import CandidError
from tests.data.made import declare, face, folder, tarred, zipped

FILES = {"happy/1.png": b"one", "happy/10.png": b"ten", "sad/2.png": b"two", "Zebra/ü.png": b"umlaut"}
CLUTTER = ["__MACOSX/a/._1.png", "a/.DS_Store", "a/Thumbs.db", ".git/config", "a/@eaDir/1.png/T.jpg"]
MAKERS = {
    "folder": folder,
    "zip": zipped,
    "deflated": lambda path, files: zipped(path, files, zipfile.ZIP_DEFLATED),
    "tar": lambda path, files: tarred(path, files, "w"),
    "tar.gz": lambda path, files: tarred(path, files, "w:gz"),
    "tar.bz2": lambda path, files: tarred(path, files, "w:bz2"),
    "tar.xz": lambda path, files: tarred(path, files, "w:xz"),
}


def unreadable(path, name, match):
    with open_files(path) as files, pytest.raises(UnreadableError, match=match):
        files.read(name)


@pytest.mark.parametrize("kind", MAKERS)
def test_names_are_sorted_clutter_is_apart_and_every_file_is_read(tmp_path, kind):
    path = MAKERS[kind](tmp_path / "set", dict(reversed(FILES.items())) | dict.fromkeys(CLUTTER, b"x"))
    with open_files(path) as files:
        assert files.names == sorted(FILES)
        if kind != "folder":  # folders of clutter are not even walked
            assert files.clutter == sorted(CLUTTER)
        assert dict(files.read_all(files.names)) == FILES
        assert files.read_text("Zebra/ü.png") == "umlaut"
        with files.stream("happy/10.png") as file:
            assert file.read() == b"ten"
        assert (files.location("sad/2.png") == path / "sad/2.png") == (kind == "folder")
    assert [each.name for each in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    ("reason", "names"),
    [
        ("not_a_picture", CLUTTER),
        ("not_a_picture", ["#recycle/1.png", "$RECYCLE.BIN/1.png", "happy/lost+found/1.png"]),
        ("not_a_picture", [".Trashes/501/1.png", "happy/Icon\\r", "System Volume Information/x"]),
        ("not_a_picture", ["happy/1.xmp", "happy/IMG_1.AAE", "LICENSE", "happy/README", "labels.CSV"]),
        ("raw_photograph", ["1.dng", "happy/IMG.CR2", "a.NEF"]),
        ("video", ["00001.MTS", "a/b.mp4", "1.m2ts"]),
        ("", ["happy/1.png", "happy/1", "happy/license.png", "a/1.exe", "recycle/1.png"]),
    ],
)
def test_a_name_says_what_is_no_picture(reason, names):
    assert {name: skip_reason(name) for name in names} == dict.fromkeys(names, reason)


def test_backslashes_are_slashes_and_control_characters_are_visible(tmp_path):
    names = {"happy\\1.png": b"x", "./sad//2.png": b"y", "a\r\nb/3.png": b"z"}
    path = zipped(tmp_path / "a.zip", names)
    with open_files(path) as files:
        assert files.names == ["a\\r\\nb/3.png", "happy/1.png", "sad/2.png"]
        assert files.read("a\\r\\nb/3.png") == b"z"
    pack(folder(tmp_path / "own", {"a\r\nb/3.png": b"z", "\n4.png": b"w"}), tmp_path / "1.zip")
    with open_files(tmp_path / "1.zip") as files:
        assert files.names == ["\\n4.png", "a\\r\\nb/3.png"]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_hard_link_in_a_tar_is_its_target_when_that_is_in_the_archive(tmp_path, mode):
    members = {
        "a/0.png": face(0),
        "b/copy.png": (tarfile.LNKTYPE, "a/0.png"),
        "b/again.png": (tarfile.LNKTYPE, "./b/copy.png"),
        "b/out.png": (tarfile.LNKTYPE, "/etc/passwd"),
        "b/self.png": (tarfile.LNKTYPE, "b/self.png"),
    }
    path = tarred(tmp_path / "a.tar", members, mode)
    with open_files(path) as files:
        read = dict(files.read_all(files.names))
    assert read["a/0.png"] == read["b/copy.png"] == read["b/again.png"] == face(0)
    assert isinstance(read["b/out.png"], UnreadableError)
    assert isinstance(read["b/self.png"], UnreadableError)
    del members["b/out.png"], members["b/self.png"]
    assert pack(tarred(tmp_path / "b.tar", members, mode), tmp_path / "1.zip") == 3


def test_names_in_utf8_are_read_with_or_without_the_flag_that_says_so(tmp_path):
    path = zipped(tmp_path / "a.zip", {"happy/fröhlich.png": b"x"})
    data = bytearray(path.read_bytes())
    data[7] &= ~8
    data[data.index(b"PK\x01\x02") + 9] &= ~8
    path.write_bytes(data)
    with open_files(path) as files:
        assert files.read("happy/fröhlich.png") == b"x"


def test_a_damaged_file_costs_no_other_and_a_stream_of_it_ends_in_one_line(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a/1.png": face(1), "a/2.png": face(2)})
    data = bytearray(path.read_bytes())
    data[800] ^= 16
    path.write_bytes(data)
    with open_files(path) as files:
        assert files.read("a/2.png") == face(2)
        with pytest.raises(CandidError, match="damaged"), files.stream("a/1.png") as file:
            file.read()


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_that_cannot_be_unpacked_within_bounds_is_refused(tmp_path, compression):
    path = zipped(tmp_path / "a.zip", {"happy/1.png": face()}, compression)
    unreadable(path, "happy/1.png", "packed by method")


def test_a_bomb_is_cut_off_in_memory_too(tmp_path):
    path = zipped(tmp_path / "a.zip", {"happy/1.png": b"\0" * 50_000_000}, zipfile.ZIP_DEFLATED)
    declare(path, 100)
    header = tmp_path / "a.tar.gz"  # tarfile reads an extended header whole
    with tarfile.open(header, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 50_000_000}):
        pass
    tracemalloc.start()
    unreadable(path, "happy/1.png", "damaged")
    assert not is_tar(header)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_links_in_a_folder_are_followed_circles_end_and_the_results_are_left_out(tmp_path):
    path = folder(tmp_path / "own", {"happy/1.png": b"one", "report/1.png": b"-"})
    store = folder(tmp_path / "store", {"a.png": b"stored"})
    (path / "sad").symlink_to(store, target_is_directory=True)
    (path / "happy/2.png").symlink_to(store / "a.png")
    (path / "happy/round").symlink_to(path, target_is_directory=True)
    (path / "happy/gone.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(path / "happy/pipe.png")
    with open_files(path, path / "report") as files:
        expected = {"happy/1.png": b"one", "happy/2.png": b"stored", "sad/a.png": b"stored"}
        assert dict(files.read_all(files.names)) == expected


@pytest.mark.parametrize("kind", MAKERS)
def test_any_set_packs_to_one_zip_the_same_each_time(tmp_path, kind):
    path = MAKERS[kind](tmp_path / "set", FILES | {".hidden": b"-"})
    if kind == "folder":
        for each in path.rglob("*.png"):
            os.utime(each, (1, 1))
        (path / "contempt").mkdir()
    assert pack(path, tmp_path / "1.zip") == pack(path, tmp_path / "2.zip") == 4
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    with open_files(tmp_path / "1.zip") as files:
        assert dict(files.read_all(files.names)) == FILES
        assert files.empty_folders == (["contempt"] if kind == "folder" else [])


@pytest.mark.parametrize(
    ("files", "empty"),
    [
        ({"a/1.png": b"x", "b/": b""}, ["b"]),
        ({"a/": b"", "a/1.png": b"x"}, []),
        ({"a/1.png": b"x", "b/Thumbs.db": b"x", "__MACOSX/c/": b""}, ["b"]),
    ],
)
def test_folders_without_a_file_are_known(tmp_path, files, empty):
    with open_files(zipped(tmp_path / "a.zip", files)) as opened:
        assert opened.empty_folders == empty
