"""The whole page: no script, nothing fetched, readable on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from candid.report import words
from candid.report.markup import Markup, join, paragraph, section
from candid.report.runs import Run
from candid.report.sections import article, headline
from candid.report.style import CSS

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
PARTS = {
    "asked": "What was asked",
    "data": "Data",
    "training": "Training",
    "results": "Results",
    "confusion": "What is taken for what",
    "mistakes": "Mistakes",
    "again": "How to make it again",
}


def page(runs: Sequence[Run], compared: Iterable[str], faces: bool = True) -> str:
    """HTML of a run, and of others beside it.

    Args:
        runs: the present run first; at least one.
        compared: what stands under "Compared with".
        faces: show the sheet of mistakes.
    """
    first = runs[0]
    body = [
        _head(first, runs),
        headline(first),
        _contents(runs),
        section("compared", "Compared with", *compared),
        article(first, "", faces),
    ]
    for number, run in enumerate(runs[1:], start=2):
        title = f"{escape(run.name)}: {escape(words.net(run))}"
        body += [
            Markup(f'<h2 id="r{number}">{title}</h2>'),
            headline(run),
            article(run, f"r{number}-", faces),
        ]
    name = f"{run_title(first)}: {100 * first.metrics['accuracy']:.1f} % accuracy"
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(name)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<link rel="icon" href="data:,">\n<style>{CSS}</style></head>\n'
        f'<body><a class="skip" href="#compared">Skip to the content</a>\n'
        f"<main>{join(body)}</main></body></html>\n"
    )


def run_title(run: Run) -> str:
    """Net and dataset."""
    return f"{run.setting('model.arch')} on {run.setting('data.dataset')}"


def _head(run: Run, runs: Sequence[Run]) -> Markup:
    made = run.provenance or {}
    at = (
        f", revision {made['revision'][:12]}{' with changes' * bool(made.get('dirty'))}"
        if "revision" in made
        else ""
    )
    more = f", and {len(runs) - 1} more" if len(runs) > 1 else ""
    return join(
        [
            paragraph(f"Candid report: {run.name}{at}{more}", kind="eyebrow"),
            Markup(f"<h1>{escape(run_title(run))}</h1>"),
        ]
    )


def _contents(runs: Sequence[Run]) -> Markup:
    links = [("compared", "Compared with"), *PARTS.items()]
    links += [(f"r{number}", run.name) for number, run in enumerate(runs[1:], start=2)]
    items = "".join(f'<li><a href="#{anchor}">{escape(title)}</a></li>' for anchor, title in links)
    return Markup(f'<nav aria-label="Contents"><ul>{items}</ul></nav>')
