"""The files of an image set, whether it is a folder, a zip or a tar. Nothing is unpacked to disk."""

from __future__ import annotations

import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Generic, TypeVar

from tqdm import tqdm

from candid.errors import CandidError, is_disk_fault
from candid.files import stamped_entry, writing
from candid.text import clean

EXPECTED = "expected a folder, zip or tar of pictures"
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, OverflowError, RuntimeError, OSError),
)
"""What zipfile and tarfile raise over archives that are cut, garbled, encrypted or packed in an unknown way
(which is a RuntimeError); OSError over a disk that fails, too: see errors.is_disk_fault."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile unpacks others without a bound

MAX_FILE_BYTES = 256 << 20  # no picture of images.MAX_PIXELS is larger as a file
MAX_EXPANSION, FREE_BYTES = 100, 1 << 30
"""Pictures hardly compress; text does ten times. What unpacks to more times its size is a bomb, unless that
is little anyway."""

MAX_HEADER_BYTES = 1 << 20  # of an extended header of a tar: a name and a few numbers
CLUTTER = frozenset(
    [
        *("__macosx", "icon\\r", "temporary items", "network trash folder"),  # macOS; text.clean writes \\r
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "picasa.ini", "found.000"),
        *("$recycle.bin", "recycler", "system volume information"),
        *("@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "lost+found"),
    ]
)
"""What operating systems, network drives and picture managers leave behind, in lower case. Hidden files count
as clutter as well."""

NOT_PICTURES = re.compile(
    r"\.(txt|md|rst|csv|tsv|jsonl?|xml|ya?ml|html?|pdf|docx?|xlsx?|py|ipynb|ini|cfg|log|db|mat|np[yz]|pkl|pts|bib"
    r"|xmp|aae|pp3|dop|thm|url|lnk|torrent|md5|sha\d+)$|(^|/)(licen[cs]e|copying|notice|readme|changelog)$",
    re.IGNORECASE,
)
RAW_PHOTOGRAPHS = re.compile(
    r"\.(dng|cr[23w]|nef|nrw|arw|sr[2fw]|orf|rw2|raf|pef|x3f|3fr|iiq|erf|mrw|kdc|dcr|rwl)$", re.IGNORECASE
)
VIDEOS = re.compile(r"\.(mp4|m4v|mov|mkv|webm|avi|mpe?g|mts|m2ts|vob|og[vm]|wmv|flv|3gp|3g2)$", re.IGNORECASE)


MemberT = TypeVar("MemberT")


class UnreadableError(ValueError):
    """Why a file gives no picture, in a few words that are the same on every machine."""


def is_clutter(name: str) -> bool:
    """Is the file hidden, or left behind by an operating system, or in a folder that is?"""
    return any(part.startswith(".") or part.lower() in CLUTTER for part in name.split("/"))


def skip_reason(name: str) -> str:
    """Say by its name why a file is passed over without being read; "" where it may be a picture."""
    if is_clutter(name) or NOT_PICTURES.search(name):
        return "not_a_picture"
    if RAW_PHOTOGRAPHS.search(name):
        return "raw_photograph"
    return "video" if VIDEOS.search(name) else ""


class Files(ABC):
    """Files by name: paths inside the set with forward slashes, on one line (text.clean).

    Attributes:
        names: all files, sorted; without clutter.
        clutter: names of hidden files and of what systems leave behind, sorted.
        empty_folders: names of folders that hold no file but clutter, sorted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names: list[str] = []
        self.clutter: list[str] = []
        self.empty_folders: list[str] = []

    def _sort(self, names: Iterable[str], folders: Iterable[str]) -> None:
        every = sorted(names)
        self.clutter = [name for name in every if is_clutter(name)]
        self.names = sorted({*every}.difference(self.clutter))
        filled = {folder for name in self.names for folder in _folders(name)}
        others = {*folders, *(folder for name in self.clutter for folder in _folders(name))} - filled
        self.empty_folders = sorted(folder for folder in others if not is_clutter(folder))

    @abstractmethod
    def size(self, name: str) -> int:
        """Bytes of a file as declared; UnreadableError where it is no plain file."""

    @abstractmethod
    def _open(self, name: str) -> IO[bytes]:
        """Open a plain file; raises an error of DAMAGED."""

    def in_quickest_order(self, names: Iterable[str]) -> list[str]:
        """Order the names so that nothing is unpacked twice."""
        return list(names)

    def location(self, name: str) -> Path | None:
        """Where a file of a folder is on disk; None in an archive."""
        del name
        return None

    def stamp(self, name: str) -> str:
        """What changes with a file and is known without reading it; "" where nothing is."""
        with suppress(OSError):
            if path := self.location(name):
                return f"{path.stat().st_size} {path.stat().st_mtime_ns}"
        return ""

    def address(self, name: str) -> str | None:
        """What opens a file on any machine with the same disks; None in an archive."""
        place = self.location(name)
        return str(place.absolute()) if place else None

    def read(self, name: str) -> bytes:
        """Read a file; UnreadableError where it is damaged, empty, too long or no plain file."""
        size = self.size(name)
        if not 0 < size <= MAX_FILE_BYTES:
            limit = f"; at most {MAX_FILE_BYTES:,} are read" if size else ""
            raise UnreadableError(f"{size:,} bytes{limit}")
        try:
            with self._open(name) as file:
                data = file.read(size + 1)  # one more, so that the end is seen and the checksum held
        except UnreadableError:
            raise
        except DAMAGED as error:
            raise UnreadableError(f"damaged in the archive: {_reason(error)}") from None
        if len(data) != size:
            raise UnreadableError(f"damaged in the archive: it ends after {len(data):,} of {size:,} bytes")
        return data

    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | UnreadableError]]:
        """Read several files, in the order that is quickest: the bytes of each, or why there are none."""
        for name in self.in_quickest_order(names):
            try:
                yield name, self.read(name)
            except UnreadableError as error:
                yield name, error

    @contextmanager
    def stream(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file for reading from its beginning; CandidError where it can't be, or is damaged."""
        try:
            self.size(name)
            with self._open(name) as file:
                yield file
        except UnreadableError as error:
            raise CandidError(f"{self.path}: {name!r}: {error}") from None
        except DAMAGED as error:
            what = f"the archive is cut short or damaged: {_reason(error)}"
            raise CandidError(f"{self.path}: {name}: {what}") from None

    def read_text(self, name: str) -> str:
        """Read a file as UTF-8 text, with or without a byte-order mark; CandidError where it is none."""
        try:
            return self.read(name).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise CandidError(f"{self.path}: {name}: not UTF-8 text") from None
        except UnreadableError as error:
            raise CandidError(f"{self.path}: {name}: {error}") from None


@contextmanager
def open_files(path: Path, leave_out: Path | None = None) -> Iterator[Files]:
    """Open an image set: a folder, a zip, or a tar (plain or compressed); `leave_out`: a folder to pass over.

    CandidError: no such path; none of the three; or an archive that is damaged or holds what no set needs:
    paths that are absolute or lead outside, encrypted files, a name twice, names that are not UTF-8, more
    data declared than an archive of its size can hold.
    """
    if path.is_dir():
        yield _Folder(path, leave_out)
        return
    if not path.is_file():  # a pipe would keep us waiting, a device go on for ever
        raise CandidError(f"{path}: no such file or folder; {EXPECTED}")
    if path.stat().st_size == 0:
        raise CandidError(f"{path}: 0 bytes; {EXPECTED}")
    kind = _Zip if zipfile.is_zipfile(path) else _Tar if is_tar(path) else None
    if kind is None:
        raise CandidError(f"{path}: neither a zip nor a tar archive, or cut short; {EXPECTED}")
    with ExitStack() as stack:
        try:
            files = kind(path, stack)
        except UnicodeDecodeError:
            raise CandidError(f"{path}: a file's name in it is not UTF-8; {EXPECTED}") from None
        except DAMAGED as error:
            raise CandidError(f"{path}: not a whole {kind.KIND} archive: {_reason(error)}") from None
        yield files


def pack(source: Path, target: Path) -> int:
    """Make one zip of a folder or a tar: stored, fixed dates, so that equal files give equal bytes.

    Without clutter, but with folders without a file, since an empty class is to be noticed. Returns the
    number of files; nothing is written where that is 0.
    """
    with open_files(source) as files:
        if not files.names:
            return 0
        with writing(target) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
            names = files.in_quickest_order(files.names)
            for name in tqdm(names, desc=f"packing {source}", unit=" files", disable=None, leave=False):
                with (
                    files.stream(name) as file,
                    archive.open(stamped_entry(name, files.size(name)), "w") as into,
                ):
                    shutil.copyfileobj(file, into, 1 << 20)
            for folder in files.empty_folders:
                archive.writestr(stamped_entry(f"{folder}/"), b"")
        return len(files.names)


class _Folder(Files):
    """Links are followed, since sets are often made of them, but not back to a folder that holds the link."""

    def __init__(self, path: Path, leave_out: Path | None) -> None:
        super().__init__(path)
        self._paths: dict[str, Path] = {}
        folders: list[str] = []
        self._walk(path, (), os.path.realpath(leave_out) if leave_out else "", folders)
        self._sort(self._paths, folders)

    def _walk(self, folder: Path, above: tuple[str, ...], left_out: str, folders: list[str]) -> None:
        real = os.path.realpath(folder)
        if real in above or real == left_out:
            return
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            raise CandidError(f"{folder}: {error.strerror}; expected a folder that can be read") from None
        for entry in entries:
            name = one_line(entry.relative_to(self.path).as_posix())
            if entry.is_dir():
                if not is_clutter(name):
                    folders.append(name)
                    self._walk(entry, (*above, real), left_out, folders)
            elif entry.is_file():
                self._paths[name] = entry

    def location(self, name: str) -> Path | None:
        return self._paths[name]

    def size(self, name: str) -> int:
        try:
            return self._paths[name].stat().st_size
        except OSError as error:
            raise UnreadableError(error.strerror or type(error).__name__) from None

    def _open(self, name: str) -> IO[bytes]:
        try:
            return self._paths[name].open("rb")
        except (PermissionError, FileNotFoundError) as error:
            raise UnreadableError(error.strerror or type(error).__name__) from None


class _Archive(Files, Generic[MemberT]):
    def _list(self, members: Iterable[tuple[str, bool, int, MemberT]]) -> None:
        """Take the members, each with its name, whether it is a folder, and the bytes that it declares."""
        self._members: dict[str, MemberT] = {}
        folders: list[str] = []
        declared, room = 0, max(MAX_EXPANSION * self.path.stat().st_size, FREE_BYTES)
        for published, is_folder, size, member in members:
            name = safe_name(self.path, published)
            if size < 0:  # it would lead tarfile back, and round for ever
                raise tarfile.ReadError(f"{published!r} has a size of {size} bytes")
            if (declared := declared + size) > room:
                what = f"declares {declared:,} bytes of files, which it can't hold"
                raise CandidError(f"{self.path}: {what}; {EXPECTED}")
            if is_folder:
                folders += _folders(f"{name}/")
            elif name in self._members:
                raise CandidError(f"{self.path}: {name!r} is in it twice; expected each name once")
            else:
                self._members[name] = member
        self._sort(self._members, folders)


class _Zip(_Archive[zipfile.ZipInfo]):
    KIND = "zip"

    def __init__(self, path: Path, stack: ExitStack) -> None:
        super().__init__(path)
        self._zip = stack.enter_context(zipfile.ZipFile(path, metadata_encoding="utf-8"))
        infos = self._zip.infolist()
        self._list((info.filename, info.is_dir(), info.file_size, info) for info in infos)
        if locked := [info.filename for info in infos if info.flag_bits & 1]:
            raise CandidError(f"{path}: {locked[0]!r} is encrypted; expected files that need no password")

    def size(self, name: str) -> int:
        info = self._members[name]
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UnreadableError("a symbolic link in the archive")
        return info.file_size

    def stamp(self, name: str) -> str:
        return f"{self._members[name].file_size} {self._members[name].CRC}"

    def _open(self, name: str) -> IO[bytes]:
        info = self._members[name]
        if info.compress_type not in METHODS:
            packed = f"packed by method {info.compress_type}; expected stored or deflated"
            raise zipfile.BadZipFile(f"{info.filename!r} is {packed}")
        return self._zip.open(info)


class _Tar(_Archive[tarfile.TarInfo]):
    """A hard link is read where its target is in the archive, too: tar stores a linked file once."""

    KIND = "tar"

    def __init__(self, path: Path, stack: ExitStack) -> None:
        super().__init__(path)
        self._tar = stack.enter_context(open_tar(path))
        self._list((member.name, member.isdir(), member.size, member) for member in self._tar)
        _read_to_end(self._tar)
        self._targets: dict[str, tarfile.TarInfo] = {}
        for name, member in self._members.items():  # a hard link stands behind its target
            target = self._targets.get(one_line(os.path.normpath(member.linkname)))
            self._targets[name] = target if member.islnk() and target else member

    def size(self, name: str) -> int:
        if not self._targets[name].isreg():
            kind = "link" if self._members[name].issym() or self._members[name].islnk() else "device"
            raise UnreadableError(f"a {kind} in the archive; expected files (tar -h follows links)")
        return self._targets[name].size

    def _open(self, name: str) -> IO[bytes]:
        file = self._tar.extractfile(self._targets[name])
        assert file is not None  # as `size` has seen
        return file

    def in_quickest_order(self, names: Iterable[str]) -> list[str]:
        """In the order of the archive: going back means to unpack it from the start."""
        return sorted(names, key=lambda name: self._targets[name].offset)


class _PlainInfo(tarfile.TarInfo):
    """A header; tarfile reads extended ones whole, however long they say they are."""

    EXTENDED = (
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    )

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """Read what follows the header: the method that tarfile names for subclasses."""
        if self.type in self.EXTENDED and self.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"an extended header of {self.size:,} bytes")
        member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return member


