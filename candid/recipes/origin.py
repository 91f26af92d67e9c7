"""Each setting of a recipe is the paper's, in `given`, or ours, in `chosen` with the reason: one of both."""

from __future__ import annotations

from dataclasses import dataclass

from candid.errors import CandidError
from candid.recipes.lines import Lines, Place, Settings
from candid.recipes.schema import RecipeFile


@dataclass(frozen=True)
class _Entry:
    """A dotted key of `given` or `chosen`; it stands for those below it too."""

    key: str
    place: Place

    def __str__(self) -> str:
        return f"{self.place[0]} {self.key}"

    def covers(self, key: str) -> bool:
        return key == self.key or key.startswith(f"{self.key}.")


def check_origins(file: RecipeFile, lines: Lines) -> None:
    """Refuse a setting whose origin isn't told, or told twice, and an origin of what is set nowhere.

    The settings are those of the recipe and of its runs, with `over`. What the honest counterpart changes, or
    a run without ImageNet weights, is always ours.

    Raises:
        CandidError: file, line, key and what was expected.
    """
    known = _lines_of_settings(file, lines)
    entries = [_Entry(key, ("given", number)) for number, key in enumerate(file.given)]
    entries += [_Entry(key, ("chosen", keys)) for keys in file.chosen for key in split_keys(keys)]
    for entry in entries:
        if not any(map(entry.covers, known)):
            told = "is set nowhere; expected a key of settings or of a run"
            raise CandidError(f"{lines.at(entry.place)}: {entry} {told}")
    for key, line in known.items():
        found = [entry for entry in entries if entry.covers(key)]
        if not found:
            told = "expected it, or a key above it, in given (what the paper states) or in chosen (why)"
            raise CandidError(f"{lines.path}:{line}: {key} is neither given nor chosen; {told}")
        if len(found) > 1:
            told = f"and so does {found[0]} in line {lines.line(found[0].place)}; expected one of them"
            raise CandidError(f"{lines.at(found[1].place)}: {found[1]} stands for {key}, {told}")


def split_keys(keys: str) -> list[str]:
    """Take apart keys that share a reason: "train.mixup, train.averaging"."""
    return [key.strip() for key in keys.split(",")]


def _lines_of_settings(file: RecipeFile, lines: Lines) -> dict[str, int]:
    """Dotted key -> where it is set first."""
    found = dict(Settings.read(file.settings, ("settings",), lines).lines)
    for number, run in enumerate(file.runs):
        place: Place = ("runs", number)
        found = Settings.read(run.settings, (*place, "settings"), lines).lines | found
        found = {key: lines.line((*place, "over", key)) for key in run.over} | found
    return found
