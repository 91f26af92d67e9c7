"""Every experiment of a recipe has a name of its own, from which run, protocol and member can be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from candid.errors import CandidError
from candid.recipes.lines import Lines
from candid.recipes.names import HONEST, PLAIN, Name, Names
from candid.recipes.recipe import Recipe, Run


def check_names(recipe: Recipe, lines: Lines) -> None:
    """Refuse a run whose experiments would be taken for others.

    Raises:
        CandidError: file, line, run, the name, and what else it would stand for.
    """
    for fault in (_faults_of, _hidden_by_others):
        for number, run in enumerate(recipe.runs):
            for told in fault(recipe, run):
                raise CandidError(f"{lines.at(('runs', number, 'name'))}: run {run.name!r}: {told}")


def _faults_of(recipe: Recipe, run: Run) -> Iterator[str]:
    """What is wrong with its names, also beside runs whose names it begins with."""
    if HONEST in run.name.split("-"):
        yield f"{HONEST} stands for the honest counterparts; expected another name"
    texts = [name.of(recipe.key) for name in _names(run)]
    for text in texts:
        if texts.count(text) > 1:
            yield f"two experiments would be called {text}; expected different values"
    for other in recipe.runs:
        if run.name.startswith(f"{other.name}-"):
            names = Names(replace(recipe, runs=[other]))
            for text in texts:
                found = names.read(text)
                if found is not None and PLAIN.fullmatch(found.variation):
                    yield f"{text} would also be an experiment of run {other.name!r}; expected another name"


def _hidden_by_others(recipe: Recipe, run: Run) -> Iterator[str]:
    names = Names(recipe)
    for name in _names(run):
        text = name.of(recipe.key)
        if names.read(text) != name:
            yield f"{text} would be read as of another run; expected another name"


def _names(run: Run) -> Iterator[Name]:
    for honest in (False, True):
        for member, _ in run.members(honest):
            yield Name(run.name, honest, member)
