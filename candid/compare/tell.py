"""The table for a terminal (100 columns), as Markdown, and as JSON."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from candid.compare import words
from candid.compare.measured import Estimate, Measured
from candid.compare.recorded import FOLDER
from candid.compare.rows import Cell, Pair, Row, Table, notes

WIDTH = 100
Cells = tuple[str, ...]
OURS = ("measured (95 %)", "honest (95 %)")
LEFT = ("run", "metric", "source", *OURS)
LEGEND = "In per cent; intervals by resampling groups of dependent faces; T, F, S: table, figure, section."


def as_text(table: Table, full: bool) -> str:
    """A page for a terminal."""
    lines = [*_wrapped(title(table)), ""]
    for sentence in words.in_short(table):
        lines += _wrapped(sentence, "- ")
    lines += [""] if len(lines) > 2 else []
    for name, told in (("claim", table.recipe.claim), *protocols(table)):
        lines += _wrapped(told, f"{name:<10} ")
    lines.append("")
    marks = words.Marks()
    lines += [*_heading(table.rows()), *_columns(_cells(table.rows(), marks))]
    if full:
        for pair in table.pairs:
            lines += ["", *_wrapped(f"{pair.run.name}: {pair.run.about}")]
            lines += [*(line for told in _times(pair) for line in _wrapped(told)), ""]
            lines += _columns(_cells(pair.rows(full=True), marks, run=False))
    lines.append("")
    for letter, note in marks.legend():
        lines += _wrapped(note, f"{letter}  ")
    lines += [*_wrapped(LEGEND), ""]
    for sentence in (*made(table), *left_out(table)):
        lines += _wrapped(sentence, "- ")
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def as_markdown(table: Table, full: bool) -> str:
    """A section of a page."""
    paper = table.recipe.paper
    lines = [f"## {paper.short}: {_linked(paper.title, paper.url)}", ""]
    lines += [f"- {sentence}" for sentence in words.in_short(table)]
    lines += ["", f"Claim: {table.recipe.claim}", ""]
    lines += [f"- **{name}**: {told}" for name, told in protocols(table)]
    marks = words.Marks()
    heading = _heading(table.rows())
    lines += ["", *(f"{told}:" for told in heading), *([""] if heading else [])]
    lines += _markdown(_cells(table.rows(), marks))
    if full:
        for pair in table.pairs:
            lines += ["", f"### {pair.run.name}", "", pair.run.about, *_times(pair), ""]
            lines += _markdown(_cells(pair.rows(full=True), marks, run=False))
    lines += ["", *(f"- {letter}: {note}" for letter, note in marks.legend()), "", LEGEND, ""]
    lines += [f"- {sentence}" for sentence in (*made(table), *left_out(table))]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def as_json(table: Table, full: bool) -> str:
    """Everything, as fractions."""
    recipe = table.recipe
    value = {
        "recipe": recipe.key,
        "paper": vars(recipe.paper),
        "claim": recipe.claim,
        "runs": [
            {
                "name": pair.run.name,
                "about": pair.run.about,
                "protocol": pair.run.protocol,
                "honest_protocol": pair.run.honest_protocol,
                "measured": _experiments(pair.measured),
                "honest": _experiments(pair.honest),
                "rows": [_plain(row) for row in pair.rows(full)],
            }
            for pair in table.pairs
        ],
        "in_short": words.in_short(table),
    }
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def title(table: Table) -> str:
    """The citation in a line."""
    paper = table.recipe.paper
    return f"{table.recipe.key}: {paper.short}, {paper.title} ({paper.where})"


def protocols(table: Table) -> Iterator[tuple[str, str]]:
    """What the published (and measured) and the honest numbers stand for; by run where they differ."""
    for honest, name in ((False, "published"), (True, "honest")):
        if honest:
            bent = any(one.measured and not one.measured.deviation.none for one in table.pairs)
            told = "by the settings of the recipe" + (", but for the letters" if bent else "")
            yield "measured", f"{told}, under the protocol of the published number"
        found = table.protocols(honest)
        for told, runs in found.items():
            yield name, told if len(found) == 1 else f"({', '.join(runs)}) {told}"


def made(table: Table) -> Iterator[str]:
    """How many experiments stand behind each protocol's numbers, where they come from, and their time."""
    for honest, name in ((False, "paper's"), (True, "honest")):
        found = [one for pair in table.pairs if (one := pair.honest if honest else pair.measured) is not None]
        if found:
            members = [one for of in found for one in of.members.values()]
            commits = ", ".join(sorted({one.baseline[:7] for one in members}))
            seconds = [taken for of in found for taken in of.seconds.values()]
            took = f", {words.duration(sum(seconds))}" if len(seconds) == len(members) else ""
            plural = "s" * (len(members) > 1)
            yield f"Under the {name} protocol: {len(members)} experiment{plural} at commit {commits}{took}."


