"""What an experiment of a recipe is called: <recipe>-<run>[-honest][-<member>][-<variation>]."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from candid.recipes.recipe import Overrides, Recipe

HONEST = "honest"
LONGEST = 48
PLAIN = re.compile(r"(scratch)?-?(\d+epochs?)?-?(set_[0-9a-f]{8})?")
"""Variations that could be part of a run's name, and none; the others have a dot."""


@dataclass(frozen=True, order=True)
class Name:
    """The parts of a name."""

    run: str
    honest: bool = False
    member: str = ""
    """Such as r0-f3; empty where the run is a single experiment."""
    variation: str = ""
    """Such as 2epochs; empty: the run as the recipe has it."""

    def of(self, recipe: str) -> str:
        """Give the name as DVC and git have it."""
        parts = (recipe, self.run, HONEST if self.honest else "", self.member, self.variation)
        return "-".join(part for part in parts if part)


def variation(scratch: bool = False, epochs: int | None = None, changed: Overrides | None = None) -> str:
    """Name what sets an experiment apart from its run; empty where nothing does.

    Args:
        scratch: without the ImageNet weights asked for.
        epochs: another number of them.
        changed: other settings, by dotted key.
    """
    parts = ["scratch"] if scratch else []
    if epochs is not None:
        parts.append(f"{epochs}epoch{'s' * (epochs != 1)}")
    told = "-".join(f"{key}_{_slug(value)}" for key, value in sorted((changed or {}).items()))
    if len(told) > LONGEST:
        told = "set_" + hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:8]
    return "-".join([*parts, told] if told else parts)


def _slug(value: object) -> str:
    """Only what git takes in a name, and nothing that could be read as two parts."""
    return re.sub(r"[^A-Za-z0-9]+", "_", json.dumps(value)).strip("_") or "none"


class Names:
    """Takes the names of one recipe's experiments apart."""

    def __init__(self, recipe: Recipe) -> None:
        """List what its runs and their members are called."""
        self.recipe = recipe.key
        self.known = [
            (
                run.name,
                {
                    honest: sorted((suffix for suffix, _ in run.members(honest)), key=len, reverse=True)
                    for honest in (False, True)
                },
            )
            for run in sorted(recipe.runs, key=lambda run: -len(run.name))
        ]

    def read(self, text: str) -> Name | None:
        """Give the parts; None where it is of no run of this recipe."""
        for run, suffixes in self.known:
            rest = _behind(text, f"{self.recipe}-{run}")
            if rest is None:
                continue
            inner = _behind(rest, HONEST)
            honest = inner is not None
            rest = rest if inner is None else inner
            for suffix in suffixes[honest]:
                behind = _behind(rest, suffix) if suffix else rest
                if behind is not None:
                    return Name(run, honest, suffix, behind)
            return None
        return None


def _behind(text: str, start: str) -> str | None:
    """What follows `start` and a dash; "" where nothing does; None where `text` begins otherwise."""
    if text == start:
        return ""
    return text.removeprefix(f"{start}-") if text.startswith(f"{start}-") else None
