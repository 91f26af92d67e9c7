"""Results as files that can be committed: numbers and settings, no faces and no names of pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from candid.compare.found import Experiment
from candid.compare.measured import Measured, rank
from candid.compare.settings import same, shown
from candid.errors import CandidError
from candid.files import read_json, write_json
from candid.recipes import Recipe
from candid.recipes.check import SECTIONS
from candid.recipes.names import Name

FOLDER = Path("recipes/measured")
DECIMALS = 6


def write_recorded(folder: Path, recipe: Recipe, found: Iterable[Measured]) -> list[Path]:
    """Write a file for each run, protocol and variation; give their paths."""
    written = []
    for one in found:
        called = Name(one.run.name, one.honest, "", one.variation).of(recipe.key)
        path = folder / f"{called}.json"
        write_json(path, _plain(recipe, one))
        written.append(path)
    return written


def _plain(recipe: Recipe, of: Measured) -> dict[str, Any]:
    members = list(of.members.values())
    shared = _settings(members[0])
    metrics = sorted({one.metric for one in of.run.published} | {*of.own_metrics, "macro.f1"})
    bounds = {metric: found for metric in metrics if (found := of.bounds(metric)) is not None}
    together = {metric: scores for metric in metrics if (scores := of.scores_together(metric))}
    return {
        "recipe": recipe.key,
        "run": of.run.name,
        "honest": of.honest,
        "variation": of.variation,
        "settings": shared,
        "intervals": {
            metric: [round(low, DECIMALS), round(high, DECIMALS)] for metric, (low, high) in bounds.items()
        },
        "together": {
            metric: [round(value, DECIMALS) for value in found] for metric, found in together.items()
        },
        "members": {
            suffix or "only": {
                "experiment": one.called,
                "commit": one.commit,
                "baseline": one.baseline,
                "committed": one.when,
                "seconds": of.seconds.get(suffix),
                "settings": {
                    key: value
                    for key, value in _settings(one).items()
                    if key not in shared or not same(shared[key], value)
                },
                "metrics": one.metrics,
            }
            for suffix, one in of.members.items()
        },
    }


def _settings(of: Experiment) -> dict[str, Any]:
    """What the stages read: of the nets, the one that was trained."""
    starts = (*(f"{name}." for name in SECTIONS), f"archs.{of.params.get('model.arch')}.")
    return {key: shown(key, value) for key, value in of.params.items() if key.startswith(starts)}


def read_recorded(folder: Path, recipe: Recipe) -> list[Measured]:
    """Read what `write_recorded` wrote for this recipe; runs that it no longer has are left out.

    Raises:
        CandidError: a file is no such record.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        record = read_json(path)
        try:
            if record["recipe"] == recipe.key and record["run"] in {run.name for run in recipe.runs}:
                found.append(_measured(record, recipe))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise CandidError(
                f"{path}: no record of results ({type(error).__name__}: {error}); "
                "expected what `candid compare RECIPE --export FOLDER` writes"
            ) from None
    return rank([one for one in found if one.members])


def _measured(record: Mapping[str, Any], recipe: Recipe) -> Measured:
    run = recipe.run(record["run"])
    wanted = [suffix for suffix, _ in run.members(record["honest"])]
    given = {"" if suffix == "only" else suffix: value for suffix, value in record["members"].items()}
    members = {
        suffix: _experiment(
            Name(run.name, record["honest"], suffix, record["variation"]), given[suffix], record
        )
        for suffix in wanted
        if suffix in given
    }
    stored = {metric: (float(low), float(high)) for metric, (low, high) in record["intervals"].items()}
    together = {metric: [float(one) for one in found] for metric, found in record.get("together", {}).items()}
    seconds = {suffix: float(given[suffix]["seconds"]) for suffix in members if given[suffix]["seconds"]}
    return Measured(
        run, record["honest"], record["variation"], members, stored, together, seconds, recorded=True
    )


def _experiment(name: Name, member: Mapping[str, Any], record: Mapping[str, Any]) -> Experiment:
    if not re.fullmatch("[0-9a-f]{7,64}", member["baseline"]):
        raise ValueError(f"baseline {member['baseline']!r} is no commit")
    return Experiment(
        name,
        member["experiment"],
        member["commit"],
        member["baseline"],
        int(member["committed"]),
        {**record["settings"], **member["settings"]},
        dict(member["metrics"]),
    )
