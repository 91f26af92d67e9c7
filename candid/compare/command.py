"""Put a paper's numbers beside those measured here: candid compare RECIPE [--full] [--markdown]

Reads the experiments that git holds; nothing is run or checked out. See docs/reproduce.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from candid.cli import Parser
from candid.compare.results import export
from candid.compare.table import build, choose, render
from candid.errors import CandidError
from candid.recipes import load_recipe


def main(arguments: list[str] | None = None) -> None:
    """Print the table, or write the results."""
    parser = Parser(prog="candid compare", description=__doc__.splitlines()[0])
    parser.add_argument("recipe", help="a file of recipes/ without .yaml")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="RUN", help="names, patterns, or parts of names"
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="every number of the paper's, confusion matrices, each variation of a run, the notes",
    )
    parser.add_argument("--markdown", action="store_true", help="as Markdown")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--from", dest="folder", type=Path, help="recorded results in place of experiments")
    source.add_argument(
        "--export", type=Path, metavar="FOLDER", help="write the results here, to be committed"
    )
    options = parser.parse_args(arguments)
    recipe = load_recipe(options.recipe)
    runs = choose(recipe, options.only)
    full = options.full or options.export is not None
    comparison = build(Path(), recipe, runs, options.folder, full)
    if options.export is None:
        sys.stdout.write(render(comparison, options.full, options.markdown))
        return
    results = [one for pair in comparison.pairs for _, one in pair.results if not one.recorded]
    if not results:
        raise CandidError(f"{recipe.key}: no experiment to export here; run `candid reproduce {recipe.key}`")
    for path in export(options.export, recipe, results):
        print(path)
