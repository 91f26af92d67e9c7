"""The few shapes that the page is made of. Text is escaped here; numbers are set in columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
"""


def document(title: str, style: str, body: str) -> str:
    """Make a whole page that can load nothing from anywhere."""
    return HEAD.format(title=escape(title), style=style) + body + "</body>\n</html>\n"


def section(title: str, note: str, body: str) -> str:
    """Head a part of the page; `note` is plain text under the title, `body` is HTML."""
    under = f"<p>{escape(note)}</p>\n" if note else ""
    return f"<section>\n<h2>{escape(title)}</h2>\n{under}{body}</section>\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Set a table; integers are grouped by thousands and aligned to the right."""
    filled = [[_cell("td", value) for value in row] for row in rows]
    right = [cell.startswith("<td class") for cell in filled[0]] if filled else [False] * len(columns)
    head = "".join(
        f"<th{' class=number' if number else ''}>{escape(name)}</th>"
        for name, number in zip(columns, right, strict=True)
    )
    body = "".join(f"<tr>{''.join(row)}</tr>\n" for row in filled)
    return (
        f"<div class='scroll'><table>\n<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
    )


def cards(entries: Iterable[tuple[str, int, str]]) -> str:
    """Show key figures: title, number, and a note that may be empty."""
    divs = "".join(
        f"<div><dt>{escape(title)}</dt><dd>{number:,}<small>{escape(note)}</small></dd></div>\n"
        for title, number, note in entries
    )
    return f"<dl class='cards'>\n{divs}</dl>\n"


def _cell(tag: str, value: object) -> str:
    if isinstance(value, int):
        return f"<{tag} class=number>{value:,}</{tag}>"
    return f"<{tag}>{escape(str(value))}</{tag}>"
