"""Stop a regression: candid gate --baseline main, or candid gate BEFORE.csv AFTER.csv outside a project

Exit status: 0 no regression, 1 regression, 2 the two can't be compared (one line says why).
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from candid.cli import Parser
from candid.errors import CandidError
from candid.gate.results import Revision, resolve
from candid.gate.statistics import POWER, Check, ClassChange
from candid.gate.verdict import CANNOT_COMPARE, PASS, Verdict, compare, judge, refuse_stale
from candid.text import clean, markdown, markdown_table, percent, points, table

HEADLINE = ("", "baseline", "now", "change", "up to", "allowed", "")
CLASSES = ("class", "faces", "lost", "gained", "recall", "now", "F1", "now", "change", "up to", "allowed", "")
WIDTH = 100
ERROR_NOTE = (
    "A check fails when its whole interval lies below what is allowed (the non-inferiority margin) and a "
    "paired permutation test rejects that the two models are exchangeable; the error over all checks is "
    "held at 5 %."
)


def main(arguments: list[str] | None = None) -> int:
    """Print the verdict and return the exit status."""
    parser = Parser(prog="candid gate", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="CSV", help="predictions before, and after")
    parser.add_argument("--baseline", metavar="REV", help="branch, tag, commit or DVC experiment")
    parser.add_argument("--fresh", action="store_true", help="only check that dvc.lock matches this tree")
    style = parser.add_mutually_exclusive_group()
    style.add_argument("--md", action="store_true", help="for a pull request")
    style.add_argument("--json", action="store_true", help="for machines")
    settings = parser.add_argument_group("for CSV files", "a project has these in params.yaml")
    settings.add_argument("--margin", type=float, metavar="SHARE", help="of accuracy, macro F1; 0.005")
    settings.add_argument("--class-margin", type=float, metavar="SHARE", help="of the F1 of a class; 0.05")
    settings.add_argument("--min-common", type=float, metavar="SHARE", help="of faces in both files; 1")
    options = parser.parse_args(arguments)
    names = ("margin", "class_margin", "min_common")
    margins = {name: value for name in names if (value := getattr(options, name)) is not None}
    if [bool(options.files), options.baseline is not None, options.fresh].count(True) != 1:
        parser.error("expected two CSV files, --baseline REV or --fresh")
    if options.files and len(options.files) != 2:
        parser.error(f"{len(options.files)} CSV files; expected two, before and after")
    if margins and not options.files:
        parser.error("margins of a project stand in its params.yaml, section gate; expected two CSV files")
    here = Revision(Path())
    try:
        if options.fresh:
            refuse_stale(here)
            return PASS
        if options.files:
            verdict = compare(*options.files, **margins)
        else:
            verdict = judge(resolve(here.root, options.baseline), here)
    except (CandidError, OSError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if options.json:
            value = {"status": CANNOT_COMPARE, "verdict": "cannot compare", "reasons": [reason]}
            print(json.dumps(value, indent=2))
        elif options.md:
            print(cannot_compare(reason))
        raise CandidError(f"cannot compare: {reason}") from None
    write = as_json if options.json else as_markdown if options.md else as_text
    print(write(verdict), end="")
    return verdict.status


def as_text(verdict: Verdict) -> str:
    """A page for a terminal."""
    comparison = verdict.comparison
    headline = table(HEADLINE, [row(check) for check in comparison.headline], left=(0, 6))
    classes = table(CLASSES, [_class_row(change) for change in comparison.classes], left=(0, 11))
    notes = (line for text in below(verdict) for line in textwrap.wrap(clean(text), WIDTH))
    lines = [title(verdict), _subject(verdict), "", *headline, "", *classes, ""]
    return "\n".join([*(clean(line) for line in lines), *notes]) + "\n"


def as_markdown(verdict: Verdict) -> str:
    """A section for a pull request's comment."""
    comparison = verdict.comparison
    cells = [[*map(markdown, row(check))] for check in comparison.headline]
    each = [[*map(markdown, _class_row(change))] for change in comparison.classes]
    sign = "✅" if verdict.status == PASS else "❌"
    lines = [f"### {sign} {markdown(title(verdict))}", "", markdown(_subject(verdict)), ""]
    lines += [*markdown_table(HEADLINE, cells), "", "<details><summary>Each class</summary>", ""]
    lines += [*markdown_table(CLASSES, each), "", "</details>", ""]
    return "\n".join([*lines, *(f"- {markdown(line)}" for line in below(verdict))]) + "\n"


