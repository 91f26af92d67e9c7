"""What CI writes on a pull request."""

from __future__ import annotations

from pathlib import Path

import pytest

from candid.report.comment import MOST_CHARACTERS, comment, main
from tests.commands.gate_project import Project, faces, worse
from tests.commands.report_project import reported


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return reported(tmp_path)


def tables(text: str) -> list[list[str]]:
    """Cells of each row of each Markdown table."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]


def test_verdict_metrics_and_both_matrices(project: Project) -> None:
    project.results(worse(faces(), 60))
    text = comment("main", project.root, "https://example.org/run/1")
    assert text.startswith("### ❌ Gate: regression: accuracy fell by 15.0 points")
    rows = {row[0]: row[1:] for row in tables(text)}
    assert rows["accuracy"][0].startswith("74.2\u00a0% (")
    assert rows["accuracy"][1].startswith("59.2\u00a0% (")
    assert text.count("Confusion, ") == 2
    assert "Confusion, this change" in text
    assert "Confusion, main" in text
    assert "random 80/10/10; subject kept together; near-duplicates removed; clean" in text
    assert "(https://example.org/run/1)" in text
    assert "make ci BASELINE=main" in text
    widths = [row for row in tables(text) if row[0] == "angry"]
    assert [len(row) for row in widths] == [12, 4, 4]


def test_rows_of_a_matrix_add_up_to_the_faces_of_the_class(project: Project) -> None:
    table = faces()
    text = comment("main", project.root)
    for name in ("angry", "happy", "sad"):
        row = next(row for row in tables(text) if row[0] == name and len(row) == 4)
        counts = [int(cell[cell.index("(") + 1 : -1]) for cell in row[1:] if "(" in cell]
        assert sum(counts) == (table["actual"] == name).sum()


def test_what_cannot_be_compared_is_said_and_this_change_still_shown(project: Project) -> None:
    project.results(faces().assign(dataset="fer2013"))
    text = comment("main", project.root)
    assert text.startswith("### ⚠️ Gate: cannot compare\n\nanother dataset")
    assert "Confusion, this change" in text
    text = comment("nobody", project.root)
    assert "no branch, tag, commit or experiment" in text
    assert "Confusion, this change" in text
    assert "Confusion, nobody" not in text
    (project.root / "metrics/report.json").unlink()
    text = comment("main", project.root)
    assert "no metrics/report.json" in text
    assert "Confusion, this change" not in text


def test_it_is_short_enough_for_github_whatever_is_in_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = comment("main", project.root)
    monkeypatch.setattr("candid.report.comment.MOST_CHARACTERS", len(whole) - 1)
    shorter = comment("main", project.root)
    assert len(shorter) < len(whole) <= MOST_CHARACTERS
    assert shorter.startswith("### ✅ Gate: pass")
    assert "make ci BASELINE=main" in shorter


def test_the_command_writes_a_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    main(["--baseline", "main"])
    assert (project.root / "report/comment.md").read_text(encoding="utf-8").startswith("### ✅ Gate: pass")
