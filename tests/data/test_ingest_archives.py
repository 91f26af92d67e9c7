"""What an archive may hold, and that nothing of it reaches the disk."""

from __future__ import annotations

import struct
import tarfile
import tracemalloc
import zipfile

import pytest

from candid.data.ingest.archives import MAX_FILE_BYTES, opened
from candid.data.ingest.decode import UnreadableError
from candid.data.packed import is_tar
from candid.errors import CandidError
from tests.data.made import face, zipped


def refused(path, match):
    with pytest.raises(CandidError, match=match) as caught, opened(path):
        pass
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


def test_names_are_sorted_and_what_systems_leave_behind_is_apart(tmp_path):
    files = ["b/2.png", "a/1.png", "__MACOSX/a/._1.png", "a/.DS_Store", "a/Thumbs.db", ".git/config"]
    path = zipped(tmp_path / "a.zip", dict.fromkeys(files, b"x"))
    with opened(path) as archive:
        assert archive.names() == ["a/1.png", "b/2.png"]
        assert len(archive.clutter()) == 4
        assert archive.read("b/2.png") == b"x"


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
def test_a_path_that_leads_outside_stops_the_run(tmp_path, name):
    refused(zipped(tmp_path / "a.zip", {"a/1.png": face(), name: face()}), "leads outside")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_backslashes_are_slashes(tmp_path):
    with opened(zipped(tmp_path / "a.zip", {"happy\\1.png": b"x", "./sad//2.png": b"y"})) as archive:
        assert archive.names() == ["happy/1.png", "sad/2.png"]
        assert archive.read("sad/2.png") == b"y"


def test_a_link_stops_the_run(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("happy/1.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    refused(path, "symbolic link")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_stops_the_run(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("happy/1.png", face(1))
        archive.writestr("happy/1.png", face(2))
    refused(path, "twice")


def test_an_encrypted_file_stops_the_run(tmp_path):
    path = zipped(tmp_path / "a.zip", {"happy/1.png": face()})
    data = bytearray(path.read_bytes())
    data[6] |= 1  # flag of the local header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and of the directory
    path.write_bytes(data)
    refused(path, "encrypted")


def test_a_name_that_is_not_utf8_stops_the_run(tmp_path):
    path = zipped(tmp_path / "a.zip", {"happy/XY.png": face()})
    path.write_bytes(path.read_bytes().replace(b"XY", b"\xff\xfe"))
    refused(path, "UTF-8")


def test_names_in_utf8_are_read_with_or_without_the_flag_that_says_so(tmp_path):
    path = zipped(tmp_path / "a.zip", {"happy/fröhlich.png": b"x"})
    with opened(path) as archive:
        assert archive.names() == ["happy/fröhlich.png"]
    data = bytearray(path.read_bytes())
    data[7] &= ~8
    data[data.index(b"PK\x01\x02") + 9] &= ~8
    path.write_bytes(data)
    with opened(path) as archive:
        assert archive.read("happy/fröhlich.png") == b"x"


def declare(path, size):
    """Let the directory promise `size` bytes for the first file."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, size)
    path.write_bytes(data)


def test_an_archive_that_declares_more_than_it_can_hold_stops_the_run(tmp_path):
    path = zipped(tmp_path / "a.zip", {"happy/1.png": face()})
    declare(path, 4_000_000_000)
    refused(path, "4,000,000,000")


def test_a_file_too_long_is_not_read(tmp_path):
    path = zipped(tmp_path / "a.zip", {"happy/1.png": face()})
    declare(path, MAX_FILE_BYTES + 1)
    with opened(path) as archive, pytest.raises(UnreadableError, match="at most"):
        archive.read("happy/1.png")


def test_a_bomb_that_unpacks_to_more_than_it_declares_is_cut_off(tmp_path):
    """In memory too: what it unpacks to is never held whole."""
    path = zipped(tmp_path / "a.zip", {"happy/1.png": b"\0" * 50_000_000}, zipfile.ZIP_DEFLATED)
    declare(path, 100)
    with opened(path) as archive:
        tracemalloc.start()
        with pytest.raises(UnreadableError, match="damaged"):
            archive.read("happy/1.png")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_that_cannot_be_unpacked_within_bounds_is_refused(tmp_path, compression):
    with opened(zipped(tmp_path / "a.zip", {"happy/1.png": face()}, compression)) as archive:
        with pytest.raises(UnreadableError, match="packed by method"):
            archive.read("happy/1.png")
        with pytest.raises(CandidError, match="packed by method"):
            archive.stream("happy/1.png")


def test_a_tar_whose_header_is_a_bomb_is_none(tmp_path):
    """The module reads an extended header whole, before anybody can look at it."""
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 50_000_000}):
        pass
    tracemalloc.start()
    assert not is_tar(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_bit_is_noticed_in_the_file_that_has_it(tmp_path, compression):
    path = zipped(tmp_path / "a.zip", {"happy/1.png": face(1), "happy/2.png": face(2)}, compression)
    data = bytearray(path.read_bytes())
    data[800] ^= 16
    path.write_bytes(data)
    with opened(path) as archive:
        with pytest.raises(UnreadableError, match="damaged"):
            archive.read("happy/1.png")
        assert archive.read("happy/2.png") == face(2)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.999])
def test_an_archive_cut_anywhere_stops_the_run(tmp_path, share):
    path = zipped(tmp_path / "a.zip", {f"happy/{i}.png": face(i) for i in range(9)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(path, "cut short")


@pytest.mark.parametrize("data", [b"", b"text", b"\x1f\x8b\x08" + b"\0" * 50, b"\0" * 10_000])
def test_what_is_no_archive_stops_the_run(tmp_path, data):
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    refused(path, "0 bytes" if not data else "not a zip archive")


def test_a_missing_archive_names_the_stage_that_makes_it(tmp_path):
    refused(tmp_path / "a.zip", "download")


def test_an_unknown_compression_is_a_reason_not_a_crash(tmp_path):
    path = zipped(tmp_path / "a.zip", {"happy/1.png": face()})
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, 8, 77)
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 10, 77)
    path.write_bytes(data)
    with opened(path) as archive, pytest.raises(UnreadableError, match="damaged"):
        archive.read("happy/1.png")
