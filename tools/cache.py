"""Hash every file of DVC's cache again: python -m tools.cache [--remove]

DVC hashes a file when it puts it into its cache and trusts it from then on, as long as it is write-protected
(treeverse/dvc#5978): a bit that has flipped since comes out of `dvc checkout` without a word. This names
such files. With --remove they go, and the copies of them that were checked out, so that `dvc repro` makes
them again.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from stages.errors import CandidError, run
from stages.files import read_json
from stages.settings import read_yaml

LOCK = Path("dvc.lock")


@dataclass(frozen=True)
class Damaged:
    """A file of the cache whose bytes are not those it is named by."""

    file: Path
    wanted: str
    """md5 by which it is called."""
    found: str


def main() -> int:
    """Check, tell, remove; status 1 where something is damaged and was left."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.cache", description=(__doc__ or "").partition("\n")[2]
    )
    parser.add_argument("--remove", action="store_true", help="remove what is damaged, and its copies")
    options = parser.parse_args()
    cache = cache_folder()
    files = cached_files(cache)
    bar = tqdm(files, desc="cache", unit=" files", disable=None, leave=False)
    found = [damage for file in bar if (damage := check(file))]
    outputs = locked_outputs(cache)
    for damage in found:
        names = outputs.get(damage.wanted, [])
        print(f"{damage.file}: damaged" + (f" ({', '.join(names)})" if names else ""))
        if options.remove:
            damage.file.unlink()
            for name in names:
                if Path(name).is_file() and md5(Path(name)) == damage.found:
                    Path(name).unlink()
                    print(f"{name}: a copy of it; removed")
    print(f"{cache}: {len(files):,} files, {len(found):,} damaged")
    if found and options.remove:
        print("removed: `dvc repro` makes them again, or `dvc pull` fetches them")
    elif found:
        print("`python -m tools.cache --remove` removes them, then `dvc repro` makes them again")
    return 1 if found and not options.remove else 0


def cache_folder() -> Path:
    """Where this project's cache lies, which may be shared; CandidError outside a DVC project."""
    done = subprocess.run(["dvc", "cache", "dir"], capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        raise CandidError("`dvc cache dir` tells no folder: expected to be run in the project's folder")
    return Path(done.stdout.strip().splitlines()[-1]) / "files" / "md5"


def cached_files(cache: Path) -> list[Path]:
    """All files of the cache, by name."""
    return sorted(file for file in cache.glob("??/*") if file.is_file())


def check(file: Path) -> Damaged | None:
    """Hold a file to its name: ab/cdef... has the md5 abcdef...; the list of a folder ends in .dir."""
    wanted = file.parent.name + file.name
    found = md5(file)
    return None if wanted.removesuffix(".dir") == found else Damaged(file, wanted, found)


def md5(file: Path) -> str:
    """The hash by which DVC calls a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def locked_outputs(cache: Path) -> dict[str, list[str]]:
    """md5 -> paths of the outputs that dvc.lock names and, for folders, of the files in them."""
    stages = read_yaml(LOCK)["stages"] if LOCK.exists() else {}
    found: dict[str, list[str]] = {}
    for out in (out for stage in stages.values() for out in stage.get("outs", [])):
        found.setdefault(out["md5"], []).append(out["path"])
        if out["md5"].endswith(".dir"):
            listing = cache / out["md5"][:2] / out["md5"][2:]
            if listing.exists() and check(listing) is None:
                for entry in read_json(listing):
                    found.setdefault(entry["md5"], []).append(f"{out['path']}/{entry['relpath']}")
    return found


if __name__ == "__main__":
    run("cache", main, hint="")
