"""The verdict in words: plain text for people, Markdown for a pull request, JSON for machines."""

from __future__ import annotations

import json
from typing import Any

from candid.gate.decide import CAUGHT, Check, ClassChange
from candid.gate.verdict import CANNOT_COMPARE, PASS, Verdict

HEADLINE: tuple[str, ...] = ("", "baseline", "now", "change", "up to", "allowed", "")
CLASSES: tuple[str, ...] = (
    *("class", "faces", "lost", "gained", "recall", "now", "F1", "now", "change", "up to", "allowed", ""),
)
ERROR_NOTE = (
    "A check fails when its whole interval lies below what is allowed, and exchanging the two models at "
    "random seldom gives a change as bad; the error over all checks together is held at 5 %."
)


def as_text(verdict: Verdict) -> str:
    """A page for a terminal."""
    found = verdict.comparison
    lines = [_title(verdict), _subject(verdict), "", *_columns([HEADLINE, *map(row, found.headline)]), ""]
    lines += [*_columns([CLASSES, *map(_class_row, found.classes)]), "", *_below(verdict)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def as_markdown(verdict: Verdict) -> str:
    """A section for a pull request's comment."""
    found = verdict.comparison
    headline = table([HEADLINE, *map(row, found.headline)])
    classes = table([CLASSES, *map(_class_row, found.classes)])
    sign = "✅" if verdict.status == PASS else "❌"
    lines = [f"### {sign} {_title(verdict)}", "", _subject(verdict), "", *headline, ""]
    lines += ["<details><summary>Each class</summary>", "", *classes, "", "</details>", ""]
    lines += [f"- {line}" for line in _below(verdict)]
    return "\n".join(lines) + "\n"


def as_json(verdict: Verdict) -> str:
    """Everything, as fractions."""
    found = verdict.comparison
    value = {
        "status": verdict.status,
        "verdict": "pass" if verdict.status == PASS else "regression",
        "reasons": verdict.reasons,
        "baseline": {"name": verdict.baseline.name, "commit": verdict.baseline.sha},
        "faces": found.faces,
        "groups": found.groups,
        "common": found.common,
        "checks": [_plain(check) for check in (*found.headline, *(change.f1 for change in found.classes))],
        "classes": {
            change.name: {
                "support": change.support,
                "lost": change.lost,
                "gained": change.gained,
                "recall_before": change.recall_before,
                "recall_after": change.recall_after,
            }
            for change in found.classes
        },
        "mcnemar": vars(found.mcnemar),
        "floors": [{**vars(floor), "broken": floor.broken} for floor in verdict.floors],
        "notes": list(verdict.notes),
    }
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def cannot(reason: str, style: str) -> str:
    """The same three ways for revisions that can't be compared; the plain one is empty (stderr has it)."""
    if style == "json":
        value = {"status": CANNOT_COMPARE, "verdict": "cannot compare", "reasons": [reason]}
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return f"### ⚠️ Gate: cannot compare\n\n{reason}\n" if style == "md" else ""


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a Markdown table; numbers to the right."""
    head, *body = rows
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *body)]


def points(value: float) -> str:
    """A change in percentage points, with its sign unless it is nothing."""
    text = f"{100 * value:+.1f}".replace("-", "−")
    return "0.0" if text[1:] == "0.0" else text


def percent(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.1f} %"


def _title(verdict: Verdict) -> str:
    if verdict.status == PASS:
        return "Gate: pass"
    return "Gate: regression: " + "; ".join(verdict.reasons)


def _subject(verdict: Verdict) -> str:
    found = verdict.comparison
    grouped = f" in {found.groups:,} groups" if found.groups < found.faces else ""
    dataset = ", ".join(sorted(verdict.after.faces["dataset"].unique()))
    return (
        f"{verdict.baseline.name} ({verdict.baseline.sha[:7]}) against {verdict.candidate.name}, "
        f"on the same {found.faces:,} test faces{grouped} of {dataset}"
    )


def row(check: Check) -> tuple[str, ...]:
    """Cells under HEADLINE."""
    return (check.name, percent(check.before), percent(check.after), *_limits(check))


def _class_row(change: ClassChange) -> tuple[str, ...]:
    f1 = change.f1
    return (
        change.name,
        f"{change.support:,}",
        str(change.lost),
        str(change.gained),
        percent(change.recall_before),
        percent(change.recall_after),
        percent(f1.before),
        percent(f1.after),
        *_limits(f1),
    )


def _limits(check: Check) -> tuple[str, str, str, str]:
    return (
        points(check.change),
        points(check.upper95),
        points(-check.margin),
        "regression" if check.failed else "",
    )


def _below(verdict: Verdict) -> list[str]:
    found = verdict.comparison
    test = found.mcnemar
    lines = [
        f"`up to` is the upper end of the one-sided 95 % interval of the change, in points. {ERROR_NOTE}",
        f"McNemar, exact: {test.lost} faces lost, {test.gained} gained, p = {test.p_value:.2g} (two-sided).",
        f"At these counts a drop is caught in {100 * CAUGHT:g} % of all cases from "
        + " and ".join(f"{100 * check.detectable:.1f} points ({check.name})" for check in found.headline)
        + " on.",
    ]
    lines += [
        f"Floor: {floor.name} is {floor.value:g}, its floor {floor.floor:g}{': broken' * floor.broken}."
        for floor in verdict.floors
    ]
    return [*lines, *(f"Note: {note}." for note in verdict.notes)]


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if not place or place == len(row) - 1 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _plain(check: Check) -> dict[str, Any]:
    return {**vars(check), "change": check.change, "failed": check.failed}
