"""The audit of any image set takes the same bad archives and folders: a report, or one clear line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from candid.audit.command import main
from candid.errors import CandidError
from tests.reliability.corpus import LONGEST_LINE, Case
from tests.reliability.corpus_archives import BOTH, CASES
from tests.reliability.tiny import files_at

PATHS = [(case, case.params["data"]["path"]) for case in CASES if case.stages == BOTH]
GIVEN = [case for case, path in PATHS if path.strip("\0") == path != ""]  # what a command line can hold


def ends_well(
    case: Case,
    main: Callable[[], object],
    arguments: list[str],
    result: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run a tool on a case; AssertionError where it ends in anything but its result or one clear line.

    Args:
        arguments: that follow the path on the tool's command line; its --out is the folder of `result`.
    """
    project = folder / "project"
    project.mkdir()
    case.make(project)
    path = case.params["data"]["path"]
    before = files_at(project, [path] if path.startswith("own") else [])
    monkeypatch.chdir(project)
    monkeypatch.setattr("sys.argv", ["tool", path, *arguments])
    said = ""
    try:
        main()
    except CandidError as error:
        said = str(error)
        assert said.strip()
        assert len(said) < LONGEST_LINE
    assert (project / result).is_file() == (not said)
    assert files_at(project, list(before)) == before
    assert {each.name for each in folder.iterdir()} == {"project"}
    assert not (project / "harm").exists()


@pytest.mark.parametrize("case", GIVEN, ids=lambda case: case.name)
def test_it_ends_with_a_report_or_in_one_line(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--out", "report", "--no-labels"]
    ends_well(case, main, arguments, "report/index.html", tmp_path, monkeypatch)
