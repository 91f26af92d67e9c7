"""Which experiments a command stands for: their names, their settings, and the DVC command of each."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from candid.compare.measured import differences
from candid.compare.results import Experiment
from candid.data.catalogue import OWN
from candid.errors import CandidError
from candid.recipes import Recipe, Run
from candid.recipes.load import check_settings, flat
from candid.recipes.recipe import Overrides
from candid.settings import parse_yaml

PER_EPOCH = {"train.schedule": "warmup_epochs", "train.freeze": "epochs"}
"""Settings that count epochs and have to stay below `train.epochs`: they shrink in proportion."""
LONGEST = 48
"""Of the changes in a name; longer ones become a digest of them."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    runs: Sequence[Run]
    protocols: Sequence[bool] = (False,)
    """False: the paper's, True: the leak-free counterpart."""
    members: Sequence[str] = ()
    """Patterns of suffixes such as r0-*; none: all."""
    epochs: int | None = None
    changes: Overrides | None = None
    scratch: bool = False
    """Leave the ImageNet weights out."""


@dataclass(frozen=True)
class Planned:
    """One experiment."""

    name: str
    overrides: Overrides
    arguments: list[str]
    """Of `dvc exp run`."""
    done: str | None = None
    """Commit of the experiment that has this name and these settings; None: there is none."""
    lacking: str | None = None
    """What it needs and can't have: one line."""


def plan(
    recipe: Recipe, request: Request, params: Mapping[str, Any], experiments: Sequence[Experiment] = ()
) -> list[Planned]:
    """List the experiments, those of a run together, in the recipe's order.

    Args:
        recipe: the paper's.
        request: what to run.
        params: params.yaml, over which the settings are put.
        experiments: that there are.

    Raises:
        CandidError: no member fits, or a stage would refuse a change.
    """
    changes = request.changes or {}
    for option, chosen, key in (
        ("epochs", request.epochs is not None, "train.epochs"),
        ("scratch", request.scratch, "model.weights"),
    ):
        if chosen and key in changes:
            raise CandidError(f"--{option} and --set {key}: expected one")
    planned: list[Planned] = []
    suffixes: list[str] = []
    for run in request.runs:
        for leak_free in request.protocols:
            if over := [key for key in changes if key in run.protocol(leak_free).over]:
                raise CandidError(f"--set {over[0]}: {run.name} runs over it; choose with --members")
            scratch = request.scratch and run.without_imagenet is not None
            for member, recipe_settings in run.members(leak_free, imagenet=not scratch).items():
                suffixes.append(member)
                if request.members and not any(fnmatchcase(member, one) for one in request.members):
                    continue
                settings = {**recipe_settings, **_shortened(recipe_settings, request.epochs), **changes}
                where = "the command line" if settings != recipe_settings else f"recipes/{recipe.key}.yaml"
                whole = check_settings(params, settings, where)
                changed = {key: value for key, value in changes.items() if recipe_settings.get(key) != value}
                epochs = request.epochs if request.epochs != recipe_settings["train.epochs"] else None
                lacking = None
                if settings["data.dataset"] == OWN:
                    lacking = None if "data.path" in changes else f"--set data.path=...: {run.data_from}"
                    changed = {key: value for key, value in changed.items() if not key.startswith("data.")}
                parts = [recipe.experiment(run, leak_free, member), variation(scratch, epochs, changed)]
                name = "+".join(filter(None, parts))
                alike = (one for one in experiments if one.name == name)
                done = [one.commit for one in alike if not differences(one.settings, settings)]
                planned.append(
                    Planned(name, settings, set_param(params, whole), next(iter(done), None), lacking)
                )
    if not planned:
        known = ", ".join(dict.fromkeys(filter(None, suffixes))) or "none: these runs are single experiments"
        raise CandidError(f"--members {' '.join(request.members)}: no such member; expected some of {known}")
    return planned


def _shortened(settings: Overrides, epochs: int | None) -> Overrides:
    """What to change so that a run takes `epochs` epochs."""
    whole = settings["train.epochs"]
    if epochs is None or epochs == whole:
        return {}
    changed: Overrides = {"train.epochs": epochs}
    for key, name in PER_EPOCH.items():
        count = (settings.get(key) or {}).get(name, 0)
        if count and epochs < whole:
            fewer = min(max(1, round(count * epochs / whole)), epochs - 1)
            changed[key] = {**settings[key], name: fewer}
    if epochs == 1 and settings.get("train.freeze"):
        changed["train.freeze"] = None
    return changed


def variation(scratch: bool = False, epochs: int | None = None, changed: Overrides | None = None) -> str:
    """Name what sets an experiment apart from its run: `scratch+2epochs+train.batch_size_8`."""
    parts = ["scratch"] if scratch else []
    parts += [f"{epochs}epoch{'s' * (epochs != 1)}"] if epochs is not None else []
    changes = [
        f"{key}_{re.sub('[^A-Za-z0-9]+', '_', json.dumps(value)).strip('_') or 'none'}"
        for key, value in sorted((changed or {}).items())
    ]
    if len("+".join(changes)) > LONGEST:
        changes = ["set_" + hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:8]]
    return "+".join([*parts, *changes])


def read_changes(texts: Sequence[str]) -> Overrides:
    """Take `key=value` arguments apart; a value is YAML 1.2, as in params.yaml.

    Raises:
        CandidError: an argument is no such pair.
    """
    changes: Overrides = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+", key):
            raise CandidError(f"--set {text}: expected section.key=value, such as train.batch_size=32")
        changes |= flat({key: parse_yaml(value, f"--set {text}")}, f"--set {text}")
    return changes


def set_param(params: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """The `-S` arguments of `dvc exp run` that turn params.yaml into these settings, in Hydra's grammar."""
    had, wanted = flat(params), flat(settings)
    arguments: list[str] = []
    for key, value in wanted.items():
        if differences(had, {key: value}):
            if isinstance(had.get(key), dict):  # Hydra would put the new mapping over the old one
                arguments += ["-S", f"{key}=null"]
            arguments += ["-S", f"{'' if key in had else '++'}{key}={_written(value)}"]
    return arguments


def _written(value: Any) -> str:
    """A value in Hydra's grammar, which is neither YAML's nor JSON's."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_written(inner)}" for key, inner in value.items()) + "}"
    text = str(value)
    if re.fullmatch("(?!(?i:null|true|false|inf|nan)$)[A-Za-z_][A-Za-z0-9_]*", text):
        return text
    return "'" + re.sub(r"(\\+)('|$)", r"\1\1\2", text).replace("'", r"\'") + "'"
