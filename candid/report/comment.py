"""What CI says on a pull request: the gate's verdict, the metrics, and the settings that changed."""

from __future__ import annotations

from typing import Any

from candid.errors import CandidError
from candid.gate.command import as_markdown, cannot_compare
from candid.gate.results import METRICS, Revision, flat, resolve
from candid.gate.verdict import judge
from candid.report.run import setting_text
from candid.text import markdown, markdown_table

MAX_CHARACTERS = 65_000  # GitHub takes 65,536
MAX_ROWS, MAX_LENGTH = 60, 80


def comment(baseline: str, here: Revision, link: str | None = None) -> str:
    """Markdown of the comment; what can't be read is said in its stead.

    The tables are those of `dvc metrics diff` and `dvc params diff`, with every name and value escaped: a
    pull request fills them. `link`: of the CI run.
    """
    commit = None
    try:
        commit = resolve(here.root, baseline)
        verdict = as_markdown(judge(commit, here))
    except CandidError as error:
        verdict = cannot_compare(str(error))
    parts = [verdict]
    for title, path in (("Metrics", METRICS), ("Settings", "params.yaml")):
        before, after = _values(commit, path), _values(here, path)
        rows = _rows(before, after, changed=path == "params.yaml")
        if rows:
            parts.append("\n".join([f"#### {title}", "", *rows, ""]))
    parts += [f"[The run and its report](<{markdown(link)}>)\n"] if link else []
    return "\n".join(parts)[:MAX_CHARACTERS]


def _values(revision: Revision | None, path: str) -> dict[str, Any]:
    """Dotted keys and values of a file; none where it can't be read, which the verdict says."""
    if revision is None:
        return {}
    try:
        return dict(flat(revision.json(path) if path.endswith(".json") else revision.yaml(path)))
    except CandidError:
        return {}


def _rows(before: dict[str, Any], after: dict[str, Any], changed: bool) -> list[str]:
    keys = [key for key in {**after, **before} if not changed or before.get(key) != after.get(key)]
    if not keys or not after:
        return []
    rows = []
    for key in keys[:MAX_ROWS]:
        old, new = before.get(key), after.get(key)
        difference = ""
        if isinstance(old, int | float) and isinstance(new, int | float):
            difference = f"{new - old:+.4g}"
        cells = (_text(values, key) for values in (before, after))
        rows.append([markdown(key[:MAX_LENGTH]), *cells, difference])
    header = ["", "baseline", "this change", "difference"]
    if changed:  # settings have no difference
        header, rows = header[:-1], [row[:-1] for row in rows]
    more = [f"\nand {len(keys) - MAX_ROWS} more"] if len(keys) > MAX_ROWS else []
    return [*markdown_table(header, rows), *more]


def _text(values: dict[str, Any], key: str) -> str:
    if key not in values:
        return "–"
    value = values[key]
    shown = f"{value:.4g}" if isinstance(value, float) else setting_text(value)
    return markdown(shown if len(shown) <= MAX_LENGTH else f"{shown[: MAX_LENGTH - 1]}…")
