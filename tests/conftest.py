"""What all tests share: where the real datasets are, and how a stage is run as a user would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from candid.cli import main
from candid.errors import CandidError

REPOSITORY = Path(__file__).resolve().parent.parent


def python(code: str, folder: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **options.pop("env", {})}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, text=True, check=False, **pipes)


def refusal(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The one line in which a call is refused."""
    with pytest.raises(CandidError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    message.encode()  # what a terminal shows
    return message


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


Call = Callable[..., Ended]


@pytest.fixture
def candid(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command `candid` in this process."""

    def call(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as end:
            main([*map(str, arguments)])
        assert isinstance(end.value.code, int)
        return Ended(end.value.code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data of a run and the tiny model of it."""
    from tests.predict.tiny_model import write_data, write_tiny

    folder = tmp_path_factory.mktemp("project")
    write_tiny(folder / "models" / "model.keras")
    write_data(folder / "data")
    return folder


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Folder of the real archives: CANDID_MIRROR, else shared/data beside the checkout."""
    for folder in (os.environ.get("CANDID_MIRROR"), REPOSITORY.parent / "shared" / "data"):
        if folder and (Path(folder) / "fer2013.zip").is_file():
            return Path(folder)
    pytest.skip("the real datasets are not here: set CANDID_MIRROR to a folder with fer2013.zip")


@pytest.fixture
def run_stage(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m MODULE ARGS` in tmp_path, which gets a copy of params.yaml unless it has one.

    In this process where that is the same: for a stage, in the environment as it is.
    """
    from tests.reliability.tiny import run_stage as run_here

    def run(module: str, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        if not (tmp_path / "params.yaml").exists():
            shutil.copy(REPOSITORY / "params.yaml", tmp_path)
        if module.startswith("stages.") and not environment:
            done = run_here(module.removeprefix("stages."), tmp_path)
            return subprocess.CompletedProcess(module, done.status, done.out, done.err)
        return subprocess.run(
            [sys.executable, "-m", module, *args],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run
