"""Queue a paper's experiments and start DVC's worker: candid reproduce RECIPE

--list names the recipes and their runs, --dry-run prints the commands. What is done is not queued again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import product
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from candid.cli import Parser
from candid.compare.measured import Experiment, differences, read_experiments
from candid.compare.table import choose
from candid.data.catalogue import OWN
from candid.errors import CandidError
from candid.gate.results import look_up
from candid.recipes.load import check_settings, flat, list_recipes, load_recipe
from candid.recipes.recipe import Overrides, Recipe, Run
from candid.settings import PARAMS, parse_yaml, read_yaml
from candid.text import table

WATCH = """\
One worker runs them in the background, one after the other:
  dvc queue status         what waits, runs, failed or is done
  dvc queue logs NAME -f   what one of them prints
  dvc queue stop --kill    stop; the same command as before continues
  candid compare {key}   the numbers, at any time"""
PER_EPOCH = {"train.schedule": "warmup_epochs", "train.freeze": "epochs"}  # count epochs: shrink with these
LONGEST = 48  # of the changes in a name; longer ones become a digest of them


def main(arguments: list[str] | None = None) -> None:
    """List, or plan, queue and start."""
    options = _parse(arguments)
    if options.list:
        print("\n".join(listing([load_recipe(key) for key in list_recipes()])))
        return
    recipe = load_recipe(options.recipe)
    runs, changes = choose(recipe, options.only), read_changes(options.set)
    experiments = read_experiments(PARAMS.parent, recipe, [run.name for run in runs])
    wanted = {name: getattr(options, name) for name in ("protocols", "members", "epochs", "scratch")}
    planned = plan(recipe, runs, read_yaml(PARAMS), experiments, changes=changes, **wanted)
    for one in planned:
        if one.done:
            print(f"done      {one.name} ({one.done[:7]})")
        elif one.lacking:
            print(f"left out  {one.name}: needs {one.lacking}")
        elif options.dry_run:
            print(shlex.join(command(one)))
    missing = [one for one in planned if not one.done and not one.lacking]
    if options.dry_run:
        print("dvc queue start" if missing else "nothing to queue")
    elif missing:
        queue(missing)
        print(WATCH.format(key=recipe.key))
    elif not any(one.done for one in planned):
        raise CandidError(f"{recipe.key}: nothing can be run here; what is missing is above")


def queue(wanted: Sequence[Planned]) -> None:
    """Queue the experiments that are not in DVC's queue yet, and start one worker."""
    rows = [line.split() for line in _dvc("queue", "status").splitlines()]
    waiting = {word for row in rows if row and row[-1] in ("Queued", "Running") for word in row}
    for number, one in enumerate(wanted, start=1):
        state = "in the queue already" if one.name in waiting else "queued"
        if one.name not in waiting:
            _dvc(*command(one)[1:])
        print(f"{state}  {one.name} ({number} of {len(wanted)})", flush=True)
    _dvc("queue", "start")


def command(of: Planned) -> list[str]:
    """The command that queues an experiment."""
    return ["dvc", "exp", "run", "--queue", "-n", of.name, *of.arguments]


def _dvc(*arguments: str) -> str:
    # Into files: a pipe stays open, and this waits, until the worker that `queue start` leaves behind ends.
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        done = subprocess.run([sys.executable, "-m", "dvc", *arguments], stdout=out, stderr=err, check=False)
        for file in (out, err):
            file.seek(0)
        printed, complaint = out.read(), err.read()
    if done.returncode:
        text = complaint.partition("ERROR: ")[2] or complaint
        if "conflicts with existing experiment" in text:  # of other settings, at this commit
            text = f"{arguments[4]} is there with other settings; `dvc exp remove {arguments[4]}` makes room"
        raise CandidError(f"dvc {' '.join(arguments[:2])}: {text}")
    return printed


def listing(recipes: Sequence[Recipe]) -> Iterator[str]:
    """Lines of --list: each paper's runs, what they need, how many experiments of how many epochs."""
    for recipe in recipes:
        yield f"{recipe.key}: {recipe.paper.short}, {recipe.paper.title}"
        rows = []
        for run in recipe.runs:
            paper, leak_free = run.members(leak_free=False), run.members(leak_free=True)
            settings = next(iter(paper.values()))
            needs = settings["data.dataset"] + ", ImageNet weights" * (run.without_imagenet is not None)
            counts = len(paper), len(leak_free), settings["train.epochs"]
            rows.append([run.name, settings["model.arch"], needs, *map(str, counts)])
        header = ["run", "net", "needs", "experiments", "leak-free", "epochs of each"]
        yield from (f"  {line}" for line in table(header, rows, left=(0, 1, 2)))
        yield from (f"  {run.name} needs {run.data_from}" for run in recipe.runs if run.data_from)
        yield ""


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(prog="candid reproduce", description=__doc__.splitlines()[0])
    option = parser.add_argument
    option("recipe", nargs="?", help="a file of recipes/ without .yaml")
    option("--list", action="store_true", help="recipes, their runs and what these need")
    many: dict[str, Any] = {"nargs": "+", "default": []}
    option("--only", **many, metavar="RUN", help="names, patterns, or parts of names")
    option("--members", **many, metavar="PATTERN", help="of several experiments, such as r0-*")
    protocol = parser.add_mutually_exclusive_group()
    kind: dict[str, Any] = {"dest": "protocols", "action": "store_const"}
    protocol.add_argument("--leak-free", **kind, const=(True,), help="the leak-free counterparts")
    protocol.add_argument("--both", **kind, const=(False, True), help="the paper's and these")
    option("--epochs", type=int, metavar="N", help="cut short, under a name that says so")
    option("--set", **many, action="extend", metavar="KEY=VALUE", help="change, likewise")
    option("--scratch", action="store_true", help="without ImageNet weights, where no hub can be reached")
    option("--dry-run", action="store_true", help="print the commands only")
    parser.set_defaults(protocols=(False,))
    options = parser.parse_args(arguments)
    if options.list == (options.recipe is not None):
        raise CandidError("expected a recipe or --list, one of the two")
    if options.epochs is not None and options.epochs < 1:
        raise CandidError(f"--epochs {options.epochs}: expected 1 or more")
    return options


