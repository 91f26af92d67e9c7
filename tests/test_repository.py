"""The repository as strangers clone it, and what make does with what CI hands it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.conftest import REPOSITORY
from tests.data.made import folder
from tests.gate.project import Project


def test_a_clone_that_converts_line_ends_keeps_the_bytes_that_dvc_hashes(tmp_path):
    files = {name: (REPOSITORY / name).read_bytes() for name in ("candid/cli.py", "dvc.yaml", "params.yaml")}
    origin = Project(folder(tmp_path / "origin", files))
    shutil.copy(REPOSITORY / ".gitattributes", origin.root)
    origin.git("init", "-q")
    origin.commit()
    origin.git("clone", "-q", "-c", "core.autocrlf=true", ".", str(tmp_path / "clone"))
    for name, content in files.items():
        assert (tmp_path / "clone" / name).read_bytes() == content, name


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", ["gate", "comment", "report"])
def test_a_branch_name_is_never_run(tmp_path, target):
    """CI fills BASELINE from names of branches; what make or the shell would expand stays text."""
    environment = tmp_path / "venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (environment / "bin/python").chmod(0o755)
    (environment / ".installed").touch()
    relative = os.path.relpath(environment, REPOSITORY)  # the Makefile takes it from its own folder
    evil = f"$(shell touch {tmp_path}/made)$(touch {tmp_path}/run);touch {tmp_path}/ran"
    done = subprocess.run(
        ["make", "-C", str(REPOSITORY), "--no-print-directory", target, f"VENV={relative}"],
        env={**os.environ, "BASELINE": evil, "DVC_SITE_CACHE_DIR": str(tmp_path / "dvc")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"--baseline={evil}" in done.stdout.splitlines(), done.stdout + done.stderr
    assert not {"made", "run", "ran"} & {path.name for path in tmp_path.iterdir()}
