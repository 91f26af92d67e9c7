"""Show where a model looks and what its first layers make of a face: candid explain

Writes explained/where.png and explained/filters.png. They show faces: keep them out of git.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from candid.cli import Parser
from candid.errors import CandidError
from candid.evaluation.model_file import Card, read_card
from candid.evaluation.picture import INK, MUTED, no_frame, picture, short, title
from candid.evaluation.predict import Images
from candid.evaluation.scores import Floats
from candid.explain.occlusion import Explanation, Row, explain
from candid.labelled import Parts, as_taken, other_faces, read_parts
from candid.predict.classifier import default_model, load_classifier
from candid.predict.faces import as_trained
from candid.predict.sources import Skipped, pictures
from candid.text import clean, percent

CONSIDERED = 60  # test faces of each class among which right and wrong predictions are searched
ABOVE, BELOW = np.array([213.0, 94, 0]), np.array([0.0, 114, 178])  # Okabe and Ito 2008
STRONGEST = 0.75  # opacity of the colour where a map over a face has its largest value
FAINTEST = 0.05  # a map whose largest value is below this much probability is drawn as faint as it is
GAP = 24  # between a face and its map: the side over this
LAYERS, FILTERS = 2, 32
ACROSS, SIDE = 16, 48  # filters in a row of their sheet, and pixels of each


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
        images, labels = draw_by_class(parts, card.classes, CONSIDERED)
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


def draw_by_class(parts: Parts, classes: list[str], count: int) -> tuple[Images, list[str]]:
    """Return at most `count` test faces of each class, drawn at random, by id; CandidError for none."""
    order = parts.test.iloc[np.random.default_rng(0).permutation(len(parts.test))]
    drawn = order[order["label"].isin(classes)].groupby("label").head(count).sort_values("id")
    if drawn.empty:
        raise CandidError(f"no test face of the classes {', '.join(classes)}; expected some")
    return np.asarray(parts.images[drawn["id"].to_numpy()]), drawn["label"].tolist()


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


def as_rgb(face: NDArray[np.uint8]) -> Images:
    """A face, H x H or x 3, as H x H x 3."""
    return face if face.ndim == 3 else np.repeat(face[..., None], 3, axis=2)


def tinted(ground: Any, values: Floats, largest: float, opacity: float) -> Images:
    """A map (h x w) over a grey ground (h x w x 1, or a number); at `largest` its colour is opaque most."""
    share = np.clip(np.abs(values) / max(largest, 1e-9), 0, 1)[..., None] * opacity
    color = np.where(values[..., None] >= 0, ABOVE, BELOW)
    return np.asarray(np.rint(ground * (1 - share) + color * share), np.uint8)


def where_picture(path: Path, rows: Sequence[Row], shown: int, model: str, source: str) -> None:
    """Draw the sheet: at most `shown` right and `shown` wrong answers a row."""
    start = int(any(row.mean for row in rows))
    columns = 2 * shown + start
    with picture(path, (1.75 * columns + 0.3, 1.3 * len(rows) + 1.2), colors=None) as figure:
        colors = "Orange: blurring this area lowers the probability of the predicted class; blue: raises it."
        around = "Above: the prediction; below: the largest drop by one blurred patch."
        below = f"Each face beside its map. {colors} {around}"
        title(figure, "Where the model looks", f"{model}; {source}", below)
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes in grid.flat:  # empty cells are as high as the others
            axes.set(xticks=[], yticks=[], box_aspect=1 / (2 + 1 / GAP))
            no_frame(axes)
            axes.set_axis_off()
        for row, cells in zip(rows, grid, strict=True):
            if start:
                _above(cells[0], short(row.title, 18), fontsize=9, fontweight="bold")
            if row.mean:
                face, values, count = row.mean
                _show(cells[0], face, values, f"mean of {count} right")
            for faces, first in ((row.right, start), (row.wrong, start + shown)):
                for axes, explanation in zip(cells[first:], faces, strict=False):
                    _draw_face(axes, explanation)
        if any(row.title for row in rows):
            for first, text in ((start, "right answers"), (start + shown, "wrong answers")):
                grid[0][first].set_title(text, fontsize=10, color=INK, fontweight="bold", loc="left", pad=16)


def _draw_face(axes: Any, face: Explanation) -> None:
    drop = f"{-100 * face.largest_drop:+.0f} points".replace("-", "\N{MINUS SIGN}")
    _show(axes, face.face, face.map, drop)
    text = f"{short(face.predicted, 10)} {percent(face.confidence, 0)}"
    if face.label and face.label != face.predicted:
        text += f", {short(face.label, 10)} {percent(face.label_probability, 0)}"
    _above(axes, text, fontsize=7)


def _above(axes: Any, text: str, **style: Any) -> None:
    axes.text(0, 1.02, text, transform=axes.transAxes, color=INK, va="bottom", **style)


def _show(axes: Any, face: NDArray[np.uint8], values: Floats, below: str) -> None:
    """A face beside its map, and a line below."""
    left = as_rgb(face)
    largest = max(float(np.abs(values).max()), FAINTEST)
    right = tinted(left.mean(axis=2, keepdims=True), values, largest, STRONGEST)
    gap = np.full((left.shape[0], max(1, left.shape[0] // GAP), 3), 255, np.uint8)
    axes.imshow(np.concatenate([left, gap, right], axis=1), interpolation="nearest")
    axes.text(0, -0.03, below, transform=axes.transAxes, fontsize=6.5, color=MUTED, va="top")


class Responses(NamedTuple):
    """One convolution on one face."""

    name: str
    kernels: Floats  # F x k x k: the mean over the input's channels
    maps: Floats  # F x h x w, before any activation that is a layer of its own
    total: int  # filters of the layer; the first F are here


def first_convolutions(model: Any, face: NDArray[np.uint8]) -> list[Responses]:
    """Return a model's first LAYERS convolutions of a face (1 x H x H x C); CandidError where it has none."""
    import keras

    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][:LAYERS]
    if not layers:
        raise CandidError(f"the model {model.name} has no two-dimensional convolution among its layers")
    outputs = keras.Model(model.inputs, {layer.name: layer.output for layer in layers}).predict_on_batch(face)
    responses = []
    for layer in layers:
        kernel = np.asarray(keras.ops.convert_to_numpy(layer.kernel), np.float64)
        maps = np.asarray(outputs[layer.name][0], np.float64).transpose(2, 0, 1)
        kernels = kernel.mean(axis=2).transpose(2, 0, 1)
        responses.append(Responses(layer.name, kernels[:FILTERS], maps[:FILTERS], kernel.shape[-1]))
    return responses


