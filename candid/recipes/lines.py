"""Where in a YAML file each entry stands, and dotted settings with the line that each comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from candid.errors import CandidError

Place = tuple[int | str, ...]
"""Keys and numbers that lead to an entry: ("runs", 3, "settings", "train.epochs")."""


class Lines:
    """Line numbers of a YAML file, from 1."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            CandidError: file, line and fault: no YAML, a key given twice, or one that is not text.
        """
        self.path = path
        self._lines: dict[Place, int] = {}
        try:
            top = YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8"))
            if top is not None:
                self._lines |= self._walk(top, ())
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise CandidError(f"{path}:{mark.line + 1 if mark else 1}: not YAML: {error.problem}") from None
        except (UnicodeDecodeError, ReaderError) as error:
            raise CandidError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
        except RecursionError:
            raise CandidError(f"{path}: an entry that holds itself, or too many within each other") from None

    def line(self, place: Sequence[int | str]) -> int:
        """Line of the entry, or of the nearest that holds it."""
        where = tuple(place)
        while where and where not in self._lines:
            where = where[:-1]
        return self._lines.get(where, 1)

    def at(self, place: Sequence[int | str]) -> str:
        """Give file and line, as a message begins."""
        return f"{self.path}:{self.line(place)}"

    def _walk(self, node: Node, place: Place) -> Iterator[tuple[Place, int]]:
        if isinstance(node, MappingNode):
            first: dict[str, int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                if not isinstance(key, ScalarNode):
                    raise CandidError(f"{self.path}:{line}: a list or a mapping as a key; expected text")
                if key.value in first:
                    told = f"{key.value} a second time; first in line {first[key.value]}"
                    raise CandidError(f"{self.path}:{line}: {told}")
                first[key.value] = line
                yield (*place, key.value), line
                yield from self._walk(value, (*place, key.value))
        elif isinstance(node, SequenceNode):
            for number, value in enumerate(node.value):
                yield (*place, number), value.start_mark.line + 1
                yield from self._walk(value, (*place, number))


@dataclass(frozen=True)
class Settings:
    """Dotted overrides, each with the line that it comes from."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Mapping[str, Any], place: Place, lines: Lines) -> Settings:
        """Flatten what stands at `place`: a mapping behind a key stands for the keys in it.

        Raises:
            CandidError: file, line and key: given twice (train.epochs beside train: {epochs: ...}), or empty.
        """
        values: dict[str, Any] = {}
        known: dict[str, int] = {}
        for key, value, at in _leaves(given, place, lines):
            line = lines.line(at)
            if key in known:
                raise CandidError(f"{lines.path}:{line}: {key} a second time; first in line {known[key]}")
            values[key], known[key] = value, line
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


def _leaves(
    given: Mapping[str, Any], place: Place, lines: Lines, above: str = ""
) -> Iterator[tuple[str, Any, Place]]:
    """Dotted key, value and place of each setting; no setting has a mapping as its value."""
    for key, value in given.items():
        name, at = f"{above}{key}", (*place, key)
        if not isinstance(value, Mapping):
            yield name, value, at
        elif value:
            yield from _leaves(value, at, lines, f"{name}.")
        else:
            raise CandidError(f"{lines.at(at)}: {name} = {{}}: expected a value, or keys below it")
