"""Show where a model looks and what its first layers make of a face: python -m tools.explain

Writes explained/where.png and explained/filters.png. They show faces: keep them out of git.
"""

from __future__ import annotations

import sys

from stages.errors import run
from stages.evaluate.model_file import read_card
from stages.evaluate.picture import save_picture
from tools.explain.convolutions import first_convolutions
from tools.explain.draw_filters import filters_picture
from tools.explain.draw_where import where_picture
from tools.explain.given import choose
from tools.explain.look import look
from tools.explain.options import read_options
from tools.labelled import as_taken
from tools.predict.classifier import load_classifier


def main(arguments: list[str] | None = None) -> None:
    """Read, explain, draw."""
    options = read_options(arguments)
    card = read_card(options.model)
    given = choose(options, card)
    classifier = load_classifier(options.model)
    rows = look(classifier.probabilities, given, card.classes, options.shown)
    first = next(each for row in rows for each in (*row.right, *row.wrong)).face
    layers = first_convolutions(classifier.model, as_taken(first[None], classifier.model.input_shape))[0]
    model = classifier.describe()
    where, filters = options.out / "where.png", options.out / "filters.png"
    save_picture(where, *where_picture(rows, options.shown, model, given.source), colors=None)
    save_picture(filters, *filters_picture(first, layers, model), colors=None)
    for note in given.notes:
        print(note, file=sys.stderr)
    print(model, where, filters, sep="\n")


if __name__ == "__main__":
    run("explain", main, hint="")
