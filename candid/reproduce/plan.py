"""Which experiments a command asks for, and which of them are there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from candid.compare.found import Experiment
from candid.compare.settings import OPEN, differences, flat, shortened
from candid.data.catalogue import OWN
from candid.errors import CandidError
from candid.recipes import Recipe, Run
from candid.recipes.names import Name, variation
from candid.recipes.recipe import Overrides
from candid.reproduce.needs import Needs
from candid.reproduce.overrides import check_settings


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    runs: Sequence[Run]
    honest: tuple[bool, ...] = (False,)
    """Protocols: False the paper's, True the honest counterpart."""
    epochs: int | None = None
    changes: Overrides | None = None
    members: Sequence[str] = ()
    """Patterns of suffixes such as r0-*; none: all."""
    scratch: bool = False
    """Leave the ImageNet weights out even where they can be had."""


@dataclass(frozen=True)
class Planned:
    """One experiment."""

    name: Name
    called: str
    overrides: Overrides
    """All that is set, over params.yaml."""
    done: str | None = None
    """Commit of the experiment that has these settings; None: to be run."""
    lacking: str | None = None
    """What keeps it from being run: one line on what to get and where."""
    instead: str | None = None
    """What it goes without: one line."""


def plan(recipe: Recipe, asked: Asked, params: Mapping[str, Any], needs: Needs) -> list[Planned]:
    """List the experiments, those of a run together, in the recipe's order.

    Args:
        recipe: read.
        asked: what to run.
        params: params.yaml, over which all is put.
        needs: tells what can be had here.

    Raises:
        CandidError: no member fits, or a change is none that the stages would take.
    """
    changes = asked.changes or {}
    if asked.epochs is not None and "train.epochs" in changes:
        told = f"--epochs {asked.epochs} and --set train.epochs={changes['train.epochs']}"
        raise CandidError(f"{told}: expected one of the two")
    if asked.scratch and changes.get("model.weights") is not None:
        told = f"--scratch and --set model.weights={changes['model.weights']}"
        raise CandidError(f"{told}: expected one of the two")
    found: list[Planned] = []
    for run in asked.runs:
        for honest in asked.honest:
            found += _run(recipe, run, honest, asked, params, needs)
    if asked.members and not found:
        suffixes = [
            suffix for run in asked.runs for honest in asked.honest for suffix, _ in run.members(honest)
        ]
        known = ", ".join(dict.fromkeys(suffix for suffix in suffixes if suffix)) or "none: these are single"
        raise CandidError(f"--members {' '.join(asked.members)}: no such member; expected some of {known}")
    return found


def _run(
    recipe: Recipe, run: Run, honest: bool, asked: Asked, params: Mapping[str, Any], needs: Needs
) -> list[Planned]:
    scratch, missing = _weights(run, honest, asked, params, needs)
    found: list[Planned] = []
    for suffix, settings in run.members(honest, imagenet=not scratch):
        if asked.members and not any(fnmatchcase(suffix, pattern) for pattern in asked.members):
            continue
        whole, changed, others = _changed(settings, run, honest, asked, params)
        where = "the command line" if changed else f"recipes/{recipe.key}.yaml"
        check_settings(params, needs.catalogue, whole, where)
        epochs = None if asked.epochs is None or "train.epochs" not in changed else asked.epochs
        if whole.get("data.dataset") == OWN:
            for key in ("data.path", "data.subject_pattern"):  # of one's own pictures; the run is the same
                others.pop(key, None)
        name = Name(run.name, honest, suffix, variation(scratch, epochs, others))
        lacking = needs.data(whole, run.data_from) or (None if scratch else missing)
        instead = (missing or "ImageNet weights: left out, as asked") if scratch else None
        found.append(Planned(name, name.of(recipe.key), whole, lacking=lacking, instead=instead))
    return found


def _weights(
    run: Run, honest: bool, asked: Asked, params: Mapping[str, Any], needs: Needs
) -> tuple[bool, str | None]:
    """Whether a run goes without the ImageNet weights that its recipe names, and what is missing of them.

    Weights that --set names are never left out; null there leaves the recipe's out, as --scratch does.
    """
    changes = asked.changes or {}
    named = "model.weights" in changes
    members = [settings for _, settings in run.members(honest)]
    has_other_way = run.without_imagenet is not None and any(_asks_imagenet(one) for one in members)
    if has_other_way and (asked.scratch or (named and changes["model.weights"] is None)):
        return True, None
    whole = [{**flat(params), **settings, **changes} for settings in members]
    missing = next((needs.weights(one) for one in whole if _asks_imagenet(one)), None)
    return missing is not None and has_other_way and not named, missing


def _asks_imagenet(settings: Overrides) -> bool:
    return bool(settings.get("model.weights") == "imagenet")


def _changed(
    settings: Overrides, run: Run, honest: bool, asked: Asked, params: Mapping[str, Any]
) -> tuple[Overrides, Overrides, Overrides]:
    """Complete overrides with what is changed, that alone, and of it what the name has to tell.

    Changed is what the command line says, and what params.yaml has in place of what stands for the papers'
    own (OPEN): an edit there must not pass for the run either.
    """
    given, changes = flat(params), asked.changes or {}
    left_open = {key: value for key, value in OPEN.items() if key in given and key not in settings}
    settings = {**left_open, **settings}
    every = {**given, **settings}
    over = run.honest_over if honest else run.over
    for key in changes:
        if key in over:
            raise CandidError(f"--set {key}: {run.name} runs over it; choose with --members")
    edited = {key: given[key] for key in left_open}
    named = changed = differences_to(every, {**edited, **changes})
    if asked.epochs is not None:
        companions = shortened({**every, **edited}, asked.epochs)
        companions = {key: value for key, value in companions.items() if key not in changes}
        named = {key: value for key, value in changed.items() if key not in companions}
        changed = {**changed, **companions}
    return {**settings, **changed}, changed, named


def differences_to(has: Overrides, wanted: Overrides) -> Overrides:
    """The wanted settings that are not as they are."""
    return {key: wanted[key] for key in differences(has, wanted)}


def mark_done(planned: Iterable[Planned], experiments: Sequence[Experiment]) -> list[Planned]:
    """Tell of each planned experiment whether one of its name holds the wanted settings; newest first."""
    by_name: dict[str, list[Experiment]] = {}
    for one in experiments:
        by_name.setdefault(one.called, []).append(one)
    return [
        replace(
            one,
            done=next(
                (
                    had.commit
                    for had in by_name.get(one.called, [])
                    if not differences(had.params, one.overrides)
                ),
                None,
            ),
        )
        for one in planned
    ]