def left_out(table: Table) -> Iterator[str]:
    """What is not there, and the command that makes it; what is recorded and stands back for a trial here."""
    behind = [pair.run.name for pair in table.pairs if pair.nearer]
    if behind:
        key = table.recipe.key
        yield (
            "Recorded, and nearer to the recipe than what was run here: "
            f"{', '.join(dict.fromkeys(behind))}. `candid compare {key} --from {FOLDER / key}`"
        )
    for honest, option in ((False, ""), (True, " --honest")):
        names = table.not_run(honest)
        if names:
            kind = "honest protocol" if honest else "paper's protocol"
            command = f"candid reproduce {table.recipe.key}{option}"
            yield f"Not run under the {kind}: {', '.join(names)}. `{command}`"


def _heading(rows: Sequence[Row]) -> list[str]:
    """The metric, where all rows have the same."""
    names = {words.metric(row.metric) for row in rows}
    (name,) = names if len(names) == 1 else ("",)
    return [f"{name[:1].upper()}{name[1:]}"] if name else []


def _cells(rows: Sequence[Row], marks: words.Marks, run: bool = True) -> list[Cells]:
    """Head and rows; the column of the metric only where it tells something."""
    names = {row.metric for row in rows}
    metric = not run or len(names) > 1
    head = (*(("run",) if run else ()), *(("metric",) if metric else ()))
    found = [(*head, "published", "source", "measured (95 %)", "diff", "within", "honest (95 %)")]
    for row in rows:
        measured, honest = (_cell(cell, row.metric, marks) for cell in (row.measured, row.honest))
        found.append(
            (
                *((row.run,) if run else ()),
                *((words.metric(row.metric),) if metric else ()),
                words.published(row.published),
                words.source(row.published),
                measured,
                words.difference(row),
                words.within(row),
                honest,
            )
        )
    return found


def _cell(cell: Cell, metric: str, marks: words.Marks) -> str:
    letters = marks.of(cell.notes)
    return words.estimate(cell.estimate, metric) + (f" {letters}" if letters else "")


def _linked(text: str, url: str | None) -> str:
    return text if url is None else f"[{text}]({url})"


def _times(pair: Pair) -> list[str]:
    """When and in what time the numbers were made."""
    told = []
    for name, of in (("measured", pair.measured), ("honest", pair.honest)):
        if of is None:
            continue
        baselines = sorted({one.baseline[:7] for one in of.members.values()})
        taken = f"; {words.duration(sum(of.seconds.values()))}" if len(of.seconds) == len(of.members) else ""
        count = f"{len(of.members)} experiments, " if len(of.members) > 1 else ""
        told.append(f"{name}: {count}at commit {', '.join(baselines)}{taken}")
    return told


def _columns(rows: Sequence[Cells]) -> list[str]:
    """Align the columns; where they are wider than the page, what is ours goes on in a second line."""
    head = rows[0]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    ours = [place for place, name in enumerate(head) if name in OURS]
    left = WIDTH - sum(widths) - 2 * (len(head) - 1) + sum(widths[place] for place in ours)
    if sum(widths[place] for place in ours) > left:
        small, large = sorted(ours, key=lambda place: widths[place])
        widths[small] = min(widths[small], left // 2)
        widths[large] = left - widths[small]
    lines = [
        "  ".join(
            cell.ljust(width) if name in LEFT else cell.rjust(width)
            for name, cell, width in zip(head, line, widths, strict=True)
        ).rstrip()
        for row in rows
        for line in _in_lines(row, widths)
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _in_lines(row: Cells, widths: Sequence[int]) -> Iterator[Cells]:
    """Break the cells that are wider than their column at spaces."""
    parts = [
        [cell] if len(cell) <= width else textwrap.wrap(cell, width, break_long_words=False)
        for cell, width in zip(row, widths, strict=True)
    ]
    return zip_longest(*parts, fillvalue="")


def _markdown(rows: Sequence[Cells]) -> list[str]:
    head, *body = rows
    rule = tuple("---" if name in LEFT else "---:" for name in head)
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *body)]


def _wrapped(text: str, before: str = "") -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        WIDTH,
        initial_indent=before,
        subsequent_indent=" " * len(before),
        break_on_hyphens=False,
    )


def _plain(row: Row) -> dict[str, Any]:
    published = row.published
    return {
        "metric": row.metric,
        "published": None
        if published is None
        else {"value": published.value, "sd": published.sd, "source": published.source},
        "measured": _estimate(row.measured.estimate),
        "difference": row.difference,
        "within": row.within,
        "honest": _estimate(row.honest.estimate),
    }


def _estimate(of: Estimate | None) -> dict[str, Any] | None:
    if of is None:
        return None
    low, high = of.bounds or (None, None)
    return {"value": of.value, "low": low, "high": high, "sd": of.sd, "over": of.over}


def _experiments(of: Measured | None) -> dict[str, Any] | None:
    if of is None:
        return None
    leaked, faces = of.leaked
    return {
        "variation": of.variation,
        "notes": notes(of),
        "leaked_test_faces": leaked,
        "faces": faces,
        "experiments": {one.called: one.commit for one in of.members.values()},
        "seconds": sum(of.seconds.values()) if len(of.seconds) == len(of.members) else None,
    }


def lines_of(paths: Iterable[Any]) -> str:
    """One path a line."""
    return "".join(f"{path}\n" for path in paths)
