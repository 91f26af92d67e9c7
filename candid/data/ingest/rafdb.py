"""Reader: RAF-DB's single-label subset, aligned.zip with list_patition_label.txt (so spelt)."""

from __future__ import annotations

from pathlib import Path

from candid.data.catalogue import Dataset
from candid.data.ingest.archives import is_not_picture, opened
from candid.data.ingest.folders import read_one
from candid.data.ingest.records import Items, Rejected, Skipped, Wanted, to_label
from candid.errors import CandidError


def read_rafdb(name: str, entry: Dataset, paths: list[Path], wanted: Wanted) -> Items:
    """Read the aligned pictures with the labels of the list, whose lines are like `train_00001.jpg 5`.

    The picture of that line is train_00001_aligned.jpg, in any folder of the archive; its name begins with
    the official part. Persons are not named.
    """
    listing, pictures = paths
    labels = _read_list(listing, entry)
    with opened(pictures) as archive:
        for file in archive.names():
            if is_not_picture(file):
                yield Skipped(file, "not_a_picture")
                continue
            stem, dot, suffix = file.rpartition("/")[2].rpartition(".")
            label = labels.pop(stem.removesuffix("_aligned") + dot + suffix, None)
            if label is None:
                yield Rejected(file, f"no label in {listing.name}, or a second picture of the same line")
            else:
                yield read_one(name, entry, archive, file, label, wanted)
    for missing in sorted(labels):
        yield Rejected(missing, f"in {listing.name}, but not in {pictures.name}")


def _read_list(path: Path, entry: Dataset) -> dict[str, str]:
    labels: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise CandidError(f"{path}: no such file; expected the output of download") from None
    except UnicodeDecodeError:
        raise CandidError(f"{path}: not UTF-8 text; expected lines like 'train_00001.jpg 5'") from None
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or words[0] in labels:
            fault = "names a picture twice" if len(words) == 2 else f"is {line[:60]!r}"
            raise CandidError(f"{path}, line {number}: {fault}; expected lines like 'train_00001.jpg 5'")
        labels[words[0]] = to_label(words[1], entry, f"{path}, line {number}")
    if not labels:
        raise CandidError(f"{path}: empty; expected lines like 'train_00001.jpg 5'")
    return labels
