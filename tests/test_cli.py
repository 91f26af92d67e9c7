"""The command line as a whole: help, one-line errors, and what becomes of output that can't be written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from candid.cli import COMMANDS
from tests.conftest import python as run_python


def python(code: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return run_python(f"from candid.errors import CandidError, run\n{code}", folder, **options)


def test_the_help_names_every_command_and_fits_100_columns(candid, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    for arguments, expected in ((["--help"], 0), ([], 2), (["--version"], 0)):
        status, out, _ = candid(*arguments)
        assert status == expected
        assert max(map(len, out.splitlines())) <= 100
        assert out.startswith("candid ") or all(f"    {name} " in out.replace("\n", " ") for name in COMMANDS)
    for argument in ("nothing", "--nothing", "aud"):
        status, _, err = candid(argument)
        assert (status, err.count("\n")) == (2, 1)
        assert err.startswith("candid: ")


def test_text_that_the_terminal_cannot_encode_is_replaced(tmp_path):
    code = "run('x', lambda: print('\\u22120.5 \\u2013 \\u2705 \\ud800 \\u00e9') or 3)"
    for encoding, shown in (("ascii", "-0.5 - ? ? ?\n"), ("latin-1", "-0.5 - ? ? é\n")):
        done = python(code, tmp_path, env={"PYTHONIOENCODING": encoding}, encoding=encoding)
        assert (done.returncode, done.stdout, done.stderr) == (3, shown, "")
    assert python(code, tmp_path, env={"PYTHONUTF8": "1"}).stdout == "\N{MINUS SIGN}0.5 – ✅ ? é\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_changes_nothing_and_a_full_disk_is_one_line(tmp_path, unbuffered):
    code = "run('x', lambda: [print('y' * 99) for _ in range(9999)] and open('done', 'w').close() or 3)"
    reader, writer = os.pipe()
    os.close(reader)
    left = python(code, tmp_path, stdout=writer, env={"PYTHONUNBUFFERED": unbuffered})
    os.close(writer)
    assert (left.returncode, left.stderr) == (3, "")
    assert (tmp_path / "done").exists(), "the work is done all the same"
    with Path("/dev/full").open("w") as full:
        done = python(code, tmp_path, stdout=full, env={"PYTHONUNBUFFERED": unbuffered})
        assert done.returncode == 1
        assert done.stderr.startswith("candid x: No space left on device: expected a folder with room")
        assert done.stderr.count("\n") == 1
        mute = "def fail():\n    raise CandidError('why')\nrun('x', fail, hint='', failure=2)"
        assert python(mute, tmp_path, stdout=full, stderr=full).returncode == 2
    closed = python(f"import os\nos.close(1)\nos.close(2)\n{code}", tmp_path)
    assert (closed.returncode, closed.stdout, closed.stderr) == (3, "", "")


def test_nothing_stands_before_the_one_line_and_names_in_it_are_text(tmp_path):
    code = (
        "import warnings\ndef fail():\n"
        "    warnings.warn_explicit('Corrupt', UserWarning, 'x.py', 1, module='PIL.TiffImagePlugin')\n"
        "    import cv2\n    cv2.imread('nowhere.png')\n    raise CandidError('a\\x1b[2J\\nb\\u202ec')\n"
        "run('x', fail, hint='')"
    )
    done = python(code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "candid x: a\\x1b[2J b\\u202ec\n")


def test_a_second_stage_in_a_project_ends_at_once(tmp_path):
    (tmp_path / ".dvc").mkdir()
    inner = "import subprocess, sys\nfrom candid.errors import run\nrun('inner', lambda: print('ran'))"
    start = f"subprocess.run([sys.executable, '-c', {inner!r}])"
    code = f"import subprocess, sys\nrun('x', lambda: {start}.returncode)"
    done = python(code, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("candid inner: another stage is at work in this folder")
    assert python(inner, tmp_path).stdout == "ran\n", "the first has ended, however it did"
