"""Run a paper's experiments through DVC's queue, then compare: python -m tools.reproduce RECIPE

--list says which recipes there are. What is done is not run again; Ctrl-C stops, the same command goes on.
"""

from __future__ import annotations

import os
from pathlib import Path

from stages.catalogue import read_catalogue
from stages.download.obtain import MIRROR, read_mirror
from stages.errors import run
from stages.settings import PARAMS, read_yaml
from tools.compare.table import choose
from tools.recipes import list_recipes, load_recipe
from tools.reproduce import tell
from tools.reproduce.command import reproduce
from tools.reproduce.needs import Needs, answers
from tools.reproduce.options import parse
from tools.reproduce.overrides import read_set
from tools.reproduce.plan import Asked


def main(arguments: list[str] | None = None) -> int:
    """List, or plan and run; status 1 where an experiment failed."""
    options = parse(arguments, __doc__.splitlines()[0])
    params, catalogue = read_yaml(PARAMS), read_catalogue()
    needs = Needs(catalogue, params, read_mirror(os.environ.get(MIRROR)), answers)
    if options.list:
        recipes = [load_recipe(key) for key in list_recipes()]
        print("\n".join(tell.listing(recipes, params, catalogue, needs)))
        return 0
    recipe = load_recipe(options.recipe)
    asked = Asked(
        choose(recipe, options.only),
        options.protocols,
        options.epochs,
        read_set(options.set),
        options.members,
        options.scratch,
    )
    return reproduce(Path(), recipe, asked, params, needs, options.jobs, options.dry_run)


if __name__ == "__main__":
    run("reproduce", main, hint="")
