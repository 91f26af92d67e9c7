"""The style of all pictures, and how they are saved: equal inputs give equal bytes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
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
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eceef1",
    **{f"{axis}tick.{key}": value for axis in "xy" for key, value in TICKS.items()},
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def save_picture(
    path: str | Path, size: tuple[float, float], draw: Callable[[Figure], None], colors: int | None = 128
) -> None:
    """Draw on an empty figure of `size` inches and write it as PNG, without date or version inside.

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
        draw(figure)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        (picture.quantize(colors) if colors else picture).save(aside, format="PNG", optimize=True)


def title(figure: Figure, headline: str, *lines: str, warning: str = "") -> None:
    """Put a headline at the top left of a figure, smaller lines below it, and a warning in red."""
    width, height = figure.get_size_inches()
    rows = [(headline, INK, 13.5, "bold"), *((line, MUTED, 9.5, "normal") for line in lines)]
    if warning:
        rows.append((warning, "#b3261e", 9.5, "bold"))
    below = 0.12
    for text, color, points, weight in rows:
        font: dict[str, Any] = {"color": color, "fontsize": points, "fontweight": weight}
        figure.text(0.14 / width, 1 - below / height, text, ha="left", va="top", **font)
        below += (text.count("\n") + 1) * points / 72 * 1.5
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
