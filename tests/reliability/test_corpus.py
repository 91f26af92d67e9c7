"""Whatever is fed in gives a right result or one clear line; nothing is run, lost, or written elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from candid.audit.command import main as audit
from candid.errors import CandidError
from candid.predict.command import main as predict
from tests.reliability import corpus_archives, corpus_images, corpus_models, corpus_params, corpus_tables
from tests.reliability.corpus import Case, try_case, watching
from tests.reliability.tiny import Undisturbed, files_at, no_hanging

CASES: list[Case] = [
    *corpus_archives.CASES,
    *corpus_images.CASES,
    *corpus_tables.CASES,
    *corpus_params.CASES,
    *corpus_models.CASES,
]
PATHS = [(case, case.params["data"]["path"]) for case in CASES if case.stages == corpus_archives.BOTH]
NAMED = [case for case, path in PATHS if path.strip("\0") == path != ""]  # what a command line can hold


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_ends_well_or_in_one_line(case: Case, undisturbed: Undisturbed, tmp_path: Path) -> None:
    try_case(case, undisturbed, tmp_path / "around")


def ends_well(
    case: Case, main: Callable[[list[str]], object], arguments: list[str], result: str, folder: Path
) -> None:
    """Run a command on a case; AssertionError unless it ends in its result or one clear line.

    Args:
        arguments: that follow the path on its command line; its --out is the folder of `result`.
    """
    project = folder / "project"
    project.mkdir()
    case.make(project)
    path = case.params["data"]["path"]
    before = files_at(project, [path] if path.startswith("own") else [])
    said = ""
    with pytest.MonkeyPatch.context() as patch, no_hanging(), watching(folder) as harm:
        patch.chdir(project)
        try:
            main([path, *arguments])
        except CandidError as error:
            said = str(error)
            assert said.strip()
            assert len(said) < 1000
    assert (project / result).is_file() == (not said)
    assert files_at(project, list(before)) == before
    assert {each.name for each in folder.iterdir()} == {"project"}
    assert harm == []


@pytest.mark.parametrize("case", NAMED, ids=lambda case: case.name)
def test_the_audit_ends_with_a_report_or_in_one_line(case: Case, tmp_path: Path) -> None:
    ends_well(case, audit, ["--out", "report", "--no-labels"], "report/index.html", tmp_path)


@pytest.mark.parametrize("case", NAMED, ids=lambda case: case.name)
def test_predict_ends_with_a_table_or_in_one_line(case, classifier, tmp_path, monkeypatch):
    monkeypatch.setattr("candid.predict.command.load_classifier", lambda *_: classifier)
    ends_well(case, predict, ["--already-cropped", "--out", "results"], "results/predictions.csv", tmp_path)
