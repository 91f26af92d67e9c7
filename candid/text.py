"""Numbers, names and tables as text, for the terminal, Markdown and CSV.

Names of files, classes and revisions come from strangers: whatever prints one passes it through `clean`,
`markdown` or `csv_cell`, so that no name forges a line, a heading, an escape sequence or a formula.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\r")
MARKDOWN_SPECIAL = "\\`*_{}[]<>()#|!~"


def clean(name: str) -> str:
    """Return a name on one line: control, format and unpaired surrogate characters as visible escapes.

    Example:
        >>> clean("a" + chr(10) + "b")
        'a\\\\nb'
    """
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in hidden
        else character
        for character in name
    )


def markdown(name: str) -> str:
    """Return a name that Markdown shows as it is, in a table cell too; on GitHub it notifies nobody."""
    escaped = (f"\\{letter}" if letter in MARKDOWN_SPECIAL else letter for letter in clean(name))
    return "".join(escaped).replace("@", "@<!-- -->")


def csv_cell(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula and no reader for two rows."""
    text = clean(name)
    return f"'{text}" if text.startswith(FORMULA) else text


def percent(share: float, digits: int = 1) -> str:
    """Return a share in per cent: 0.7342 is `73.4 %`."""
    return f"{100 * share:.{digits}f} %"


def points(change: float) -> str:
    """Return a change of a share in percentage points, with its sign unless it rounds to nothing."""
    text = f"{100 * change:+.1f}".replace("-", "\N{MINUS SIGN}")
    return "0.0" if text[1:] == "0.0" else text


def interval(low: float | None, high: float | None) -> str:
    """Return the bounds of an interval of shares in per cent, ` (61.9 to 95.7)`; empty where unknown."""
    return "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Return the lines of a table for the terminal: `left` are the columns aligned left, numbers go right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, *rows]
    ]


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)
) -> list[str]:
    """Return the lines of a Markdown table; cells are taken as they are (`markdown` escapes names)."""
    rule = ["---" if column in left else "---:" for column in range(len(header))]
    return ["| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)]
