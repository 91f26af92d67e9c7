"""The sheets of an explanation: where a model looks, and what its first layers make of a face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from candid.errors import CandidError
from candid.evaluation.picture import INK, MUTED, no_frame, short, title
from candid.evaluation.predict import Images
from candid.evaluation.scores import Floats
from candid.explain.occlusion import Explanation, Row
from candid.text import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABOVE, BELOW = np.array([213.0, 94, 0]), np.array([0.0, 114, 178])  # Okabe and Ito 2008
STRONGEST = 0.75
"""Opacity of the colour where a map has its largest value."""


def as_rgb(face: NDArray[np.uint8]) -> Images:
    """A face, H x H or x 3, as H x H x 3."""
    return face if face.ndim == 3 else np.repeat(face[..., None], 3, axis=2)


def overlaid(face: NDArray[np.uint8], values: Floats, largest: float) -> Images:
    """A face (H x H or x 3) in grey under a map (H x H), whose value `largest` is opaque most: H x H x 3."""
    grey = as_rgb(face).mean(axis=2, keepdims=True)
    share = np.clip(np.abs(values) / max(largest, 1e-9), 0, 1)[..., None] * STRONGEST
    color = np.where(values[..., None] >= 0, ABOVE, BELOW)
    return np.asarray(np.rint(grey * (1 - share) + color * share), np.uint8)


def signed(values: Floats) -> Images:
    """A map on white, as strong as its largest value: h x w x 3."""
    share = (np.abs(values) / max(float(np.abs(values).max()), 1e-9))[..., None]
    color = np.where(values[..., None] >= 0, ABOVE, BELOW)
    return np.asarray(np.rint(255 * (1 - share) + color * share), np.uint8)


def enlarged(picture: Images, side: int) -> Images:
    """A small picture (h x w x 3) with its pixels drawn large, to side x side, as in nearest neighbour."""
    rows = np.arange(side) * picture.shape[0] // side
    columns = np.arange(side) * picture.shape[1] // side
    return np.asarray(picture[rows][:, columns], np.uint8)


GAP = 24
"""Between a face and its map: the side over this."""
FAINTEST = 0.05
"""A map whose largest value is below this much probability is drawn as faint as it is."""


def where_picture(
    rows: Sequence[Row], shown: int, model: str, source: str
) -> tuple[tuple[float, float], Callable[[Figure], None]]:
    """Size in inches, and what draws the sheet.

    Args:
        rows: at least one.
        shown: right answers, and wrong ones, in a row at most.
        model: which one, in words.
        source: of the faces, in words.
    """
    averaged = any(row.mean for row in rows)
    columns = 2 * shown + averaged

    def draw(figure: Figure) -> None:
        title(
            figure,
            "Where the model looks",
            f"{model}; {source}",
            "Each face beside its map. Orange: blurring this area lowers the probability of the predicted",
            "class; blue: raises it. Above: the prediction; below: the largest drop by one blurred patch.",
        )
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes in grid.flat:
            axes.set_xticks([])
            axes.set_yticks([])
            no_frame(axes)
            axes.set_axis_off()
            axes.set_box_aspect(1 / (2 + 1 / GAP))  # empty cells are as high as the others
        for row, line in zip(rows, grid, strict=True):
            cells = iter(line)
            if averaged:
                _mean(next(cells), row)
            for faces in (row.right, row.wrong):
                for index in range(shown):
                    axes = next(cells)
                    if index < len(faces):
                        _draw_face(axes, faces[index])
        if any(row.title for row in rows):
            start = int(averaged)
            _heading(grid[0][start], "right answers")
            _heading(grid[0][start + shown], "wrong answers")

    return (1.75 * columns + 0.3, 1.3 * len(rows) + 1.2), draw


def _heading(axes: Any, text: str) -> None:
    axes.set_title(text, fontsize=10, color=INK, fontweight="bold", loc="left", pad=16)


def _draw_face(axes: Any, face: Explanation) -> None:
    largest = max(float(np.abs(face.map).max()), FAINTEST)
    _show(axes, as_rgb(face.face), overlaid(face.face, face.map, largest))
    text = f"{short(face.predicted, 10)} {percent(face.confidence, 0)}"
    if face.label and face.label != face.predicted:
        text += f", {short(face.label, 10)} {percent(face.label_probability, 0)}"
    _above(axes, text, fontsize=7)
    _below(axes, f"{-100 * face.largest_drop:+.0f} points".replace("-", "\N{MINUS SIGN}"))


def _mean(axes: Any, row: Row) -> None:
    _above(axes, short(row.title, 18), fontsize=9, fontweight="bold")
    if row.mean is None:
        return
    face, values, count = row.mean
    _show(axes, as_rgb(face), overlaid(face, values, max(float(np.abs(values).max()), FAINTEST)))
    _below(axes, f"mean of {count} right")


def _above(axes: Any, text: str, **style: Any) -> None:
    axes.text(0, 1.02, text, transform=axes.transAxes, color=INK, va="bottom", **style)


def _below(axes: Any, text: str) -> None:
    axes.text(0, -0.03, text, transform=axes.transAxes, fontsize=6.5, color=MUTED, va="top")


def _show(axes: Any, left: Images, right: Images) -> None:
    gap = np.full((left.shape[0], max(1, left.shape[0] // GAP), 3), 255, np.uint8)
    axes.imshow(np.concatenate([left, gap, right], axis=1), interpolation="nearest")


LAYERS, FILTERS = 2, 32


class Responses(NamedTuple):
    """One convolution on one face."""

    name: str
    kernels: Floats
    """F x k x k: the mean over the input's channels."""
    maps: Floats
    """F x h x w, before any activation that is a layer of its own."""
    total: int
    """Filters of the layer; the first F are here."""


