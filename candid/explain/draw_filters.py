"""The sheet of filters: what the first convolutions make of one face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from candid.evaluation.picture import INK, no_frame, title
from candid.evaluation.predict import Images
from candid.explain.colours import as_rgb, enlarged, signed
from candid.explain.convolutions import Responses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
