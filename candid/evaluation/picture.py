"""The style of all pictures, and how they are saved: equal inputs give equal bytes."""

from __future__ import annotations

import logging
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from candid.files import writing
from candid.text import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, RULE = "#22262b", "#6b737c", "#d9dde2"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c6d1f", "#000000")
"""Told apart by the colour-blind too (Okabe and Ito 2008; their yellow darkened to be seen on white)."""

TICKS = {"color": MUTED, "labelcolor": INK, "major.size": 0}
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same on every machine
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$"
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eceef1",
    **{f"{axis}tick.{key}": value for axis in "xy" for key, value in TICKS.items()},
    "legend.frameon": False,
    "figure.facecolor": "white",
}


@contextmanager
def picture(path: str | Path, size: tuple[float, float], colors: int | None = 128) -> Iterator[Figure]:
    """Give an empty figure of `size` inches; at the end write it as PNG, without date or version inside.

    A chart needs few colours; a palette of them makes a third of the bytes that git has to keep. Faces
    need them all (`colors`: None).
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # silent about building its font cache
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(), writing(path) as aside, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a class may be in any script
        mpl.rcdefaults()
        parameters: Any = mpl.rcParams
        parameters.update(STYLE)
        figure = Figure(figsize=size, dpi=140, layout="constrained")
        yield figure
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        (image.quantize(colors) if colors else image).save(aside, format="PNG", optimize=True)


def title(figure: Figure, headline: str, *lines: str, warning: str = "") -> None:
    """Put a headline at the top left of a figure, lines below it, and a warning in red; long ones wrap."""
    width, height = figure.get_size_inches()
    rows = [(headline, INK, 13.5, "bold"), *((line, MUTED, 9.5, "normal") for line in lines)]
    rows += [(warning, "#b3261e", 9.5, "bold")] * bool(warning)
    below = 0.12
    for text, color, points, weight in rows:
        style: dict[str, Any] = {"color": color, "fontsize": points, "fontweight": weight}
        label = figure.text(0.14 / width, 1 - below / height, text, ha="left", va="top", **style)
        room = (1 - 0.28 / width) * figure.bbox.width / max(1, label.get_window_extent().width)
        if room < 1:
            label.set_text(textwrap.fill(text, int(0.96 * room * len(text))))
        below += (label.get_text().count("\n") + 1) * points / 72 * 1.5
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0, 0, 1, 1 - (below + 0.08) / height))


def short(name: str, most: int = 14) -> str:
    """Cut a long class name, so that axes stay readable."""
    name = clean(name)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def no_frame(axes: Axes) -> None:
    """Remove grid, spines and ticks."""
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