def as_json(verdict: Verdict) -> str:
    """Everything, as fractions."""
    comparison = verdict.comparison
    value = {
        "status": verdict.status,
        "verdict": "pass" if verdict.status == PASS else "regression",
        "reasons": verdict.reasons,
        "baseline": {"name": verdict.baseline, "commit": verdict.commit},
        **{name: getattr(comparison, name) for name in ("faces", "groups", "common")},
        "checks": [
            {**vars(check), "change": check.change, "failed": check.failed, "mark": check.mark}
            for check in comparison.checks
        ],
        "classes": {
            change.name: {key: value for key, value in vars(change).items() if key not in ("name", "f1")}
            for change in comparison.classes
        },
        "mcnemar": comparison.mcnemar._asdict(),
        "floors": [{**floor._asdict(), "broken": floor.broken} for floor in verdict.floors],
        "notes": verdict.notes,
    }
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def cannot_compare(reason: str) -> str:
    """Markdown for two revisions that can't be compared."""
    return f"### ⚠️ Gate: cannot compare\n\n{markdown(reason)}\n"


def title(verdict: Verdict) -> str:
    """The verdict in a line."""
    return "Gate: pass" if verdict.status == PASS else f"Gate: regression: {'; '.join(verdict.reasons)}"


def _subject(verdict: Verdict) -> str:
    comparison = verdict.comparison
    grouped = f" in {comparison.groups:,} groups" if comparison.groups < comparison.faces else ""
    commit = f" ({verdict.commit[:7]})" if verdict.commit else ""
    datasets = f" of {', '.join(verdict.datasets)}" if verdict.datasets else ""
    return (
        f"{verdict.baseline}{commit} against {verdict.candidate}, "
        f"on the same {comparison.faces:,} test faces{grouped}{datasets}"
    )


def row(check: Check) -> tuple[str, ...]:
    """Cells under HEADLINE."""
    return (check.name, percent(check.before), percent(check.after), *_limits(check))


def _class_row(change: ClassChange) -> tuple[str, ...]:
    counts = (f"{change.support:,}", str(change.lost), str(change.gained))
    shares = (change.recall_before, change.recall_after, change.f1.before, change.f1.after)
    return (change.name, *counts, *map(percent, shares), *_limits(change.f1))


def _limits(check: Check) -> tuple[str, str, str, str]:
    return points(check.change), points(check.upper95), points(-check.margin), check.mark


def below(verdict: Verdict) -> list[str]:
    """What stands below the tables, one paragraph each."""
    comparison = verdict.comparison
    test = comparison.mcnemar
    drops = ["no drop" if one.detectable is None else f"{100 * one.detectable:.1f} points"
             for one in comparison.headline]  # fmt: skip
    seen = [f"{drop} ({one.name})" for drop, one in zip(drops, comparison.headline, strict=True)]
    floors = (
        f"Floor: {floor.name} is {floor.value:g}, its floor {floor.floor:g}{': broken' * floor.broken}."
        for floor in verdict.floors
    )
    return [
        f"up to: upper end of the one-sided 95 % interval of the change, in points. {ERROR_NOTE}",
        f"McNemar, exact: {test.lost} faces lost, {test.gained} gained, p = {test.p_value:.2g} (two-sided).",
        f"At these counts a drop is caught in {100 * POWER:g} % of all cases from {' and '.join(seen)} on.",
        *floors,
        *(f"Note: {note}." for note in verdict.notes),
    ]
