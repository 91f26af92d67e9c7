"""Show where a model looks and what its first layers make of a face: candid explain

Writes explained/where.png and explained/filters.png. They show faces: keep them out of git.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from candid.cli import Parser
from candid.errors import CandidError
from candid.evaluation.model_file import Card, read_card
from candid.evaluation.predict import Images
from candid.explain.occlusion import explain
from candid.explain.sheets import filters_picture, first_convolutions, where_picture
from candid.labelled import Labelled, as_taken, other_faces, read_parts
from candid.predict.classifier import default_model, load_classifier
from candid.predict.faces import as_trained
from candid.predict.sources import Skipped, pictures
from candid.text import clean

CONSIDERED = 60  # test faces of each class among which right and wrong predictions are searched


def main(arguments: list[str] | None = None) -> None:
    """Read the faces, explain them, draw both sheets."""
    parser = Parser(prog="candid explain", description=__doc__)
    add = parser.add_argument
    add("--model", type=Path, default=default_model(), help="default: the one that ships")
    which = parser.add_mutually_exclusive_group()
    crops = "pictures of cropped faces, or folders"
    which.add_argument("--faces", type=Path, nargs="+", metavar="PATH", help=crops)
    which.add_argument("--test", action="store_true", help="faces of the test set (the default)")
    add("--data", type=Path, default=Path("data"), help="folder data of a run; without one, the sample")
    add("--out", type=Path, default=Path("explained"), help="folder; default: explained")
    add("--shown", type=int, default=3, help="right and wrong faces of a class; default: 3")
    options = parser.parse_args(arguments)
    if not 1 <= options.shown <= 12:
        raise CandidError(f"--shown {options.shown}: expected 1 to 12")
    card = read_card(options.model)
    if options.faces:
        images, labels, notes = read_faces(options.faces, card)
        source = "your faces"
    else:
        parts = read_parts(options.data)
        images, labels = draw_by_class(parts.test, card.classes, CONSIDERED)
        source, notes = f"test faces of {parts.source}", other_faces(options.model, parts)
    classifier = load_classifier(options.model)
    rows = explain(classifier.probabilities, images, labels, card.classes, options.shown)
    first = next(each for row in rows for each in (*row.right, *row.wrong)).face
    layers = first_convolutions(classifier.model, as_taken(first[None], classifier.model.input_shape))
    model = classifier.describe()
    where, filters = options.out / "where.png", options.out / "filters.png"
    where_picture(where, rows, options.shown, model, source)
    filters_picture(filters, first, layers, model)
    for note in notes:
        print(note, file=sys.stderr)
    print(model, where, filters, sep="\n")


def draw_by_class(faces: Labelled, classes: list[str], count: int) -> tuple[Images, list[str]]:
    """Return at most `count` faces of each class, drawn at random, in their order; CandidError for none."""
    order = np.random.default_rng(0).permutation(len(faces.ids)).tolist()
    each = ([row for row in order if faces.labels[row] == name][:count] for name in classes)
    chosen = sorted(row for rows in each for row in rows)
    if not chosen:
        raise CandidError(f"no test face of the classes {', '.join(classes)}; expected some")
    return np.asarray(faces.images[faces.ids[chosen]]), [faces.labels[row] for row in chosen]


def read_faces(paths: list[Path], card: Card) -> tuple[Images, list[str], list[str]]:
    """Read pictures of cropped faces: files, or folders of them; a folder named like a class is the label.

    Returns N faces as the card says (N x H x H, or x 3), labels (empty where unknown), and a line for each
    file that can't be read. CandidError: a path that does not exist, or no picture at all.
    """
    images, labels, unread = [], [], []
    for source in pictures(paths, None, 1.0):
        if isinstance(source, Skipped):
            unread.append(clean(f"{source.file}: {source.reason}"))
            continue
        images.append(as_trained(source.image, card.image_size, card.color))
        folder = Path(source.file).parent.name
        labels.append(folder if folder in card.classes else "")
    if not images:
        problem = unread[0] if unread else f"{', '.join(map(str, paths))}: no picture"
        raise CandidError(f"{problem}; expected pictures of faces")
    return np.stack(images), labels, unread
