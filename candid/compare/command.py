"""Put a paper's numbers beside those measured here: candid compare RECIPE [--full] [--plots FOLDER]

Reads the experiments that git holds; nothing is run or checked out. See docs/reproduce.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from candid.cli import Parser
from candid.compare.measured import experiment_name, export
from candid.compare.table import Pair, build, choose, render
from candid.errors import CandidError
from candid.recipes.load import load_recipe
from candid.recipes.recipe import Recipe


def main(arguments: list[str] | None = None) -> None:
    """Print the table, and draw, or write the results."""
    parser = Parser(prog="candid compare", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("recipe", help="a file of recipes/ without .yaml")
    add("--only", nargs="+", default=[], metavar="RUN", help="names, patterns, or parts of names")
    everything = "every number of the paper's, confusion matrices, each variation of a run, the notes"
    add("--full", action="store_true", help=everything)
    add("--markdown", action="store_true", help="as Markdown")
    add("--plots", type=Path, metavar="FOLDER", help="draw the confusion matrices here")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--from", dest="folder", type=Path, help="recorded results in place of experiments")
    source.add_argument("--export", type=Path, metavar="FOLDER", help="write the results here, to commit")
    options = parser.parse_args(arguments)
    recipe = load_recipe(options.recipe)
    runs = choose(recipe, options.only)
    pairs = build(Path(), recipe, runs, options.folder, options.full or options.export is not None)
    first = f"run `candid reproduce {recipe.key}`"
    if options.export is None:
        sys.stdout.write(render(recipe, pairs, options.full, options.markdown))
        drawn = [*draw_matrices(recipe, pairs, options.plots)] if options.plots else []
        if options.plots and not drawn:
            raise CandidError(f"{recipe.key}: no confusion matrix to draw; {first}")
        print(*drawn, sep="\n", end="\n" * bool(drawn))
        return
    results = [one for pair in pairs for _, one in pair.results if not one.recorded]
    if not results:
        raise CandidError(f"{recipe.key}: no experiment to export here; {first}")
    print(*export(options.export, recipe, results), sep="\n")


def draw_matrices(recipe: Recipe, pairs: Sequence[Pair], folder: Path) -> Iterator[Path]:
    """Draw each result's confusion matrix, summed over folds and repetitions, by row and by column."""
    from candid.evaluation.plots import confusion_picture

    for one in (one for pair in pairs for _, one in pair.results):
        if one.confusion is None:
            continue
        classes, counts = one.confusion["classes"], np.array(one.confusion["counts"], np.int64)
        report = {"accuracy": counts.trace() / counts.sum(), "faces": one.faces, "groups": one.faces}
        report |= {"leaky": one.leaked > 0, "leaked_test_faces": one.leaked, "clean": {"faces": 0}}
        if accuracy := one.scores.get("accuracy"):
            report |= {"accuracy_low": accuracy.low, "accuracy_high": accuracy.high}
        for end, by_predicted in (("", False), ("-precision", True)):
            path = folder / f"{experiment_name(recipe, one)}{end}.png"
            confusion_picture(path, classes, counts, report, by_predicted)
            yield path
