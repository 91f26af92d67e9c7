"""What the README and the docs point to is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from candid.gate.results import Revision
from candid.report.command import numbers
from candid.settings import read_yaml

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_local_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_named_in_the_docs_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= targets


def test_the_readme_shows_the_metrics_of_the_committed_run():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    metrics = json.loads((ROOT / "metrics/metrics.json").read_text(encoding="utf-8"))
    assert "\n".join(numbers(Revision(ROOT))).partition("\n\n")[0] in page
    (row,) = re.findall(r"^ *main +([\d. ]+)$", page, re.MULTILINE)
    expected = [value for name, value in metrics.items() if not name.startswith(("accuracy_", "leaked_"))]
    assert [float(value) for value in row.split()[:-1]] == pytest.approx(expected, rel=1e-4)


def test_settings_that_the_readme_changes_exist():
    params = read_yaml(ROOT / "params.yaml")
    for key in re.findall(r"-S '?([a-z_.]+)=", (ROOT / "README.md").read_text(encoding="utf-8")):
        value = params
        for part in key.split("."):
            assert part in value, key
            value = value[part]


def test_what_dedup_finds_of_the_sample_is_what_the_page_says():
    planted = json.loads((ROOT / "metrics/dedup.json").read_text(encoding="utf-8"))["planted"]
    page = (ROOT / "docs/near-duplicates.md").read_text(encoding="utf-8")
    ((recall, precision),) = re.findall(r"truth is known: recall ([\d.]+), precision ([\d.]+) ", page)
    assert (float(recall), float(precision)) == (round(planted["recall"], 3), round(planted["precision"], 3))


def test_each_dependency_has_its_reason():
    reasons = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8").lower()
    for file in ("requirements.txt", "requirements-dev.txt"):
        for name in re.findall(r"^([A-Za-z][\w.-]*)==", (ROOT / file).read_text(), re.MULTILINE):
            assert name.lower() in reasons, name
