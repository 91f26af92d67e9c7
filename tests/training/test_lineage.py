"""A net that starts from another is held to the faces that the other has met."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from candid.errors import CandidError
from candid.evaluation.predictions import find_leaks, seen_before
from candid.training.lineage import ABOUT, EARLIER, OWN, before, digests, lineage, met

FACES = np.random.default_rng(0).integers(0, 256, (12, 4, 4), dtype=np.uint8)
TOLD = {"image_size": 4, "color": "grey"}


def write(path: Path, about: dict[str, Any], entries: dict[str, bytes]) -> Path:
    """Stands for a .keras file."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(ABOUT, json.dumps(about))
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def model(path: Path, rows: slice, start: Path | None = None, about: dict[str, Any] = TOLD) -> Path:
    return write(path, *lineage(about, FACES[rows], start))


def same(found: NDArray[np.uint64] | None, rows: slice) -> bool:
    return found is not None and np.array_equal(found, np.unique(digests(FACES[rows])))


def test_what_a_model_met_goes_on_from_file_to_file(tmp_path: Path) -> None:
    first = model(tmp_path / "first.keras", slice(0, 4))
    assert same(met(first), slice(0, 4))
    assert not len(before(first))
    second = model(tmp_path / "second.keras", slice(3, 6), first)
    third = model(tmp_path / "third.keras", slice(8, 9), second)
    assert same(before(second), slice(0, 4))
    assert same(before(third), slice(0, 6))
    about = lineage(TOLD, FACES[:1], second)[0]["started_from"]
    assert (about["file"], about["faces"], len(about["md5"])) == ("second.keras", "known", 32)


def test_an_older_file_and_faces_of_another_size_are_unknown_and_said_so(tmp_path: Path) -> None:
    older = write(tmp_path / "older.keras", TOLD, {})
    about, entries = lineage(TOLD, FACES, older)
    assert about["started_from"]["faces"] == "unknown"
    assert EARLIER not in entries
    larger = model(tmp_path / "larger.keras", slice(0, 4), about={**TOLD, "image_size": 96})
    assert lineage(TOLD, FACES, larger)[0]["started_from"]["faces"] == "unknown"


def test_a_square_of_grey_with_and_without_a_channel_is_one_face() -> None:
    np.testing.assert_array_equal(digests(FACES), digests(FACES[..., None]))


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_a_damaged_entry_ends_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "bad.keras", TOLD, {OWN: content, EARLIER: content})
    for read in (met, before):
        with pytest.raises(CandidError, match=r"bad\.keras: candid-(faces|earlier)\.npy is no"):
            read(path)


def table(**columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_test_faces_that_an_earlier_training_met_are_leaks(tmp_path: Path) -> None:
    """Ids 0 and 1 train, 2 to 5 test; the earlier model had 3, 6 (a copy of 4, removed), and 0."""
    splits = table(
        id=[0, 1, 2, 3, 4, 5],
        part=["train", "train", "test", "test", "test", "test"],
        group=[0, 1, 2, 3, 4, 3],
    )
    kept = table(id=list(range(7)), group=[-1, -1, -1, -1, 9, -1, 9])
    start = write(tmp_path / "start.keras", *lineage(TOLD, FACES[[3, 6, 0]], None))
    path = model(tmp_path / "model.keras", slice(0, 2), start)
    earlier = seen_before(str(path), FACES)
    assert earlier.tolist() == [0, 3, 6]
    leaks = find_leaks(splits, kept, earlier)
    assert leaks.copied.tolist() == [False, True, True, False]
    assert leaks.leaked.tolist() == [False, True, True, True], "5 is of the subject of 3"
    assert not find_leaks(splits, kept).leaked.any()


def test_a_relative_in_validation_is_told_apart_from_a_leak() -> None:
    splits = table(id=[0, 1, 2, 3], part=["train", "validation", "test", "test"], group=[5, 6, 6, 5])
    leaks = find_leaks(splits, table(id=[0, 1, 2, 3], group=[-1] * 4))
    assert leaks.leaked.tolist() == [False, True]
    assert leaks.validated.tolist() == [True, False]
