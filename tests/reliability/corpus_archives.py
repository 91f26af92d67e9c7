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
from candid.text import clean
from tests.data.made import face, folder, written, zip_of
from tests.data.made import tar_of as tar_of
from tests.reliability.corpus import Case

BOTH = ("download", "ingest")
GOOD = {f"{label}/{i}.png": face(i) for i, label in enumerate(["happy", "sad", "neutral"] * 2)}
CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
NO_ARCHIVE = ("data.path = 'own.zip'", "neither a zip nor a tar archive")


def own(data: bytes, name: str = "own.zip") -> Callable[[Path], object]:
    """Make the user's archive of these bytes."""
    return lambda project: (project / name).write_bytes(data)


def patched(data: bytes, mark: bytes, offset: int, form: str, value: int) -> bytes:
    """Write a number at `offset` from the first `mark`."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.index(mark) + offset, value)
    return bytes(changed)


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
    other = second if second != first else first[:-1] + "~"
    return zip_of({first: face(1), other: face(2)}).replace(other.encode(), second.encode())


def encrypted(data: bytes) -> bytes:
    """The same zip, each entry of which is said to need a password."""
    for mark, flags in ((LOCAL, 2), (CENTRAL, 4)):  # behind the mark
        first, *entries = data.split(mark)
        data = mark.join([first, *(each[:flags] + b"\1\0" + each[flags + 2 :] for each in entries)])
    return data


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def own_folder(
    files: dict[str, bytes], add: Callable[[Path], object] | None = None
) -> Callable[[Path], object]:
    """Make own/ with these files, and add something to it."""

    def make(project: Path) -> None:
        (project / "own").mkdir()
        folder(project / "own", files)
        if add:
            add(project / "own")

    return make


def faces(*sources: str) -> Callable[[Path], object]:
    """Look whether faces.csv has exactly these files, in this order."""

    def look(project: Path) -> None:
        assert read_faces(project / "data/faces.csv")["source"].tolist() == list(sources)

    return look


def raw(name: str, data: Any, *says: str, dataset: str = "folder", file: str = "folder.zip") -> Case:
    """An archive where ingest finds it, or what else is there."""
    make = data if callable(data) else lambda project: written(project / "data/raw" / file, data)
    return Case(f"raw {name}", make, says=says, params={"data": {"dataset": dataset}})


def zips(name: str, data: bytes, *says: str, right: Any = None) -> Case:
    """A zip given by the user, that download copies and ingest reads."""
    return Case(f"zip {name}", own(data), BOTH, says, right, {"data": {"path": "own.zip"}})


def reads(name: str, *files: str) -> Case:
    """A zip of faces with these names."""
    return zips(name, zip_of(dict.fromkeys(files, face())), right=faces(*map(clean, files)))


def tars(name: str, data: bytes, *says: str, right: Any = None, suffix: str = "tar.gz") -> Case:
    """A tar given by the user."""
    path = f"own.{suffix}"
    return Case(f"tar {name}", own(data, path), BOTH, says, right, {"data": {"path": path}})


def paths(name: str, path: str, make: Callable[[Path], object], *says: str, right: Any = None) -> Case:
    """Something else that data.path names."""
    return Case(f"path {name}", make, BOTH, says, right, {"data": {"path": path}})


def folders(name: str, files: dict[str, bytes], *says: str, add: Any = None, right: Any = None) -> Case:
    """A folder of the user's with these files, and what `add` puts into it."""
    return paths(f"to a folder {name}", "own", own_folder(files, add), *says, right=right and faces(*right))


def sample(name: str, files: dict[str, bytes]) -> Case:
    """The archive of the sample, with a fault in its list."""
    said = ("sample.zip", "planted.csv")
    return raw(f"sample {name}", zip_of(files), *said, dataset="sample", file="sample.zip")


def table(name: str, data: bytes, *says: str, file: str = "fer2013.tar.gz") -> Case:
    """An archive that should hold fer2013.csv."""
    return raw(f"fer2013, {name}", data, f"data/raw/{file}", *says, dataset="fer2013_csv", file=file)