def filters_picture(path: Path, face: NDArray[np.uint8], layers: Sequence[Responses], model: str) -> None:
    """Draw the sheet; of the first layer the kernels too, above their maps."""
    names = [f"{layer.name}: {len(layer.maps)} of {layer.total} filters" for layer in layers]
    names[0] += ", the kernel above what it gives"
    blocks = [_enlarged(as_rgb(face), 2 * SIDE), *(sheet(layer, layer is layers[0]) for layer in layers)]
    wide, heights = max(block.shape[1] for block in blocks), [block.shape[0] for block in blocks]
    size = (10.6, 10.4 / wide * sum(heights) + 0.35 * len(heights) + 0.8)
    with picture(path, size, colors=None) as figure:
        signs = f"{model}. Orange: above zero, blue: below; each map as strong as its largest value."
        title(figure, "What the first layers make of a face", signs)
        grid = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        for axes, block, name in zip(grid, blocks, ["the face", *names], strict=True):
            axes.imshow(block, interpolation="nearest")
            axes.set(xticks=[], yticks=[], xlim=(-0.5, wide - 0.5))
            axes.set_title(name, fontsize=9, color=INK, loc="left", pad=3)
            no_frame(axes)


def sheet(layer: Responses, kernels: bool) -> Images:
    """The maps of a layer in rows of ACROSS, each below its kernel if `kernels`: RGB on white."""
    tiles = []
    border = ((2, 2), (2, 2), (0, 0))
    for pair in zip(layer.kernels, layer.maps, strict=True):
        drawn = (tinted(255.0, values, float(np.abs(values).max()), 1) for values in pair[not kernels :])
        parts = (np.pad(_enlarged(part, SIDE), border, constant_values=255) for part in drawn)
        tiles.append(np.concatenate(list(parts)))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % ACROSS)
    rows = [np.concatenate(tiles[start : start + ACROSS], axis=1) for start in range(0, len(tiles), ACROSS)]
    return np.concatenate(rows)


def _enlarged(picture: Images, side: int) -> Images:
    """A small picture (h x w x 3) with its pixels drawn large, to side x side."""
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST))
