"""Files, settings, errors and faces: what every stage stands on."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from pydantic import Field

from candid import errors, files, settings
from candid.data import faces

ROOT = Path(__file__).resolve().parent.parent


class Example(settings.Section):
    rate: float = Field(gt=0, le=1)
    count: int = Field(ge=1)
    scheme: Literal["none", "balanced"] = "none"


def params(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", ["0.00001", "1e-05", "1e-5", "1.0e-05"])
def test_small_numbers_are_numbers_as_dvc_writes_them(tmp_path, text):
    path = params(tmp_path, f"example: {{rate: {text}, count: 2}}\n")
    assert settings.read_section("example", Example, path).rate == 1e-5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{rate: 0.1, count: ten}", ["example.count", "'ten'", "integer"]),
        ("{rate: 0.1, count: 1.5}", ["example.count", "1.5"]),
        ("{rate: 0.1, count: true}", ["example.count", "True"]),
        ("{rate: .nan, count: 1}", ["example.rate", "nan", "finite"]),
        ("{rate: 7, count: 1}", ["example.rate", "7", "less than or equal to 1"]),
        ("{rate: 0.1, count: 1, scheme: other}", ["example.scheme", "'other'", "'none' or 'balanced'"]),
        ("{rate: 0.1, count: 1, cuont: 3}", ["unknown key example.cuont", "rate, count, scheme"]),
        ("{rate: 0.1}", ["example.count", "missing"]),
        ("[1, 2]", ["example"]),
    ],
)
def test_a_wrong_setting_is_named_with_value_and_what_is_allowed(tmp_path, text, words):
    path = params(tmp_path, f"example: {text}\n")
    with pytest.raises(errors.CandidError) as caught:
        settings.read_section("example", Example, path)
    message = str(caught.value)
    assert "\n" not in message
    for word in [str(path), *words]:
        assert word in message


@pytest.mark.parametrize(
    "text", ["a: [1", "!!python/object/apply:os.system ['true']", "a: 1\na: 2\n", "\x00"]
)
def test_what_is_not_plain_yaml_is_refused(tmp_path, text):
    with pytest.raises(errors.CandidError, match="not YAML"):
        settings.read_yaml(params(tmp_path, text))


def test_a_missing_section_is_named(tmp_path):
    with pytest.raises(errors.CandidError, match=r"no section 'archs\.other'"):
        settings.read_section("archs.other", Example, params(tmp_path, "archs: {one: {}}\n"))


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
    ("content", "words"),
    [
        ("", "not a CSV table"),
        ("id\n1\n", "no column 'kept'"),
        ("id,kept\nx,true\n", "column 'id'"),
        ("id,kept\n1,yes\n", "'yes' is not true or false"),
        ("id,kept\n1,true,3,4\n2,true\n1,2,3,4,5,6,7\n", "not a CSV table"),
    ],
)
def test_a_wrong_table_is_named(tmp_path, content, words):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(errors.CandidError, match=words) as caught:
        files.read_csv(path, ["id", "kept"], {"id": np.int64, "kept": "bool"})
    assert str(path) in str(caught.value)


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
from candid.errors import run
from candid.files import write_text, writing

def hdf5():
    with writing("kept.h5") as aside, h5py.File(aside, "w") as file:
        file["x"] = np.random.default_rng(0).random(1 << 16)

writers = {
    "txt": lambda: write_text("kept.txt", "x" * (1 << 18)),
    "h5": hdf5,
}
run("ingest", writers[%r])
"""


@pytest.mark.parametrize("kind", ["txt", "h5"])
def test_a_disk_that_fills_up_is_one_line_and_what_stood_there_stays(tmp_path, kind):
    """A limit on the size of files stands in for the full disk: the same calls fail at the same place."""
    (tmp_path / f"kept.{kind}").write_bytes(b"before")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK % kind],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("candid ingest: ")
    assert done.stderr.count("\n") == 1
    assert "expected a folder with room" in done.stderr
    assert (tmp_path / f"kept.{kind}").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == [f"kept.{kind}"]


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(OSError, match="Is a directory"):
        errors.run("ingest", lambda: int((_ for _ in ()).throw(OSError(errno.EISDIR, "Is a directory"))))


@pytest.mark.parametrize(
    "array", [np.zeros((2, 4, 4)), np.zeros((2, 4), np.uint8), np.zeros((2, 4, 4, 4), np.uint8)]
)
def test_only_an_array_of_faces_is_one(tmp_path, array):
    np.save(tmp_path / "faces.npy", array)
    with pytest.raises(errors.CandidError, match="expected uint8"):
        faces.load_images(tmp_path / "faces.npy")


def test_a_pickle_is_never_loaded(tmp_path):
    np.save(tmp_path / "faces.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(errors.CandidError, match="not an array of faces"):
        faces.load_images(tmp_path / "faces.npy")


def test_equal_pixels_have_equal_digests():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    other = image.copy()
    other[3, 3] += 1
    assert faces.digest(image) == faces.digest(image.T.copy().T)
    assert faces.digest(image) != faces.digest(other)


def test_classes_stand_in_one_order():
    assert faces.class_order(pd.Series(["sad", "zzz", "angry", "abc"])) == ["angry", "sad", "abc", "zzz"]
