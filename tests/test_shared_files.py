"""Files, settings, errors and faces: what every stage stands on."""

from __future__ import annotations

import errno
import json

import numpy as np
import pandas as pd
import pytest

from candid import errors, files, settings
from candid.data import faces
from tests.test_cli import python


@pytest.mark.parametrize("text", ["0.00001", "1e-05", "1e-5", "1.0e-05"])
def test_small_numbers_are_numbers_as_dvc_writes_them(tmp_path, text):
    (tmp_path / "params.yaml").write_text(f"rate: {text}\n")
    assert settings.read_yaml(tmp_path / "params.yaml") == {"rate": 1e-5}


def test_a_failed_write_leaves_what_stood_there_and_nothing_else(tmp_path):
    path = tmp_path / "table.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(path, {"a": float("nan")})
    with pytest.raises(RuntimeError), files.writing(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.json"]


def test_tables_come_back_as_they_were(tmp_path):
    table = pd.DataFrame({"id": [0, 1], "name": ["NA", ""], "kept": [True, False]})
    files.write_csv(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_bytes() == b"id,name,kept\n0,NA,true\n1,,false\n"
    back = files.read_csv(tmp_path / "t.csv", ["kept", "id"], {"id": np.int64, "kept": "bool"})
    assert list(back) == ["kept", "id", "name"]
    assert back["kept"].tolist() == [True, False]
    assert back["name"].tolist() == ["NA", ""]
    names = ["a\rb", "c\r\nd,", '"e"\n']
    files.write_csv(tmp_path / "t.csv", table := pd.DataFrame({"id": [0, 1, 2], "name": names}))
    assert files.read_csv(tmp_path / "t.csv", ["id", "name"], {"id": np.int64}).equals(
        table.astype({"name": str})
    )


@pytest.mark.parametrize(
    ("raised", "status", "words"),
    [
        (errors.CandidError("data/x: two\nlines"), 1, "data/x: two lines"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "data/x"), 1, "No space left on device at data/x"),
        (MemoryError(), 1, "out of memory"),
    ],
)
def test_a_fault_ends_in_one_line_that_says_how_to_get_results_back(capsys, raised, status, words):
    def main():
        raise raised

    with pytest.raises(SystemExit) as caught:
        errors.run("ingest", main)
    assert caught.value.code == status
    line = capsys.readouterr().err
    assert line.startswith("candid ingest: ")
    assert line.count("\n") == 1
    assert words in line
    assert "dvc checkout" in line


FULL_DISK = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
import h5py, numpy as np
from candid.files import write_text, writing

def hdf5():
    with writing("kept.h5") as aside, h5py.File(aside, "w") as file:
        file["x"] = np.random.default_rng(0).random(1 << 16)

run("ingest", {"txt": lambda: write_text("kept.txt", "x" * (1 << 18)), "h5": hdf5}[%r])
"""


@pytest.mark.parametrize("kind", ["txt", "h5"])
def test_a_disk_that_fills_up_is_one_line_and_what_stood_there_stays(tmp_path, kind):
    """A limit on the size of files stands in for the full disk: the same calls fail at the same place."""
    (tmp_path / f"kept.{kind}").write_bytes(b"before")
    done = python(FULL_DISK % kind, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("candid ingest: ")
    assert done.stderr.count("\n") == 1
    assert "expected a folder with room" in done.stderr
    assert (tmp_path / f"kept.{kind}").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == [f"kept.{kind}"]


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(OSError, match="Is a directory"):
        errors.run("ingest", lambda: int((_ for _ in ()).throw(OSError(errno.EISDIR, "Is a directory"))))


def test_equal_pixels_have_equal_digests():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    other = image.copy()
    other[3, 3] += 1
    assert faces.digest(image) == faces.digest(image.T.copy().T)
    assert faces.digest(image) != faces.digest(other)


def test_classes_stand_in_one_order():
    assert faces.class_order(pd.Series(["sad", "zzz", "angry", "abc"])) == ["angry", "sad", "abc", "zzz"]
