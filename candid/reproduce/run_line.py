"""From what is asked to the table: plan, say it, run it, compare."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from candid.compare import tell as compared
from candid.compare.found import committed_settings, read_experiments
from candid.compare.table import build
from candid.errors import CandidError
from candid.recipes import Recipe
from candid.reproduce import tell
from candid.reproduce.carry_out import carry_out
from candid.reproduce.needs import Needs
from candid.reproduce.overrides import unsettled
from candid.reproduce.plan import Asked, mark_done, plan
from candid.reproduce.watch import Screen


def reproduce(
    root: Path,
    recipe: Recipe,
    asked: Asked,
    params: Mapping[str, Any],
    needs: Needs,
    jobs: int,
    dry_run: bool,
) -> int:
    """Run what is not there yet, print the table, and give the exit status: 1 where an experiment failed.

    Args:
        root: the project.
        recipe: read.
        asked: runs, protocols and changes.
        params: params.yaml.
        needs: tells what can be had here.
        jobs: workers.
        dry_run: only say what would be done.

    Raises:
        CandidError: nothing of it can be run here.
    """
    planned = mark_done(plan(recipe, asked, params, needs), read_experiments(root, recipe))
    if keys := unsettled(params, committed_settings(root), [one.overrides for one in planned]):
        print(
            f"note     params.yaml is not as committed: {', '.join(keys)}; a run that leaves it open takes it"
        )
    print("\n".join(tell.planned(planned, params, commands=dry_run)), flush=True)
    if dry_run:
        return 0
    wanted = [one for one in planned if one.done is None and one.lacking is None]
    if not wanted and not any(one.done for one in planned):
        raise CandidError(f"{recipe.key}: nothing can be run here; what is missing stands above")
    failed = carry_out(root, wanted, params, jobs, Screen(sys.stdout)).failed if wanted else {}
    print("\n" + compared.as_text(build(root, recipe, asked.runs), full=False), end="")
    return 1 if failed else 0
