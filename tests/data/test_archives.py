"""What a set may hold, whether it is a folder, a zip or a tar, and that nothing of it reaches the disk."""

from __future__ import annotations

import os
import struct
import tarfile
import tracemalloc
import zipfile

import pytest

from candid.data.archives import (
    MAX_FILE_BYTES,
    UnreadableError,
    is_clutter,
    is_tar,
    open_files,
    pack,
    skip_reason,
)
from candid.errors import CandidError
from tests.data.made import face, folder, tarred, zipped

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


def refused(path, match):
    with pytest.raises(CandidError, match=match) as caught, open_files(path):
        pass
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


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
    ("name", "reason"),
    [
        *((name, "not_a_picture") for name in CLUTTER),
        *(("#recycle/1.png", "not_a_picture"), ("$RECYCLE.BIN/1.png", "not_a_picture")),
        *(("happy/lost+found/1.png", "not_a_picture"), (".Trashes/501/1.png", "not_a_picture")),
        *(("happy/Icon\\r", "not_a_picture"), ("System Volume Information/x", "not_a_picture")),
        *(
            ("happy/1.xmp", "not_a_picture"),
            ("happy/IMG_1.AAE", "not_a_picture"),
            ("LICENSE", "not_a_picture"),
        ),
        *(("happy/README", "not_a_picture"), ("labels.CSV", "not_a_picture")),
        *(("1.dng", "raw_photograph"), ("happy/IMG.CR2", "raw_photograph"), ("a.NEF", "raw_photograph")),
        *(("00001.MTS", "video"), ("a/b.mp4", "video"), ("1.m2ts", "video")),
        *(
            ("happy/1.png", ""),
            ("happy/1", ""),
            ("happy/license.png", ""),
            ("a/1.exe", ""),
            ("recycle/1.png", ""),
        ),
    ],
)
def test_a_name_says_what_is_no_picture(name, reason):
    assert skip_reason(name) == reason
    assert is_clutter("a\\r/Icon\\r")


@pytest.mark.parametrize(
    "name",
    [
        "../out.png",
        "a/../../out.png",
        "/etc/passwd",
        "C:/out.png",
        "..\\out.png",
        "a\\..\\..\\out.png",
        "//host/x",
    ],
)
@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_path_that_leads_outside_stops_the_run(tmp_path, make, name):
    refused(make(tmp_path / "set", {"a/1.png": face(), name: face()}), "leads outside")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_backslashes_are_slashes_and_control_characters_are_visible(tmp_path):
    names = {"happy\\1.png": b"x", "./sad//2.png": b"y", "a\r\nb/3.png": b"z"}
    path = zipped(tmp_path / "a.zip", names)
    with open_files(path) as files:
        assert files.names == ["a\\r\\nb/3.png", "happy/1.png", "sad/2.png"]
        assert files.read("a\\r\\nb/3.png") == b"z"
    pack(folder(tmp_path / "own", {"a\r\nb/3.png": b"z", "\n4.png": b"w"}), tmp_path / "1.zip")
    with open_files(tmp_path / "1.zip") as files:
        assert files.names == ["\\n4.png", "a\\r\\nb/3.png"]


def test_a_name_that_is_no_text_is_shown_by_its_bytes(tmp_path):
    path = folder(tmp_path / "own", FILES)
    try:
        (path / os.fsdecode(b"happy/\xff.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with open_files(path) as files:
        assert files.read("happy/\\udcff.png") == b"x"
    assert pack(path, tmp_path / "1.zip") == 5


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_an_archive_are_never_followed(tmp_path, kind):
    path = tarred(tmp_path / "own.tar", {"a/1.png": face(), "a/2.png": (kind, "1.png")})
    unreadable(path, "a/2.png", "a (link|device) in the archive; expected files")
    with pytest.raises(CandidError, match=r"own\.tar: 'a/2\.png': a (link|device) in the archive"):
        pack(path, tmp_path / "1.zip")
    assert not (tmp_path / "1.zip").exists()


def test_a_symbolic_link_in_a_zip_is_not_followed(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("happy/1.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    unreadable(path, "happy/1.png", "symbolic link")


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


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_name_twice_stops_the_run(tmp_path, kind):
    path = tmp_path / "a.zip"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("happy/1.png", face(1))
            archive.writestr("happy//1.png", face(2))
    else:
        tarred(path, {"happy/1.png": face(1), "./happy/1.png": face(2)})
    refused(path, "'happy/1.png' is in it twice")


def test_an_encrypted_file_and_a_name_that_is_not_utf8_stop_the_run(tmp_path):
    path = zipped(tmp_path / "a.zip", {"happy/XY.png": face()})
    plain = path.read_bytes()
    data = bytearray(plain)
    data[6] |= 1  # flag of the local header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and of the directory
    path.write_bytes(data)
    refused(path, "encrypted")
    path.write_bytes(plain.replace(b"XY", b"\xff\xfe"))
    refused(path, "UTF-8")


def test_names_in_utf8_are_read_with_or_without_the_flag_that_says_so(tmp_path):
    path = zipped(tmp_path / "a.zip", {"happy/fröhlich.png": b"x"})
    data = bytearray(path.read_bytes())
    data[7] &= ~8
    data[data.index(b"PK\x01\x02") + 9] &= ~8
    path.write_bytes(data)
    with open_files(path) as files:
        assert files.read("happy/fröhlich.png") == b"x"


def declare(path, size, at=24):
    """Let the directory promise `size` bytes for the first file."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + at, size)
    path.write_bytes(data)
    return path


def test_an_archive_that_declares_more_than_it_can_hold_stops_the_run(tmp_path):
    path = declare(zipped(tmp_path / "a.zip", {"happy/1.png": face()}), 4_000_000_000)
    refused(path, "declares 4,000,000,000 bytes")
    header = tarfile.TarInfo("happy/1.png")
    header.size = 8 << 30
    (tmp_path / "a.tar").write_bytes(header.tobuf())
    refused(tmp_path / "a.tar", "declares 8,589,934,592 bytes")


def test_files_too_long_empty_or_garbled_are_reasons_not_crashes(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a/1.png": face(1), "a/2.png": face(2), "a/3.png": b""})
    whole = path.read_bytes()
    unreadable(path, "a/3.png", "0 bytes")
    unreadable(declare(path, MAX_FILE_BYTES + 1), "a/1.png", "at most")
    for offset in (800, whole.index(b"PK\x01\x02") + 10):  # a bit of the first file; its method of packing
        data = bytearray(whole)
        data[offset] ^= 16
        path.write_bytes(data)
        unreadable(path, "a/1.png", "damaged")
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


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
def test_an_archive_cut_anywhere_stops_the_run(tmp_path, kind, share):
    path = MAKERS[kind](tmp_path / "set", {f"happy/{i}.png": face(i) for i in range(9)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(path, "cut short|not a whole tar archive")


@pytest.mark.parametrize(
    ("data", "match"),
    [(b"", "0 bytes"), (b"text", "neither a zip nor a tar"), (b"\x1f\x8b\x08" + b"\0" * 50, "neither")],
)
def test_what_is_no_set_stops_the_run(tmp_path, data, match):
    (tmp_path / "set").write_bytes(data)
    refused(tmp_path / "set", match)
    refused(tmp_path / "nothing", "no such file or folder")


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


def test_of_nothing_nothing_is_packed(tmp_path):
    assert pack(folder(tmp_path / "own", {".a/1.png": b"-", "b/.1.png": b"-"}), tmp_path / "1.zip") == 0
    assert not (tmp_path / "1.zip").exists()
