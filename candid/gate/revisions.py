"""The files of a revision: of a commit, read from git without checking it out, or of the working tree."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from candid.errors import CandidError

EXPERIMENTS = "refs/exps/"
NOT_NAMES = ("refs/exps/exec/", "refs/exps/stash", "refs/exps/apply/", "refs/exps/celery/")


class Tree(Protocol):
    """A revision's files; paths are relative to the project's folder, with forward slashes."""

    @property
    def name(self) -> str:
        """How the revision is called in messages."""

    def read(self, path: str) -> bytes | None:
        """Content of a file; None where there is none."""

    def files(self, folder: str) -> list[str]:
        """Paths of all files below a folder, relative to it, sorted; empty where there is none."""

    def md5(self, path: str) -> str | None:
        """Fingerprint of a file's bytes; None where there is none."""


@dataclass(frozen=True)
class WorkingTree:
    """What stands on the disk, committed or not."""

    root: Path
    name: str = "this tree"
    _known: dict[str, str | None] = field(default_factory=dict, repr=False, compare=False)

    def read(self, path: str) -> bytes | None:
        """Content of a file; None where there is none."""
        file = self.root / path
        return file.read_bytes() if file.is_file() else None

    def files(self, folder: str) -> list[str]:
        """All files below a folder, ignored ones too."""
        top = self.root / folder
        return sorted(file.relative_to(top).as_posix() for file in top.rglob("*") if file.is_file())

    def md5(self, path: str) -> str | None:
        """Fingerprint, taken in pieces and once: some files are large, and several stages read them."""
        if path not in self._known:
            self._known[path] = _md5_of(self.root / path)
        return self._known[path]


@dataclass(frozen=True)
class Commit:
    """What a commit holds."""

    root: Path
    name: str
    sha: str
    _known: dict[str, str | None] = field(default_factory=dict, repr=False, compare=False)

    def read(self, path: str) -> bytes | None:
        """Content of a file; None where the commit has none."""
        blob = self._blobs.get(path)
        return None if blob is None else git(self.root, "cat-file", "blob", blob)

    def files(self, folder: str) -> list[str]:
        """All files of the commit below a folder."""
        prefix = folder.rstrip("/") + "/"
        return sorted(path.removeprefix(prefix) for path in self._blobs if path.startswith(prefix))

    def md5(self, path: str) -> str | None:
        """Fingerprint of a file's bytes; each is read once, since most stages share some files."""
        if path not in self._known:
            content = self.read(path)
            self._known[path] = (
                None if content is None else hashlib.md5(content, usedforsecurity=False).hexdigest()
            )
        return self._known[path]

    @cached_property
    def _blobs(self) -> dict[str, str]:
        """Path -> object, of the ordinary files below the project's folder."""
        listing = git(self.root, "ls-tree", "-r", "-z", self.sha).decode("utf-8", "surrogateescape")
        rows = (row.split("\t", 1) for row in listing.split("\0") if row)
        return {path: about.split()[2] for about, path in rows if about.startswith("100")}


def resolve(root: Path, revision: str) -> Commit:
    """Find a branch, tag, commit, or DVC experiment by its name.

    Raises:
        CandidError: no git repository, nothing of that name, or several experiments of it.
    """
    try:
        git(root, "rev-parse", "--is-inside-work-tree")
    except CandidError:
        raise CandidError(
            f"{root.resolve()}: not in a git repository; expected the project's clone"
        ) from None
    try:
        found = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return Commit(root, revision, found.decode().strip())
    except CandidError:
        pass
    named = [sha for name, sha in experiments(root) if name == revision]
    if len(set(named)) > 1:
        raise CandidError(f"{revision}: {len(named)} experiments have this name; name the commit instead")
    if not named:
        raise CandidError(
            f"{revision}: no branch, tag, commit or experiment of this name here; "
            "if it is on a remote, `git fetch` it"
        )
    return Commit(root, revision, named[0])


def experiments(root: Path) -> list[tuple[str, str]]:
    """Name and commit of each DVC experiment (refs/exps/<2>/<38>/<name>), by name."""
    listing = git(root, "for-each-ref", "--format=%(objectname) %(refname)", EXPERIMENTS).decode()
    rows = (line.split(" ", 1) for line in listing.splitlines())
    found = [(ref.rsplit("/", 1)[1], sha) for sha, ref in rows if not ref.startswith(NOT_NAMES)]
    return sorted(found)


def _md5_of(file: Path) -> str | None:
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def git(root: Path, *arguments: str) -> bytes:
    """Standard output of a git command run in `root`; CandidError with git's last line if it fails."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise CandidError("git: no such command; expected git on the path") from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise CandidError(f"git {arguments[0]}: {lines[-1] if lines else f'status {done.returncode}'}")
    return done.stdout
