"""plots/curves.png: loss and accuracy by epoch, with the epoch whose weights were kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from candid.errors import CandidError
from candid.evaluation.picture import COLORS, INK, MUTED, percent, title
from candid.files import read_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")


def read_history(path: str | Path) -> pd.DataFrame:
    """Read plots/history.csv: one row an epoch, COLUMNS and whatever else train measured, as numbers.

    A score that is no number (an epoch without validation, a loss that diverged) leaves a gap.
    """
    table = read_csv(path, COLUMNS, {"epoch": np.int64})
    if table.empty:
        raise CandidError(f"{path}: no epoch; expected at least one row")
    for name in table.columns[1:]:
        table[name] = pd.to_numeric(table[name].replace("", "nan"), errors="coerce")
    return table


def kept_epoch(history: pd.DataFrame, monitor: str) -> int | None:
    """First of the best epochs by column `monitor`: the smallest loss, or the largest of anything else.

    None where there is no such column, or no number in it.
    """
    if monitor not in history or history[monitor].isna().all():
        return None
    values = history[monitor].to_numpy()
    best = np.nanargmin(values) if monitor.endswith("loss") else np.nanargmax(values)
    return int(history["epoch"].iloc[best])


def curves_picture(
    history: pd.DataFrame, chosen: int | None
) -> tuple[tuple[float, float], Callable[[Figure], None]]:
    """Size in inches, and what draws the curves; `chosen` is the kept epoch as `history` counts."""

    def draw(figure: Figure) -> None:
        kept = history[history["epoch"] == chosen]
        line = "" if kept.empty else f"kept: epoch {chosen}"
        if not kept.empty and np.isfinite(kept["val_accuracy"].iloc[0]):
            line += f", validation accuracy {percent(kept['val_accuracy'].iloc[0])}"
        title(figure, f"Training: {len(history)} epoch{'s' * (len(history) != 1)}", *([line] if line else []))
        rates = "learning_rate" in history
        grid = figure.add_gridspec(2 if rates else 1, 2, height_ratios=(4, 1) if rates else (1,))
        _curves(figure.add_subplot(grid[0, 0]), history, "accuracy", None if kept.empty else chosen)
        _curves(figure.add_subplot(grid[0, 1]), history, "loss", None if kept.empty else chosen)
        if rates:
            _learning_rate(figure.add_subplot(grid[1, :]), history)

    return (9.6, 5.2), draw


def _curves(axes: Axes, history: pd.DataFrame, name: str, chosen: int | None) -> None:
    dots = "o" if len(history) < 3 else ""
    for column, color, label in ((name, COLORS[0], "training"), (f"val_{name}", COLORS[1], "validation")):
        axes.plot(history["epoch"], history[column], color=color, marker=dots, linewidth=1.8, label=label)
    if chosen is not None:
        axes.axvline(chosen, color=INK, linewidth=1, linestyle=(0, (3, 2)))
        kept = history.loc[history["epoch"] == chosen, f"val_{name}"]
        axes.plot([chosen], kept, "o", color=COLORS[1], markeredgecolor=INK, markersize=7, label="kept")
    axes.set_title(name, loc="left", color=MUTED, fontsize=10)
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("epoch", color=MUTED)
    axes.legend(loc="best")


def _learning_rate(axes: Axes, history: pd.DataFrame) -> None:
    axes.step(history["epoch"], history["learning_rate"], where="mid", color=COLORS[2], linewidth=1.6)
    if (history["learning_rate"] > 0).any():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    axes.set_title("learning rate", loc="left", color=MUTED, fontsize=10)
    axes.locator_params(axis="x", integer=True)
