"""What a run was asked to do: its settings, the telling ones first."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from candid.report import words
from candid.report.markup import Markup, setting, table
from candid.report.runs import Run

SECTIONS = ("data", "dedup", "split", "class_weights", "model", "archs", "train", "evaluate")


def asked(run: Run) -> Iterator[Markup]:
    """A short table, and all settings behind a click."""
    rows = [
        ("dataset", words.dataset(run)),
        ("protocol", words.protocol(run)),
        ("net", words.net(run)),
        ("training", words.training(run)),
        ("augmentation", words.augmentation(run)),
        ("class weights", str(run.setting("class_weights.scheme"))),
        ("test-time augmentation", str(run.setting("evaluate.tta"))),
        (
            "seeds",
            ", ".join(f"{name} {run.setting(f'{name}.seed')}" for name in ("split", "train", "evaluate")),
        ),
    ]
    yield table("The settings that matter most", ("setting", "value"), rows, kind="settings", words=2)
    yield Markup("<details><summary>All settings</summary>")
    groups: dict[str, list[tuple[str, str]]] = {}
    for key, value in settings(run):
        section, _, rest = key.partition(".")
        groups.setdefault(section, []).append((rest, value))
    blocks = (
        f"<div><h4>{escape(section)}</h4><dl>"
        + "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in entries)
        + "</dl></div>"
        for section, entries in groups.items()
    )
    yield Markup(f'<div class="all">{"".join(blocks)}</div></details>')


def settings(run: Run) -> Iterator[tuple[str, str]]:
    """Dotted key and value of what the stages read; of the nets, the one that was trained."""
    for name in SECTIONS:
        values = run.params.get(name)
        if name == "archs":
            arch = str(run.setting("model.arch"))
            yield from _flat(f"archs.{arch}", (values or {}).get(arch))
        else:
            yield from _flat(name, values)


def _flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    else:
        yield key, setting(value)
