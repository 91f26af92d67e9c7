"""The repository as strangers clone it, and what make does with what CI hands it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.conftest import REPOSITORY


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def tree(tmp_path):
    """The tracked files as they are now, committed in a repository of their own."""
    folder = tmp_path / "origin"
    names = git(
        "-C", str(REPOSITORY), "ls-files", "candid/cli.py", "dvc.yaml", "params.yaml", ".gitattributes"
    )
    for name in names.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    git("-C", str(folder), "init", "-q")
    git("-C", str(folder), "add", "-A")
    git("-C", str(folder), *identity, "commit", "-q", "-m", "all")
    return folder


def test_a_clone_that_converts_line_ends_keeps_the_bytes_that_dvc_hashes(tree, tmp_path):
    git("clone", "-q", "-c", "core.autocrlf=true", str(tree), str(tmp_path / "clone"))
    for name in ("candid/cli.py", "dvc.yaml", "params.yaml"):
        assert (tmp_path / "clone" / name).read_bytes() == (REPOSITORY / name).read_bytes(), name


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
