"""What a run was compared with: trivial answers, an earlier revision, other runs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from candid.errors import CandidError
from candid.evaluation import scores
from candid.gate.decide import compare
from candid.gate.pairs import pair
from candid.gate.params import GateSettings
from candid.gate.results import PREDICTIONS
from candid.gate.revisions import WorkingTree, git, resolve
from candid.gate.tell import ERROR_NOTE, HEADLINE, points
from candid.gate.tell import row as check_row
from candid.gate.verdict import PASS, Verdict, judge
from candid.report import charts, words
from candid.report.asked import settings
from candid.report.markup import Markup, interval, paragraph, percent, table
from candid.report.runs import Run


def previous(root: Path) -> str | None:
    """The revision before the present results: HEAD while they are not committed, else the one before."""
    try:
        changed = subprocess.run(
            ["git", "-C", str(root), "diff", "--quiet", "HEAD", "--", PREDICTIONS],
            capture_output=True,
            check=False,
        ).returncode
        commits = git(root, "log", "-2", "--format=%H", "--", PREDICTIONS).decode().split()
    except (CandidError, OSError):
        return None
    if changed == 1 and commits:
        return "HEAD"
    return commits[1] if len(commits) == 2 else None


def trivial(run: Run) -> Iterator[Markup]:
    """What needs no model."""
    support = scores.support(run.counts)
    most = int(support.argmax())
    yield paragraph(
        f"Without looking at a face: always answering {run.results.classes[most]} is right on "
        f"{percent(support[most] / support.sum())}, guessing evenly on {percent(1 / len(support))}."
    )


def gate(root: Path, baseline: str | None) -> Iterator[Markup]:
    """The gate's verdict against a revision, or why there is none."""
    if baseline is None:
        yield paragraph(
            "No earlier results in git to compare with; name a revision: make report BASELINE=main"
        )
        return
    try:
        verdict = judge(resolve(root, baseline), WorkingTree(root))
    except CandidError as error:
        yield paragraph(f"Not compared with {baseline[:12]}: {error}.")
        return
    yield from _verdict(verdict)


def _verdict(verdict: Verdict) -> Iterator[Markup]:
    found = verdict.comparison
    kind, told = ("good", "pass") if verdict.status == PASS else ("bad", "regression")
    why = ": " + "; ".join(verdict.reasons) if verdict.reasons else ""
    yield paragraph(
        Markup(f'<span class="badge {kind}">gate: {told}</span> '),
        f"against {verdict.baseline.name[:12]} ({verdict.baseline.sha[:7]}), "
        f"on the same {found.faces:,} faces{why}",
    )
    yield table(
        "Change of the headline scores", ("score", *HEADLINE[1:]), [check_row(c) for c in found.headline]
    )
    test = found.mcnemar
    yield paragraph(
        f"{test.lost:,} faces lost, {test.gained:,} gained (McNemar, exact: p = {test.p_value:.2g}). "
        f"“up to” is the upper end of the one-sided 95 % interval of the change, in points. {ERROR_NOTE}"
    )
    for note in verdict.notes:
        yield paragraph(f"Note: {note}.")


def others(runs: Sequence[Run]) -> Iterator[Markup]:
    """Several runs side by side, each with its protocol, and paired with the first on the same faces."""
    first = runs[0]
    rows = [
        (
            _named(run),
            _score(run.metrics, "accuracy"),
            _score(run.metrics["macro"], "f1"),
            f"{run.metrics.get('faces', len(run.results.faces)):,}",
            "–" if run is first else paired(first, run),
        )
        for run in runs
    ]
    head = ("run and protocol", "accuracy", "macro F1", "faces", f"against {first.name}")
    yield table("Runs side by side, with 95 % intervals", head, rows, kind="runs")
    different = list(_different_settings(runs))
    if different:
        names = [run.name for run in runs]
        yield table(
            "Settings that differ", ("setting", *names), different, words=1 + len(runs), kind="settings"
        )
    overlay = charts.validation_overlay(runs)
    if overlay:
        yield Markup(f'<div class="charts">{overlay}</div>')


def _named(run: Run) -> Markup:
    """The run's name over what it is."""
    told = "; ".join((words.net(run), words.dataset(run), words.protocol(run), words.clean(run)))
    return Markup(f"{escape(run.name)}<small>{escape(told)}</small>")


def _score(of: dict[str, Any], name: str) -> Markup:
    """A score over its interval."""
    value, _, bounds = interval(of, name).partition(" (")
    return Markup(f"{escape(value)}<small>{escape(bounds.rstrip(')'))}</small>")


def paired(first: Run, second: Run) -> str | Markup:
    """Change of accuracy on the same faces; why there is none where they can't be paired."""
    try:
        found = compare(pair(first.results, second.results), GateSettings(resamples=1000))
    except CandidError as error:
        return re.split("[:;]", str(error))[0]  # what follows are names and numbers that the row holds
    told = f"McNemar: p = {found.mcnemar.p_value:.2g}"
    return Markup(f"{points(found.headline[0].change)} points<small>{told}</small>")


def _different_settings(runs: Sequence[Run]) -> Iterator[tuple[str, ...]]:
    tables = [dict(settings(run)) for run in runs]
    for key in dict.fromkeys(key for each in tables for key in each):
        values = [each.get(key, "–") for each in tables]
        if len(set(values)) > 1:
            yield (key, *values)
