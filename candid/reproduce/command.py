"""Run a paper's experiments through DVC's queue, then compare: candid reproduce RECIPE

--list says which recipes there are. What is done is not run again; Ctrl-C stops, the same command goes on.
"""

from __future__ import annotations

import os
from pathlib import Path

from candid.compare.table import choose
from candid.data.catalogue import read_catalogue
from candid.data.download import MIRROR, read_mirror
from candid.recipes import list_recipes, load_recipe
from candid.reproduce import tell
from candid.reproduce.needs import Needs, answers
from candid.reproduce.options import parse
from candid.reproduce.overrides import read_set
from candid.reproduce.plan import Asked
from candid.reproduce.run_line import reproduce
from candid.settings import PARAMS, read_yaml


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