def first_convolutions(model: Any, face: NDArray[np.uint8]) -> list[Responses]:
    """Return the first LAYERS convolutions of a model on one face (1 x H x H x C, as the model takes it).

    Raises:
        CandidError: it has no convolution among its layers.
    """
    import keras

    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][:LAYERS]
    if not layers:
        raise CandidError(f"the model {model.name} has no two-dimensional convolution among its layers")
    outputs = keras.Model(model.inputs, [layer.output for layer in layers]).predict_on_batch(face)
    if len(layers) == 1 and not isinstance(outputs, list | tuple):
        outputs = [outputs]
    channels_first = keras.config.image_data_format() == "channels_first"
    responses = []
    for layer, output in zip(layers, outputs, strict=True):
        kernel = np.asarray(keras.ops.convert_to_numpy(layer.kernel), np.float64)
        maps = np.asarray(output[0], np.float64)
        maps = maps if channels_first else maps.transpose(2, 0, 1)
        kernels = kernel.mean(axis=2).transpose(2, 0, 1)
        responses.append(Responses(layer.name, kernels[:FILTERS], maps[:FILTERS], kernel.shape[-1]))
    return responses


ACROSS = 16
SIDE = 48


def filters_picture(
    face: NDArray[np.uint8], layers: Sequence[Responses], model: str
) -> tuple[tuple[float, float], Callable[[Figure], None]]:
    """Size in inches, and what draws the sheet; of the first layer the kernels too, above their maps."""
    blocks = [sheet(layer, kernels=place == 0) for place, layer in enumerate(layers)]
    wide = max(block.shape[1] for block in blocks)
    heights = [SIDE * 2, *(block.shape[0] for block in blocks)]
    inches = 10.4 / wide

    def draw(figure: Figure) -> None:
        title(
            figure,
            "What the first layers make of a face",
            f"{model}. Orange: above zero, blue: below; each map as strong as its largest value.",
        )
        grid = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        first = enlarged(as_rgb(face), SIDE * 2)
        names = [
            "the face",
            *(
                f"{layer.name}: {len(layer.maps)} of {layer.total} filters"
                + (", the kernel above what it gives" if place == 0 else "")
                for place, layer in enumerate(layers)
            ),
        ]
        for axes, block, name in zip(grid, [first, *blocks], names, strict=True):
            axes.imshow(block, interpolation="nearest")
            axes.set_xlim(-0.5, wide - 0.5)
            axes.set_title(name, fontsize=9, color=INK, loc="left", pad=3)
            axes.set_xticks([])
            axes.set_yticks([])
            no_frame(axes)

    return (10.6, inches * sum(heights) + 0.35 * len(heights) + 0.8), draw


def sheet(layer: Responses, kernels: bool) -> Images:
    """The maps of a layer in rows of ACROSS, each below its kernel if `kernels`: RGB on white."""
    tiles = []
    for kernel, values in zip(layer.kernels, layer.maps, strict=True):
        parts = [enlarged(signed(values), SIDE)]
        if kernels:
            parts.insert(0, enlarged(signed(kernel), SIDE))
        tiles.append(np.concatenate([_framed(part) for part in parts]))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % ACROSS)
    rows = [np.concatenate(tiles[start : start + ACROSS], axis=1) for start in range(0, len(tiles), ACROSS)]
    return np.concatenate(rows)


def _framed(part: Images) -> Images:
    return np.pad(part, ((2, 2), (2, 2), (0, 0)), constant_values=255)