def open_tar(path: Path) -> tarfile.TarFile:
    """Open a tar archive (plain, gz, bz2, xz). Raises an error of DAMAGED."""
    return tarfile.open(path, tarinfo=_PlainInfo)


def is_tar(path: Path) -> bool:
    """Recognise a tar archive (plain, gz, bz2, xz) by its first header; one that is cut within it is none."""
    try:
        open_tar(path).close()
        return True
    except DAMAGED as error:
        if is_disk_fault(error):
            raise
        return False


def safe_name(path: Path, name: str) -> str:
    """Return the name with forward slashes, on one line; CandidError where it leads out of the archive."""
    if "/" not in name and "\\" in name[1:]:  # packed on Windows; elsewhere it begins an escape of text.clean
        name = name.replace("\\", "/")
    parts = name.split("/")
    steps = name.replace("\\", "/").split("/")
    if parts[0] == "" or ".." in steps or (len(steps[0]) == 2 and steps[0][1] == ":"):
        raise CandidError(f"{path}: {clean(name)[:80]!r} leads outside the archive; expected relative paths")
    return one_line("/".join(part for part in parts if part not in ("", ".")))


def one_line(name: str) -> str:
    """Return a file's name as tables and messages hold it: text.clean, which is slow over 100,000 names."""
    return name if name.isprintable() else clean(name)


def _folders(name: str) -> list[str]:
    """All folders that a file is in: a/b/c.png is in a and a/b."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1) if parts[end - 1]]


def _read_to_end(archive: tarfile.TarFile) -> None:
    """Read what follows the last member: gzip and xz check what they unpacked at their end only."""
    assert archive.fileobj is not None
    room = FREE_BYTES
    while data := archive.fileobj.read(1 << 20):
        room -= len(data)
        if room < 0:
            raise tarfile.ReadError("too much follows its last file")


def _reason(error: BaseException) -> str:
    """Say what is wrong with an archive; a fault of the disk is raised again."""
    if is_disk_fault(error):
        raise error
    return " ".join(str(error).split())[:120] or type(error).__name__
