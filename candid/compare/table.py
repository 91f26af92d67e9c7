"""Puts a recipe's table together from the experiments here, or from a folder of recorded results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from candid.compare.found import read_experiments
from candid.compare.measured import Measured, gather
from candid.compare.recorded import FOLDER, read_recorded
from candid.compare.rows import Table, pair
from candid.compare.seconds import seconds_of
from candid.errors import CandidError
from candid.recipes import Recipe, Run


def build(
    root: Path, recipe: Recipe, runs: Sequence[Run], folder: Path | None = None, every: bool = False
) -> Table:
    """Compare the runs.

    Args:
        root: the project.
        recipe: read.
        runs: of it, those to show.
        folder: of recorded results, in place of the experiments here; where it is None, what is committed in
            recipes/measured/<recipe> stands in for runs without an experiment here.
        every: a row for each variation of a run, not for the nearest to the recipe alone.
    """
    if folder is not None and not folder.is_dir():
        raise CandidError(f"{folder}: no such folder; expected what --export wrote")
    here = [] if folder is not None else measured_here(root, recipe)
    recorded = read_recorded(folder or root / FOLDER / recipe.key, recipe)
    pairs = []
    for run in runs:
        pools = [[one for one in pool if one.run.name == run.name] for pool in (here, recorded)]
        if every:
            known = dict.fromkeys(one.variation for pool in pools for one in pool)
            alike = [[[one for one in pool if one.variation == name] for pool in pools] for name in known]
            pairs += [pair(run, *some) for some in alike or [pools]]
        else:
            pairs.append(pair(run, *pools))
    return Table(recipe, pairs)


def measured_here(root: Path, recipe: Recipe) -> list[Measured]:
    """All that was run here: of each run and protocol, the nearest to the recipe first."""
    experiments = read_experiments(root, recipe, predictions=True)
    return [
        replace(one, seconds=_seconds(root, one))
        for run in recipe.runs
        for honest in (False, True)
        for one in gather(run, honest, experiments)
    ]


def _seconds(root: Path, of: Measured) -> dict[str, float]:
    known = {suffix: seconds_of(root, one.called, one.commit) for suffix, one in of.members.items()}
    return {suffix: seconds for suffix, seconds in known.items() if seconds is not None}


def choose(recipe: Recipe, wanted: Sequence[str]) -> list[Run]:
    """The runs of these names, patterns (fer2013-*) or parts of names (resnet18), in the recipe's order.

    Raises:
        CandidError: one fits no run.
    """
    from fnmatch import fnmatchcase

    if not wanted:
        return recipe.runs
    chosen: set[str] = set()
    for text in wanted:
        text = text.removeprefix(f"{recipe.key}-")
        fits = [run.name for run in recipe.runs if fnmatchcase(run.name, text)]
        fits = fits or [run.name for run in recipe.runs if f"-{text}-" in f"-{run.name}-"]
        if not fits:
            names = ", ".join(run.name for run in recipe.runs)
            raise CandidError(f"{recipe.key} has no run {text!r}; expected one of {names}")
        chosen |= set(fits)
    return [run for run in recipe.runs if run.name in chosen]
