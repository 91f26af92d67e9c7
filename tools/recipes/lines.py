"""Where in a YAML file each entry stands, and dotted settings with the line that each comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

Place = tuple[int | str, ...]
"""Keys and numbers that lead to an entry: ("runs", 3, "settings", "train.epochs")."""


class Lines:
    """Line numbers of a YAML file, from 1."""

    def __init__(self, path: Path) -> None:
        """Read the file, which has to be YAML."""
        self.path = path
        top = YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8"))
        self._lines: dict[Place, int] = dict(_walk(top, ())) if top else {}

    def line(self, place: Sequence[int | str]) -> int:
        """Line of the entry, or of the nearest that holds it."""
        where = tuple(place)
        while where and where not in self._lines:
            where = where[:-1]
        return self._lines.get(where, 1)

    def at(self, place: Sequence[int | str]) -> str:
        """Give file and line, as a message begins."""
        return f"{self.path}:{self.line(place)}"


def _walk(node: Node, place: Place) -> Iterator[tuple[Place, int]]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield (*place, key.value), key.start_mark.line + 1
            yield from _walk(value, (*place, key.value))
    elif isinstance(node, SequenceNode):
        for number, value in enumerate(node.value):
            yield (*place, number), value.start_mark.line + 1
            yield from _walk(value, (*place, number))


@dataclass(frozen=True)
class Settings:
    """Dotted overrides, each with the line that it comes from."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Mapping[str, Any], place: Place, lines: Lines) -> Settings:
        """Flatten what stands at `place`: a mapping behind a key stands for the keys in it."""
        values: dict[str, Any] = {}
        known: dict[str, int] = {}
        for key, value in given.items():
            if isinstance(value, Mapping):
                inner = cls.read(value, (*place, key), lines)
                values |= {f"{key}.{name}": entry for name, entry in inner.values.items()}
                known |= {f"{key}.{name}": line for name, line in inner.lines.items()}
            else:
                values[str(key)] = value
                known[str(key)] = lines.line((*place, key))
        return cls(values, known)

    def __or__(self, other: Settings) -> Settings:
        """Put the other's over these."""
        return Settings(self.values | other.values, self.lines | other.lines)

    def line(self, key: str) -> int | None:
        """Line of a key, of one below it or of one above it; None: not set here."""
        for name, line in reversed(self.lines.items()):
            if name == key or name.startswith(f"{key}.") or key.startswith(f"{name}."):
                return line
        return None