class Planned(NamedTuple):
    """One experiment."""

    name: str
    overrides: Overrides
    arguments: list[str]  # of `dvc exp run`
    done: str | None  # commit of the experiment that has this name and these settings; None: there is none
    lacking: str | None  # what it needs and can't have: one line


def plan(
    recipe: Recipe,
    runs: Sequence[Run],
    params: Mapping[str, Any],
    experiments: Sequence[Experiment] = (),
    *,
    protocols: Sequence[bool] = (False,),
    members: Sequence[str] = (),
    epochs: int | None = None,
    changes: Overrides | None = None,
    scratch: bool = False,
) -> list[Planned]:
    """List the experiments, those of a run together, in the recipe's order; `experiments`: those there are.

    `protocols`: False the paper's, True the leak-free counterpart; `members`: patterns of suffixes such as
    r0-*; `scratch`: without ImageNet weights. `params` is params.yaml, which the settings are put over.
    """
    changes = changes or {}
    for option, given, key in (("epochs", epochs, "train.epochs"), ("scratch", scratch, "model.weights")):
        if given and key in changes:
            raise CandidError(f"--{option} and --set {key}: expected one")
    planned: list[Planned] = []
    suffixes: list[str] = []
    for run, leak_free in product(runs, protocols):
        if over := [key for key in changes if key in run.protocol(leak_free).over]:
            raise CandidError(f"--set {over[0]}: {run.name} runs over it; choose with --members")
        untrained = scratch and run.without_imagenet is not None
        for member, own in run.members(leak_free, imagenet=not untrained).items():
            suffixes.append(member)
            if members and not any(fnmatchcase(member, pattern) for pattern in members):
                continue
            settings = {**own, **_shortened(own, epochs), **changes}
            where = "the command line" if settings != own else f"recipes/{recipe.key}.yaml"
            arguments = set_param(params, check_settings(params, settings, where))
            changed = {key: value for key, value in changes.items() if own.get(key) != value}
            lacking = None
            if settings["data.dataset"] == OWN:
                lacking = None if "data.path" in changes else f"--set data.path=...: {run.data_from}"
                changed = {key: value for key, value in changed.items() if not key.startswith("data.")}
            other = variation(untrained, epochs if epochs != own["train.epochs"] else None, changed)
            name = "+".join(filter(None, (recipe.experiment(run, leak_free, member), other)))
            alike = (one for one in experiments if one.name == name)
            done = next((one.commit for one in alike if not differences(one.settings, settings)), None)
            planned.append(Planned(name, settings, arguments, done, lacking))
    if not planned:
        known = ", ".join(dict.fromkeys(filter(None, suffixes))) or "none: these runs are single experiments"
        raise CandidError(f"--members {' '.join(members)}: no such member; expected some of {known}")
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
    parts = ["scratch"] * scratch + ([f"{epochs}epoch{'s' * (epochs != 1)}"] if epochs else [])
    changes = [
        f"{key}_{re.sub('[^A-Za-z0-9]+', '_', json.dumps(value)).strip('_') or 'none'}"
        for key, value in sorted((changed or {}).items())
    ]
    if len("+".join(changes)) > LONGEST:
        changes = ["set_" + hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:8]]
    return "+".join([*parts, *changes])


def read_changes(texts: Sequence[str]) -> Overrides:
    """Take `key=value` arguments apart; a value is YAML 1.2, as in params.yaml."""
    changes: Overrides = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+", key):
            raise CandidError(f"--set {text}: expected section.key=value, such as train.batch_size=32")
        changes |= flat({key: parse_yaml(value, f"--set {text}")}, f"--set {text}")
    return changes


def set_param(params: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """The `-S` arguments of `dvc exp run` that turn params.yaml into these settings, in Hydra's grammar."""
    before, after = flat(params), flat(settings)
    arguments: list[str] = []
    for key, value in after.items():
        if differences(before, {key: value}):
            if isinstance(value, Mapping) and isinstance(look_up(params, key), Mapping):
                # Hydra would put the new mapping over the old one.
                arguments += ["-S", f"{key}=null"]
            arguments += ["-S", f"{'' if key in before else '++'}{key}={_written(value)}"]
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
    if re.fullmatch("(?!(?i:null|true|false|inf|nan)$)[A-Za-z_][A-Za-z0-9_./-]*", text):
        return text
    return "'" + re.sub(r"(\\+)('|$)", r"\1\1\2", text).replace("'", r"\'") + "'"
