"""What there is to reproduce, and what a command would do, in lines."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from candid.compare.settings import flat
from candid.data.catalogue import Dataset
from candid.gate.results import MISSING, look_up
from candid.recipes import Recipe, Run
from candid.reproduce.cost import core_hours
from candid.reproduce.needs import Needs
from candid.reproduce.overrides import hydra
from candid.reproduce.plan import Planned

HEAD = ("run", "net", "data", "experiments", "core-hours", "honest: experiments", "core-hours")
NOTE = (
    "Core-hours: all epochs on one core of a server, from the nets' multiply-adds. Rough: a factor of three "
    "either way, and early stopping takes less."
)


def listing(
    recipes: Sequence[Recipe], params: Mapping[str, Any], catalogue: Mapping[str, Dataset], needs: Needs
) -> Iterator[str]:
    """Lines of --list."""
    lacking: dict[str, list[str]] = {}
    for recipe in recipes:
        yield f"{recipe.key}: {recipe.paper.short}, {recipe.paper.title}"
        rows: list[tuple[str, ...]] = [HEAD]
        for run in recipe.runs:
            row, missing = _row(run, params, catalogue, needs)
            rows.append(row)
            for told in missing:
                lacking.setdefault(told, []).append(f"{recipe.key}-{run.name}")
        widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
        for row in rows:
            cells = (
                cell.ljust(width) if place < 3 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            yield "  " + "  ".join(cells).rstrip()
        yield ""
    yield NOTE
    for told, runs in lacking.items():
        yield ""
        yield f"Not here: {told}"
        yield f"  needed by {', '.join(runs)}"


def _row(
    run: Run, params: Mapping[str, Any], catalogue: Mapping[str, Dataset], needs: Needs
) -> tuple[tuple[str, ...], list[str]]:
    settings = run.members(honest=False)[0][1]
    data, weights = needs.data(settings, run.data_from), None
    if settings.get("model.weights") == "imagenet":
        weights = needs.weights(settings)
    name = {**flat(params), **settings}["data.dataset"]
    cells: list[str] = [
        run.name,
        str({**flat(params), **settings}["model.arch"]),
        f"{name}{' (not here)' * (data is not None)}",
    ]
    for honest in (False, True):
        members = run.members(honest)
        hours = [core_hours(one, params, catalogue) for _, one in members]
        known = [one for one in hours if one is not None]
        cells += [str(len(members) or "–"), rough(sum(known)) if known and len(known) == len(hours) else "–"]
    if weights is not None and run.without_imagenet is not None:
        weights += "; such runs train from scratch, and their names and the table say so"
    return tuple(cells), [told for told in (data, weights) if told is not None]


def rough(hours: float) -> str:
    """One significant digit, two from ten on."""
    return f"{hours:.1g}" if hours < 10 else f"{float(f'{hours:.2g}'):g}"


def planned(plan: Sequence[Planned], params: Mapping[str, Any], commands: bool) -> Iterator[str]:
    """What will be run, what is there, and what can't be; with the DVC command of each if asked for."""
    for one in plan:
        if one.done is not None:
            yield f"there    {one.called} ({one.done[:7]})"
        elif one.lacking is None:
            yield f"to run   {one.called}"
            if commands:
                yield f"         {command(one, params)}"
    for reason, runs in _by_reason((one.instead, one) for one in plan):
        yield f"without  {reason}; from scratch: {', '.join(runs)}"
    for reason, runs in _by_reason((one.lacking, one) for one in plan if one.done is None):
        yield f"left out {', '.join(runs)}: needs {reason}"


def _by_reason(told: Iterable[tuple[str | None, Planned]]) -> Iterable[tuple[str, list[str]]]:
    """Each reason once, with the runs that it holds for."""
    reasons: dict[str, dict[str, None]] = {}
    for reason, one in told:
        if reason is not None:
            reasons.setdefault(reason, {})[one.name.run] = None
    return [(reason, list(runs)) for reason, runs in reasons.items()]


def command(one: Planned, params: Mapping[str, Any]) -> str:
    """The command that queues an experiment; what params.yaml says already is left out of it."""
    sets = [
        f"-S {shlex.quote(hydra(key, value, params))}"
        for key, value in one.overrides.items()
        if look_up(params, key) is MISSING or look_up(params, key) != value
    ]
    return " ".join([f"dvc exp run --queue -n {one.called}", *sets])
