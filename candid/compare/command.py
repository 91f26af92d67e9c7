"""Set a paper's numbers beside those measured here: candid compare RECIPE [--full] [--every] [--md]

Reads the experiments that git holds; nothing is run or checked out. See docs/reproduce.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from candid.compare import tell
from candid.compare.recorded import write_recorded
from candid.compare.table import build, choose
from candid.errors import CandidError
from candid.recipes import load_recipe

WRITERS = {"text": tell.as_text, "md": tell.as_markdown, "json": tell.as_json}


def main(arguments: list[str] | None = None) -> None:
    """Print the table, or write the results."""
    parser = argparse.ArgumentParser(prog="candid compare", description=__doc__.splitlines()[0])
    parser.add_argument("recipe", help="a file of recipes/ without .yaml")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="RUN", help="names, patterns, or parts of names"
    )
    parser.add_argument("--full", action="store_true", help="every published number, classes too")
    parser.add_argument(
        "--every",
        action="store_true",
        help="each variation of a run, not only the nearest to the recipe; with --export too",
    )
    style = parser.add_mutually_exclusive_group()
    style.add_argument("--md", dest="style", action="store_const", const="md", help="as Markdown")
    style.add_argument("--json", dest="style", action="store_const", const="json", help="for machines")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--from", dest="folder", type=Path, help="recorded results in place of experiments")
    source.add_argument(
        "--export", type=Path, metavar="FOLDER", help="write the results here, to be committed"
    )
    parser.set_defaults(style="text")
    options = parser.parse_args(arguments)
    recipe = load_recipe(options.recipe)
    runs = choose(recipe, options.only)
    if options.export is None:
        table = build(Path(), recipe, runs, options.folder, options.every)
        sys.stdout.write(WRITERS[options.style](table, options.full))
        return
    pairs = build(Path(), recipe, runs, every=options.every).pairs
    found = [one for pair in pairs for one in (pair.measured, pair.honest) if one and not one.recorded]
    if not found:
        raise CandidError(f"{recipe.key}: no experiment to export here; run `candid reproduce {recipe.key}`")
    sys.stdout.write(tell.lines_of(write_recorded(options.export, recipe, found)))
