"""Queue a paper's experiments and start DVC's worker: candid reproduce RECIPE

--list names the recipes and their runs, --dry-run prints the commands. What is done is not queued again.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from candid.cli import Parser
from candid.compare.results import read_experiments
from candid.compare.table import choose
from candid.errors import CandidError
from candid.recipes import Recipe, list_recipes, load_recipe
from candid.reproduce.plan import Planned, Request, plan, read_changes
from candid.settings import PARAMS, read_yaml
from candid.text import table

WATCH = """\
One worker runs them in the background, one after the other:
  dvc queue status         what waits, runs, failed or is done
  dvc queue logs NAME -f   what one of them prints
  dvc queue stop --kill    stop; the same command as before continues
  candid compare {key}   the numbers, at any time"""


def main(arguments: list[str] | None = None) -> None:
    """List, or plan, queue and start."""
    options = _parse(arguments)
    if options.list:
        print("\n".join(listing([load_recipe(key) for key in list_recipes()])))
        return
    recipe = load_recipe(options.recipe)
    request = Request(
        choose(recipe, options.only),
        options.protocols,
        options.members,
        options.epochs,
        read_changes(options.set),
        options.scratch,
    )
    experiments = read_experiments(PARAMS.parent, recipe, [run.name for run in request.runs])
    planned = plan(recipe, request, read_yaml(PARAMS), experiments)
    for one in planned:
        if one.done:
            print(f"done      {one.name} ({one.done[:7]})")
        elif one.lacking:
            print(f"left out  {one.name}: needs {one.lacking}")
        elif options.dry_run:
            print(shlex.join(command(one)))
    wanted = [one for one in planned if not one.done and not one.lacking]
    if options.dry_run:
        print("dvc queue start" if wanted else "nothing to queue")
    elif wanted:
        queue(wanted)
        print(WATCH.format(key=recipe.key))
    elif not any(one.done for one in planned):
        raise CandidError(f"{recipe.key}: nothing can be run here; what is missing is above")


def queue(wanted: Sequence[Planned]) -> None:
    """Queue the experiments that are not in DVC's queue yet, and start one worker.

    Raises:
        CandidError: what DVC says where it refuses one.
    """
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
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        text = done.stderr.partition("ERROR: ")[2] or done.stderr
        if "conflicts with existing experiment" in text:  # of other settings, at this commit
            text = f"{arguments[4]} is there with other settings; `dvc exp remove {arguments[4]}` makes room"
        raise CandidError(f"dvc {' '.join(arguments[:2])}: {text}")
    return done.stdout


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
