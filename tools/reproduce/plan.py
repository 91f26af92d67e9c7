"""Which experiments a command asks for, and which of them are there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from stages.errors import CandidError
from tools.compare.found import Experiment
from tools.compare.names import Name, variation
from tools.compare.settings import differences, flat, shortened
from tools.recipes import Recipe, Run
from tools.recipes.recipe import Overrides
from tools.reproduce.needs import OWN, Needs
from tools.reproduce.overrides import check_settings


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
    plain = dict(run.members(honest))
    weights = any(settings.get("model.weights") == "imagenet" for settings in plain.values())
    missing = needs.weights(next(iter(plain.values()))) if weights and not asked.scratch else None
    scratch = weights and run.without_imagenet is not None and (asked.scratch or missing is not None)
    found: list[Planned] = []
    for suffix, settings in run.members(honest, imagenet=not scratch):
        if asked.members and not any(fnmatchcase(suffix, pattern) for pattern in asked.members):
            continue
        whole, changed = _changed(settings, run, honest, asked, params)
        if not found:
            check_settings(params, whole, "the command line" if changed else f"recipes/{recipe.key}.yaml")
        epochs = None if asked.epochs is None or "train.epochs" not in changed else asked.epochs
        others = {key: value for key, value in changed.items() if key in (asked.changes or {})}
        if whole.get("data.dataset") == OWN:
            others.pop("data.path", None)  # where one's own pictures lie changes nothing of the run
        name = Name(run.name, honest, suffix, variation(scratch, epochs, others))
        lacking = needs.data(whole) or (None if scratch else missing)
        instead = (missing or "ImageNet weights: left out, as asked") if scratch else None
        found.append(Planned(name, name.of(recipe.key), whole, lacking=lacking, instead=instead))
    return found


def _changed(
    settings: Overrides, run: Run, honest: bool, asked: Asked, params: Mapping[str, Any]
) -> tuple[Overrides, Overrides]:
    """Complete overrides with what the command line changes, and that alone."""
    every = {**flat(params), **settings}
    over = run.honest_over if honest else run.over
    for key in asked.changes or {}:
        if key in over:
            raise CandidError(f"--set {key}: {run.name} runs over it; choose with --members")
    changed = differences_to(every, asked.changes or {})
    if asked.epochs is not None:
        companions = shortened({**every, **changed}, asked.epochs)
        changed |= {
            key: value
            for key, value in companions.items()
            if key == "train.epochs" or key not in (asked.changes or {})
        }
    return {**settings, **changed}, changed


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