ROWS = b"emotion,pixels,Usage\n" + b"".join(
    b"3," + b" ".join(b"%d" % value for value in row) + b",Training\n"
    for row in np.random.default_rng(0).integers(0, 256, (9, 2304))
)
TABLE = tar_of(("fer2013/fer2013.csv", ROWS))
WHOLE = zip_of(GOOD)
SWOLLEN = zip_of({"happy/1.png": b"\0" * 20_000_000}, zipfile.ZIP_DEFLATED)
TAR = tar_of(*GOOD.items())
SORTED = sorted(GOOD)
SAMPLE = {"happy/p001_1.png": face()}

CASES = [
    zips("cut in a picture", WHOLE[:1500], *NO_ARCHIVE),
    zips("cut in its directory", WHOLE[: WHOLE.index(CENTRAL) + 60], *NO_ARCHIVE),
    zips("of 0 bytes", b"", "data.path = 'own.zip'", "0 bytes"),
    zips("that is text", b"this is a zip archive, believe me\n" * 40, *NO_ARCHIVE),
    zips("without files", zip_of({}), "no face is left", "the archive is empty"),
    zips(
        "of folders only", zip_of({"happy/": b"", "sad/": b""}), "class 'happy' has no face", "empty folder"
    ),
    zips("of texts only", zip_of({"happy/1.txt": b"x", "a.md": b"y"}), "no face is left", "not a picture"),
    zips("without class folders", zip_of({"1.png": face(1), "2.png": face(2)}), "1.png", "class"),
    zips("that leads outside", zip_of({**GOOD, "../out.png": face()}), "folder.zip", "leads outside"),
    zips("with an absolute path", zip_of({"/tmp/out.png": face()}), "'/tmp/out.png' leads outside"),
    zips("with a drive", zip_of({"C:/out.png": face()}), "'C:/out.png' leads outside"),
    zips("with backslashes outside", zip_of({"happy\\..\\..\\1.png": face()}), "leads outside"),
    zips("with a symbolic link", link_in_zip(), "happy/1.png", "a symbolic link in the archive"),
    zips("with a password", encrypted(WHOLE), "'happy/0.png' is encrypted"),
    zips("with a name twice", twice("happy/1.png", "happy/1.png"), "'happy/1.png' is in it twice"),
    zips("with a name twice after cleaning", twice("happy/1.png", "happy//1.png"), "is in it twice"),
    zips("with a name in Latin-1", WHOLE.replace(b"happy/0", b"happ\xff/0"), "folder.zip", "not UTF-8"),
    zips("with a zip in it", zip_of({**GOOD, "happy/more.zip": WHOLE}), "happy/more.zip", "no picture"),
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
    reads("with names in many scripts", "happy/пример.png", "happy/例え.png", "sad/\u202egnp.png"),
    reads("with a line break and quotes in a name", 'happy/a\n"b",c.png'),
    reads("with folders a thousand deep", "a/" * 1000 + "happy/1.png"),
    reads("with a name of 60,000 letters", f"happy/{'x' * 60_000}.png"),
    zips("cut behind its pictures' headers", b"".join(WHOLE.partition(END)[1:]), "folder.zip", "zip archive"),
    tars("cut in its first header", TAR[:30], "own.tar.gz"),
    tars("cut in a picture", TAR[: len(TAR) // 2], "own.tar.gz", "not a whole tar archive"),
    tars("cut in its last block", TAR[:-20], "own.tar.gz", "not a whole tar archive"),
    tars("with a flipped bit", TAR[:2000] + bytes([TAR[2000] ^ 1]) + TAR[2001:], "not a whole tar archive"),
    tars("with a wrong checksum of gzip", TAR[:-8] + bytes(4) + TAR[-4:], "not a whole tar archive"),
    tars(
        "with garbage in gzip", gzip.compress(np.random.default_rng(0).bytes(3000)), "own.tar.gz", "neither"
    ),
    tars("with a symbolic link", tar_of(("happy/1.png", (tarfile.SYMTYPE, "/etc/passwd"))), "a link in"),
    tars("with a hard link", tar_of(("happy/1.png", (tarfile.LNKTYPE, "/etc/passwd"))), "a link in"),
    tars(
        "with a hard link to a member",
        tar_of(("happy/1.png", face()), ("sad/2.png", (tarfile.LNKTYPE, "happy/1.png"))),
        right=faces("happy/1.png", "sad/2.png"),
    ),
    tars("with a pipe", tar_of(("happy/1.png", (tarfile.FIFOTYPE, ""))), "a device in the archive"),
    tars("that leads outside", tar_of(("../../out.png", face())), "own.tar.gz", "leads outside"),
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
    tars("with a name twice", tar_of(*2 * [("a/1.png", face())]), "own.tar.gz': 'a/1.png' is in it twice"),
    tars("twice after cleaning", tar_of(("a/1.png", face()), ("./a/1.png", face())), "is in it twice"),
    tars(
        "with a name in Latin-1",
        tar_of(("happy/\udcff.png", face(1)), format=tarfile.GNU_FORMAT),
        right=faces("happy/\\udcff.png"),
    ),
    tars("with a tar in it", tar_of(*GOOD.items(), ("happy/more.tar", TAR)), "happy/more.tar", "no picture"),
    tars("that is a zip", WHOLE, right=faces(*SORTED)),
    zips("that is a tar", TAR, right=faces(*SORTED)),
    paths("to nothing", "own", lambda project: None, "data.path = 'own'", "no such file or folder"),
    folders("empty", {}, "data.path = 'own'", "no picture in it"),
    folders("of hidden files", {".a/1.png": b"", "happy/.1.png": b""}, "no picture in it"),
    folders("of empty files", {"happy/1.png": b""}, "happy/1.png: 0 bytes"),
    paths("to a pipe", "own", lambda project: os.mkfifo(project / "own"), "no such file or folder"),
    paths("to a device", "/dev/zero", lambda project: None, "no such file or folder"),
    paths("with a zero byte", "own\0", lambda project: None, "data.path", "no such file or folder"),
    paths("of no letters", "", own_folder({"happy/1.png": b""}), "params.yaml: data.path = ''"),
    folders("with a pipe in it", GOOD, add=lambda own: os.mkfifo(own / "happy/9.png"), right=SORTED),
    folders("in itself", GOOD, add=lambda own: (own / "happy/again").symlink_to(own), right=SORTED),
    folders(
        "with a name in Latin-1",
        GOOD,
        add=lambda own: (own / os.fsdecode(b"happy/\xff.png")).write_bytes(face()),
        right=[*SORTED[:2], "happy/\\udcff.png", *SORTED[2:]],
    ),
    raw("missing", lambda project: None, "data/raw/folder.zip", "no such file"),
    raw("that is a folder", lambda project: (project / "data/raw/folder.zip").mkdir(parents=True), "folder"),
    raw("cut", WHOLE[:-30], "data/raw/folder.zip", "cut short"),
    raw("of another dataset", WHOLE, "data/raw/ck48.zip", "no such file", dataset="ck48"),
    table("tar cut in its table", half(TABLE), "not a whole tar archive"),
    table("tar with a wrong checksum", TABLE[:-8] + bytes(4) + TABLE[-4:], "not a whole tar archive"),
    table("tar that is text", b"emotion,pixels,Usage\n" * 9, "line 2: Usage 'Usage'"),
    table("tar without a table", tar_of(("fer2013/README", b"x")), "holds neither fer2013.csv nor"),
    table("tar whose table is a link", tar_of(("fer2013.csv", (tarfile.SYMTYPE, "/etc/passwd"))), "a link"),
    table("tar that declares 8 GB", tar_header("a", b"7" * 11 + b"\0"), "declares 8,589,934,591 bytes"),
    table("zip without a table", zip_of({"a.csv": ROWS}), "holds neither", file="fer2013.csv.zip"),
    table("zip cut", half(zip_of({"fer2013.csv": ROWS})), "fer2013.csv.zip", file="fer2013.csv.zip"),
    table("zip with a zip in it", zip_of({"fer2013.zip": WHOLE}), "holds neither", file="fer2013.csv.zip"),
    sample("without its list", SAMPLE),
    sample("whose list is no table", SAMPLE | {"planted.csv": b'a,b,kind\n"' + b"x" * 200_000}),
]
