"""Bad archives: what a user may name as data.path, and what may lie in data/raw."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from candid.data.faces import read_faces
from tests.data.made import face
from tests.reliability.corpus import Case

BOTH = ("download", "ingest")
GOOD = {f"{label}/{i}.png": face(i) for i, label in enumerate(["happy", "sad", "neutral"] * 2)}
CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
NO_ARCHIVE = ("data.path = 'own.zip'", "neither a zip nor a tar archive")


def own(data: bytes, name: str = "own.zip") -> Callable[[Path], object]:
    """Make the user's archive of these bytes."""
    return lambda project: (project / name).write_bytes(data)


def zip_of(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def patched(data: bytes, mark: bytes, offset: int, form: str, value: int) -> bytes:
    """Write a number at `offset` from the first `mark`."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.index(mark) + offset, value)
    return bytes(changed)


def tar_of(*members: tuple[Any, ...], mode: str = "w:gz", **options: Any) -> bytes:
    """A tar archive of (name, bytes or (type, link name))."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, **options) as archive:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                info.type, info.linkname = data
                archive.addfile(info)
    return buffer.getvalue()


def tar_header(name: str, size: bytes, kind: bytes = b"0") -> bytes:
    """One header block, as a tar archive written by hand has it; `size` fills a field of 12 bytes."""
    block = bytearray(512)
    block[: len(name)] = name.encode()
    block[100:108] = b"0000644\0"
    block[124:136] = size
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def link_in_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("happy/1.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return buffer.getvalue()


def twice(first: str, second: str) -> bytes:
    """Two members; the second is renamed in the bytes where both have one name."""
    placeholder = second if second != first else first[:-1] + "~"
    return zip_of({first: face(1), placeholder: face(2)}).replace(placeholder.encode(), second.encode())


def encrypted() -> bytes:
    data = zip_of(GOOD)
    return patched(patched(data, LOCAL, 6, "<H", 1), CENTRAL, 8, "<H", 1)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def folder_of(*names: str) -> Callable[[Path], object]:
    """Make own/ with empty files of these names."""

    def make(project: Path) -> None:
        (project / "own").mkdir()
        for name in names:
            (project / "own" / name).parent.mkdir(parents=True, exist_ok=True)
            (project / "own" / name).write_bytes(b"")

    return make


def odd_folder(add: Callable[[Path], object]) -> Callable[[Path], object]:
    """Make own/ with good pictures, and add something to it."""

    def make(project: Path) -> None:
        for name, data in GOOD.items():
            (project / "own" / name).parent.mkdir(parents=True, exist_ok=True)
            (project / "own" / name).write_bytes(data)
        add(project / "own")

    return make


def faces(*sources: str) -> Callable[[Path], object]:
    """Look whether faces.csv has exactly these files, in this order."""

    def look(project: Path) -> None:
        assert read_faces(project / "data/faces.csv")["source"].tolist() == list(sources)

    return look


def raw(name: str, data: bytes) -> Callable[[Path], object]:
    """Put an archive where ingest finds it."""

    def make(project: Path) -> None:
        (project / "data/raw").mkdir(parents=True)
        (project / "data/raw" / name).write_bytes(data)

    return make


def zips(name: str, data: bytes, *says: str, right: Any = None) -> Case:
    """A zip given by the user, that download copies and ingest reads."""
    return Case(f"zip {name}", own(data), BOTH, says, right, {"data": {"path": "own.zip"}})


def tars(name: str, data: bytes, *says: str, right: Any = None, suffix: str = "tar.gz") -> Case:
    """A tar given by the user."""
    path = f"own.{suffix}"
    return Case(f"tar {name}", own(data, path), BOTH, says, right, {"data": {"path": path}})


def paths(name: str, path: str, make: Callable[[Path], object], *says: str, right: Any = None) -> Case:
    """Something else that data.path names."""
    return Case(f"path {name}", make, BOTH, says, right, {"data": {"path": path}})


def table(name: str, data: bytes, *says: str, name_in_raw: str = "fer2013.tar.gz") -> Case:
    """An archive that should hold fer2013.csv."""
    where = f"data/raw/{name_in_raw}"
    settings = {"data": {"dataset": "fer2013_csv"}}
    return Case(f"raw fer2013, {name}", raw(name_in_raw, data), says=(where, *says), params=settings)


ROWS = b"emotion,pixels,Usage\n" + b"".join(
    b"3," + b" ".join(b"%d" % value for value in row) + b",Training\n"
    for row in np.random.default_rng(0).integers(0, 256, (9, 2304))
)
TABLE = tar_of(("fer2013/fer2013.csv", ROWS))
WHOLE = zip_of(GOOD)
SWOLLEN = zip_of({"happy/1.png": b"\0" * 20_000_000}, zipfile.ZIP_DEFLATED)
TAR = tar_of(*GOOD.items())
SORTED = sorted(GOOD)

CASES = [
    zips("cut in its first header", WHOLE[:20], *NO_ARCHIVE),
    zips("cut in a picture", WHOLE[:1500], *NO_ARCHIVE),
    zips("cut in its directory", WHOLE[: WHOLE.index(CENTRAL) + 60], *NO_ARCHIVE),
    zips("cut in its last record", WHOLE[:-10], *NO_ARCHIVE),
    zips("of 0 bytes", b"", "data.path = 'own.zip'", "0 bytes"),
    zips("that is text", b"this is a zip archive, believe me\n" * 40, *NO_ARCHIVE),
    zips("that is a web page", b"<!doctype html><title>404</title>" * 40, *NO_ARCHIVE),
    zips("that is a picture", face(1), *NO_ARCHIVE),
    zips("that is gzip", gzip.compress(b"text" * 1000), *NO_ARCHIVE),
    zips("that is RAR", b"Rar!\x1a\x07\x01\0" + bytes(1000), *NO_ARCHIVE),
    zips("that is 7z", b"7z\xbc\xaf'\x1c\0\x04" + bytes(1000), *NO_ARCHIVE),
    zips("without files", zip_of({}), "no face is left", "the archive is empty"),
    zips("of folders only", zip_of({"happy/": b"", "sad/": b""}), "class 'happy' has no face", "no picture"),
    zips("of texts only", zip_of({"happy/1.txt": b"x", "a.md": b"y"}), "no face is left", "not_a_picture"),
    zips("without class folders", zip_of({"1.png": face(1), "2.png": face(2)}), "1.png", "class"),
    zips("that leads outside", zip_of({**GOOD, "../out.png": face()}), "folder.zip", "leads outside"),
    zips("that leads far outside", zip_of({"happy/../../../x/1.png": face()}), "leads outside"),
    zips("with an absolute path", zip_of({"/tmp/out.png": face()}), "'/tmp/out.png' leads outside"),
    zips("with a drive", zip_of({"C:/out.png": face()}), "'C:/out.png' leads outside"),
    zips("with backslashes outside", zip_of({"happy\\..\\..\\1.png": face()}), "leads outside"),
    zips("with a network path", zip_of({"//host/share/1.png": face()}), "leads outside"),
    zips("with a symbolic link", link_in_zip(), "happy/1.png", "a symbolic link in the archive"),
    zips("with a password", encrypted(), "'happy/0.png' is encrypted"),
    zips("with a name twice", twice("happy/1.png", "happy/1.png"), "'happy/1.png' is in it twice"),
    zips("with a name twice after cleaning", twice("happy/1.png", "happy//1.png"), "is in it twice"),
    zips("with a name in Latin-1", WHOLE.replace(b"happy/0", b"happ\xff/0"), "folder.zip", "not UTF-8"),
    zips("with a zip in it", zip_of({**GOOD, "happy/more.zip": WHOLE}), "happy/more.zip", "no picture"),
    zips("of a zip only", zip_of({"happy/more.zip": WHOLE}), "happy/more.zip", "no picture"),
    zips("that declares 4 GB", patched(WHOLE, CENTRAL, 24, "<I", 4_000_000_000), "declares 4,000"),
    zips(
        "with a file declared of 300 MB", patched(WHOLE, CENTRAL, 24, "<I", 300 << 20), "at most 268,435,456"
    ),
    zips("that unpacks to 20 MB of nothing", SWOLLEN, "happy/1.png", "no picture"),
    zips("with more than it declares", patched(SWOLLEN, CENTRAL, 24, "<I", 100), "happy/1.png", "damaged"),
    zips("with an unknown compression", patched(WHOLE, CENTRAL, 10, "<H", 77), "happy/0.png", "damaged"),
    zips("with a flipped bit", patched(WHOLE, LOCAL, 900, "<B", 77), "happy/0.png", "damaged"),
    zips(
        "with another name in its directory", WHOLE.replace(b"happy/0", b"happy/9", 1), "happy/0", "damaged"
    ),
    zips("whose directory lies elsewhere", patched(WHOLE, END, 16, "<I", 1 << 31), "happy/0.png", "damaged"),
    zips("whose directory is too long", patched(WHOLE, END, 12, "<I", 1 << 30), "folder.zip", "zip archive"),
    zips("in two volumes", patched(WHOLE, END, 4, "<H", 1), right=faces(*SORTED)),
    zips("behind a program", b"#!/bin/sh\nexit 1\n" * 50 + WHOLE, right=faces(*SORTED)),
    zips(
        "with names in many scripts",
        zip_of({"happy/пример.png": face(1), "happy/例え.png": face(2), "sad/\u202egnp.png": face(3)}),
        right=faces("happy/пример.png", "happy/例え.png", "sad/\\u202egnp.png"),
    ),
    zips(
        "with a line break and quotes in a name",
        zip_of({'happy/a\n"b",c.png': face(1)}),
        right=faces('happy/a\\n"b",c.png'),
    ),
    zips(
        "with folders a thousand deep",
        zip_of({"a/" * 1000 + "happy/1.png": face(1)}),
        right=faces("a/" * 1000 + "happy/1.png"),
    ),
    zips(
        "with a name of 60,000 letters",
        zip_of({f"happy/{'x' * 60_000}.png": face(1)}),
        right=faces(f"happy/{'x' * 60_000}.png"),
    ),
    zips("cut behind its pictures' headers", b"".join(WHOLE.partition(END)[1:]), "folder.zip", "zip archive"),
    tars("cut in its first header", TAR[:30], "own.tar.gz"),
    tars("cut in a picture", TAR[: len(TAR) // 2], "own.tar.gz", "not a whole tar archive"),
    tars("cut in its last block", TAR[:-20], "own.tar.gz", "not a whole tar archive"),
    tars("with a flipped bit", TAR[:2000] + bytes([TAR[2000] ^ 1]) + TAR[2001:], "not a whole tar archive"),
    tars("with a wrong checksum of gzip", TAR[:-8] + bytes(4) + TAR[-4:], "not a whole tar archive"),
    tars(
        "with garbage behind gzip",
        gzip.compress(np.random.default_rng(0).bytes(3000)),
        "own.tar.gz",
        "neither",
    ),
    tars("with a symbolic link", tar_of(("happy/1.png", (tarfile.SYMTYPE, "/etc/passwd"))), "a link in"),
    tars("with a hard link", tar_of(("happy/1.png", (tarfile.LNKTYPE, "/etc/passwd"))), "a link in"),
    tars(
        "with a hard link to a member",
        tar_of(("happy/1.png", face()), ("sad/2.png", (tarfile.LNKTYPE, "happy/1.png"))),
        right=faces("happy/1.png", "sad/2.png"),
    ),
    tars("with a pipe", tar_of(("happy/1.png", (tarfile.FIFOTYPE, ""))), "a device in the archive"),
    tars("with a device", tar_of(("happy/1.png", (tarfile.CHRTYPE, ""))), "a device in the archive"),
    tars("that leads outside", tar_of(("../../out.png", face())), "own.tar.gz", "leads outside"),
    tars("with an absolute path", tar_of(("/tmp/out.png", face())), "own.tar.gz", "leads outside"),
    tars("that swells", tar_of(("happy/1.png", bytes(20_000_000))), "happy/1.png", "no picture"),
    tars("that declares 8 GB", tar_header("happy/1.png", b"7" * 11 + b"\0"), "own.tar", suffix="tar"),
    tars("with a negative size", tar_header("happy/1.png", b"\xff" * 11 + b"\0"), "own.tar", suffix="tar"),
    tars(
        "with a negative size in its long header",
        tar_header("x", b"%011o\0" % 11, b"x")
        + b"11 size=-9\n".ljust(512, b"\0")
        + tar_header("a/1", b"0" * 11 + b"\0"),
        "own.tar",
        suffix="tar",
    ),
    tars("of zeros", bytes(10_240), "data.path = 'own.tar'", "no picture in it", suffix="tar"),
    tars(
        "with a wrong checksum", tar_header("a/1", b"0" * 12).replace(b"a/1", b"b/1"), "neither", suffix="tar"
    ),
    tars("cut in xz", half(tar_of(*GOOD.items(), mode="w:xz")), "not a whole tar archive", suffix="tar.xz"),
    tars("cut in bz2", half(tar_of(*GOOD.items(), mode="w:bz2")), "own.tar.bz2", suffix="tar.bz2"),
    tars("of 0 bytes", b"", "data.path = 'own.tar'", "0 bytes", suffix="tar"),
    tars(
        "with a name twice",
        tar_of(*2 * [("happy/1.png", face(1))]),
        "own.tar.gz': 'happy/1.png' is in it twice",
    ),
    tars(
        "with a name in Latin-1",
        tar_of(("happy/\udcff.png", face(1)), format=tarfile.GNU_FORMAT),
        right=faces("happy/\\udcff.png"),
    ),
    tars("with a tar in it", tar_of(*GOOD.items(), ("happy/more.tar", TAR)), "happy/more.tar", "no picture"),
    tars("that is a zip", WHOLE, right=faces(*SORTED)),
    zips("that is a tar", TAR, right=faces(*SORTED)),
    paths("to nothing", "own", lambda project: None, "data.path = 'own'", "no such file or folder"),
    paths("to an empty folder", "own", folder_of(), "data.path = 'own'", "no picture in it"),
    paths("to a folder of hidden files", "own", folder_of(".a/1.png", "happy/.1.png"), "no picture in it"),
    paths("to a folder of empty files", "own", folder_of("happy/1.png"), "happy/1.png: 0 bytes"),
    paths("to a pipe", "own", lambda project: os.mkfifo(project / "own"), "no such file or folder"),
    paths("to a device", "/dev/zero", lambda project: None, "no such file or folder"),
    paths("with a zero byte", "own\0", lambda project: None, "data.path", "no such file or folder"),
    paths("of no letters", "", folder_of("happy/1.png"), "params.yaml: data.path = ''"),
    paths(
        "to a folder with a pipe in it",
        "own",
        odd_folder(lambda folder: os.mkfifo(folder / "happy/9.png")),
        right=faces(*SORTED),
    ),
    paths(
        "to a folder that links to itself",
        "own",
        odd_folder(lambda folder: (folder / "happy/again").symlink_to(folder)),
        right=faces(*SORTED),
    ),
    paths(
        "to a folder with a name in Latin-1",
        "own",
        odd_folder(lambda folder: (folder / os.fsdecode(b"happy/\xff.png")).write_bytes(face())),
        right=faces(*SORTED[:2], "happy/\\udcff.png", *SORTED[2:]),
    ),
    Case("raw missing", lambda project: None, says=("data/raw/folder.zip", "no such file")),
    Case(
        "raw is a folder",
        lambda project: (project / "data/raw/folder.zip").mkdir(parents=True),
        says=("folder.zip",),
    ),
    Case("raw cut", raw("folder.zip", WHOLE[:-30]), says=("data/raw/folder.zip", "cut short")),
    Case("raw of 0 bytes", raw("folder.zip", b""), says=("data/raw/folder.zip", "0 bytes")),
    Case(
        "raw of another dataset",
        raw("folder.zip", WHOLE),
        says=("data/raw/ck48.zip", "no such file"),
        params={"data": {"dataset": "ck48"}},
    ),
    table("tar cut in its table", half(TABLE), "not a whole tar archive"),
    table("tar with a wrong checksum", TABLE[:-8] + bytes(4) + TABLE[-4:], "not a whole tar archive"),
    table("tar of 0 bytes", b"", "0 bytes"),
    table("tar that is text", b"emotion,pixels,Usage\n" * 9, "neither a zip nor a tar archive"),
    table("tar without a table", tar_of(("fer2013/README", b"x")), "holds neither fer2013.csv nor"),
    table("tar whose table is a link", tar_of(("fer2013.csv", (tarfile.SYMTYPE, "/etc/passwd"))), "a link"),
    table("tar that declares 8 GB", tar_header("a", b"7" * 11 + b"\0"), "declares 8,589,934,591 bytes"),
    table("zip without a table", zip_of({"a.csv": ROWS}), "holds neither", name_in_raw="fer2013.csv.zip"),
    table("zip cut", half(zip_of({"fer2013.csv": ROWS})), "fer2013.csv.zip", name_in_raw="fer2013.csv.zip"),
    table(
        "zip with a zip in it", zip_of({"fer2013.zip": WHOLE}), "holds neither", name_in_raw="fer2013.csv.zip"
    ),
    Case(
        "raw sample without its list",
        raw("sample.zip", zip_of({"happy/p001_1.png": face()})),
        says=("sample.zip", "planted.csv"),
        params={"data": {"dataset": "sample"}},
    ),
    Case(
        "raw sample whose list is no table",
        raw(
            "sample.zip", zip_of({"happy/p001_1.png": face(), "planted.csv": b'a,b,kind\n"' + b"x" * 200_000})
        ),
        says=("sample.zip", "planted.csv"),
        params={"data": {"dataset": "sample"}},
    ),
]
