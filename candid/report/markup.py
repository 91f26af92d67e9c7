"""Small pieces of HTML; whatever comes from data is escaped here."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: Any) -> str:
    """HTML of a value: Markup as it is, anything else escaped."""
    return value if isinstance(value, Markup) else escape(str(value))


def join(parts: Iterable[str]) -> Markup:
    """Pieces of HTML, one after the other."""
    return Markup("\n".join(parts))


def paragraph(*parts: Any, kind: str = "") -> Markup:
    """A paragraph."""
    return Markup(f'<p class="{kind}">' + "".join(text(part) for part in parts) + "</p>")


def table(
    caption: str, head: Sequence[Any], rows: Iterable[Sequence[Any]], kind: str = "", words: int = 1
) -> Markup:
    """A table that scrolls on its own where it is too wide; after `words` columns of text come numbers."""
    cells = "".join(f'<th scope="col">{text(cell)}</th>' for cell in head)
    body = "".join(
        "<tr>"
        + f'<th scope="row">{text(row[0])}</th>'
        + "".join(
            f'<td class="{"word" if place < words else ""}">{text(cell)}</td>'
            for place, cell in enumerate(row[1:], start=1)
        )
        + "</tr>"
        for row in rows
    )
    return Markup(
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="{kind}">'
        f"<caption>{escape(caption)}</caption><thead><tr>{cells}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def figure(drawing: str, caption: Any, legend: Sequence[tuple[str, str]] = ()) -> Markup:
    """A chart with what it shows, and a legend of (class, word)."""
    keys = "".join(
        '<li><svg class="key" viewBox="0 0 24 8" aria-hidden="true">'
        f'<path class="line {kind}" d="M1 4H23"/></svg>'
        f"{escape(word)}</li>"
        for kind, word in legend
    )
    listed = f'<ul class="legend">{keys}</ul>' if legend else ""
    return Markup(f"<figure>{drawing}{listed}<figcaption>{text(caption)}</figcaption></figure>")


def picture(png: bytes, alt: str, caption: Any) -> Markup:
    """A PNG inside the page."""
    data = base64.b64encode(png).decode()
    return Markup(
        f'<figure class="full"><img src="data:image/png;base64,{data}" alt="{escape(alt)}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def section(number: str, title: str, *parts: str) -> Markup:
    """A part of the page with an anchor."""
    return Markup(f'<section id="{number}"><h3>{escape(title)}</h3>' + "\n".join(parts) + "</section>")


def setting(value: Any) -> str:
    """A setting as params.yaml has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def percent(value: float | None, digits: int = 1) -> str:
    """A share in per cent; a dash where it is unknown."""
    return "–" if value is None or value != value else f"{100 * value:.{digits}f}\u00a0%"


def interval(metrics: dict[str, Any], name: str) -> str:
    """`68.2 % (66.7 to 69.7)` from the entries name, name_low and name_high."""
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    bounds = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    return percent(metrics.get(name)) + bounds
