"""Run a paper's experiments through DVC's queue, then compare: python -m tools.reproduce RECIPE

--list says which recipes there are. What is done is not run again; Ctrl-C stops, the same command goes on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stages.catalogue import read_catalogue
from stages.download.obtain import MIRROR, read_mirror
from stages.errors import CandidError, run
from stages.settings import PARAMS, read_yaml
from tools.compare import tell as compared
from tools.compare.found import committed_settings, read_experiments
from tools.compare.table import build, choose
from tools.recipes import list_recipes, load_recipe
from tools.reproduce import tell
from tools.reproduce.carry_out import carry_out
from tools.reproduce.needs import Needs, answers
from tools.reproduce.options import parse
from tools.reproduce.overrides import read_set, unsettled
from tools.reproduce.plan import Asked, mark_done, plan
from tools.reproduce.watch import Screen

ROOT = Path()


def main(arguments: list[str] | None = None) -> int:
    """List, say what would be done, or do it; status 1 where an experiment failed."""
    options = parse(arguments, __doc__.splitlines()[0])
    params, catalogue = read_yaml(PARAMS), read_catalogue()
    needs = Needs(catalogue, params, read_mirror(os.environ.get(MIRROR)), answers)
    if options.list:
        print("\n".join(tell.listing([load_recipe(key) for key in list_recipes()], params, catalogue, needs)))
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
    planned = mark_done(plan(recipe, asked, params, needs), read_experiments(ROOT, recipe))
    if keys := unsettled(params, committed_settings(ROOT), [one.overrides for one in planned]):
        print(
            f"note     params.yaml is not as committed in {', '.join(keys)}; runs that don't set this take it"
        )
    wanted = [one for one in planned if one.done is None and one.lacking is None]
    print("\n".join(tell.planned(planned, params, commands=options.dry_run)), flush=True)
    if options.dry_run:
        return 0
    if not wanted and not any(one.done for one in planned):
        raise CandidError(f"{recipe.key}: nothing can be run here; what is missing stands above")
    failed = carry_out(ROOT, wanted, params, options.jobs, Screen(sys.stdout)).failed if wanted else {}
    print("\n" + compared.as_text(build(ROOT, recipe, list(asked.runs)), full=False), end="")
    return 1 if failed else 0


if __name__ == "__main__":
    run("reproduce", main, hint="")
