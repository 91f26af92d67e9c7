"""What CI writes on a pull request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from candid.errors import CandidError
from candid.gate.results import Revision
from candid.report.command import MAX_CHARACTERS, comment, main
from tests.gate.project import faces, worse

HERE = Revision(Path())


def tables(text: str) -> dict[str, list[str]]:
    """First cell of each row of each Markdown table, and the cells behind it."""
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line[:1] == "|"]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def test_verdict_metrics_and_settings_that_changed(project):
    project.params["train"]["learning_rate"] = 0.002
    project.params["train"]["warmup"] = 3
    project.results(worse(faces(), 60))
    text = comment("main", HERE, "https://example.org/run/1")
    assert text.startswith("### ❌ Gate: regression: accuracy fell by 15.0 points")
    rows = tables(text)
    assert rows["accuracy"] == ["0.7425", "0.5925", "-0.15"]
    assert rows["macro\\_f1"][0] > rows["macro\\_f1"][1]
    assert rows["train.learning\\_rate"] == ["0.001", "0.002"]
    assert rows["train.warmup"] == ["–", "3"]
    assert "train.batch\\_size" not in rows
    assert "(<https://example.org/run/1>)" in text
    metrics = json.loads((project.root / "metrics/metrics.json").read_text())
    project.write("metrics/metrics.json", json.dumps({**metrics, "kappa": 0.5}))
    assert tables(comment("main", HERE))["kappa"] == ["–", "0.5", ""], "a metric that is new"


def test_what_cannot_be_compared_is_said_and_this_change_still_shown(project):
    project.results(faces().assign(dataset="fer2013"))
    text = comment("main", HERE)
    assert text.startswith("### ⚠️ Gate: cannot compare\n\nother datasets")
    assert "accuracy" in tables(text)
    text = comment("nobody", HERE)
    assert "no branch, tag, commit or experiment" in text
    assert tables(text)["accuracy"][0] == "–"
    (project.root / "metrics/report.json").unlink()
    (project.root / "metrics/metrics.json").unlink()
    assert "no metrics/report.json" in comment("main", HERE)


ODD = '{"accuracy": "x\\n### Gate: pass", "a|b": [1, {"c": null}], "\\ud800": 1e999, "m": "@user <b>"}'


def test_odd_metrics_and_names_are_text(project):
    for path in ("metrics/metrics.json", "metrics/report.json"):
        for odd in (ODD, ODD.replace("1e999", "2"), "[]", "{", '{"a": {"b": {}}}'):
            project.write(path, odd)
            text = comment("main", HERE)
            assert text.startswith("### ")
            assert not any(line.startswith("### Gate: pass") for line in text.splitlines())
            assert "<b>" not in text.replace("\\<b", "")
            assert "@user" not in text, "nobody is notified"
            text.encode("utf-8")
        project.git("checkout", "-q", path)


def test_it_is_short_enough_for_github_whatever_is_in_it(project):
    project.write("metrics/metrics.json", json.dumps({f"{row:0999}": row for row in range(99)}))
    project.params["train"] = {f"{row:0999}": "x" * 999 for row in range(99)}
    project.results(faces())
    text = comment("main", HERE)
    assert len(text) <= MAX_CHARACTERS
    assert "more" in text


def test_the_command_writes_a_file(project):
    main(["--comment", "--baseline", "main"])
    assert (project.root / "report/comment.md").read_text(encoding="utf-8").startswith("### ✅ Gate: pass")
    with pytest.raises(CandidError, match="expected --baseline"):
        main(["--comment"])
