"""Show where a model looks and what its first layers make of a face: candid explain

Writes explained/where.png and explained/filters.png. They show faces: keep them out of git.
"""

from __future__ import annotations

import sys

from candid.evaluation.model_file import read_card
from candid.evaluation.picture import save_picture
from candid.explain.convolutions import first_convolutions
from candid.explain.draw_filters import filters_picture
from candid.explain.draw_where import where_picture
from candid.explain.given import choose
from candid.explain.look import look
from candid.explain.options import read_options
from candid.labelled import as_taken
from candid.predict.classifier import load_classifier


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
