"""Which pairs are shown: a few from every band of similarity, on both sides of the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ACCEPTED_BANDS = 4  # between the threshold and 1
REJECTED_BANDS = 2  # of the same width, below the threshold


class Pair(NamedTuple):
    """Two images that are, or nearly are, copies; ids are rows."""

    a: int
    b: int
    distance_bits: int
    similarity: float
    kind: str


class Band(NamedTuple):
    """Some pairs of one band."""

    name: str
    """For file names: exact, accepted-0.98, rejected-0.90, conflicts."""
    title: str
    pairs: list[Pair]
    """The pairs chosen to be shown, in the order to show them."""
    total: int
    """Pairs in the band."""
    rejected: bool = False
    """Below the threshold."""

    @property
    def heading(self) -> str:
        """Title, and how many pairs of how many are shown."""
        some = f"{len(self.pairs):,} of " if len(self.pairs) < self.total else ""
        return f"{self.title}: {some}{self.total:,} pair{'s' * (self.total != 1)}"


def bands(accepted: pd.DataFrame, rejected: pd.DataFrame, threshold: float, most: int) -> list[Band]:
    """Cut pairs into bands and choose up to `most` of each, evenly over the band.

    Args:
        accepted: a, b, similarity, kind; most similar first.
        rejected: the same, similarity below the threshold.
        threshold: least similarity accepted.
        most: pairs shown of a band.
    """
    near = accepted[accepted["kind"] != "exact"]
    made = [Band("exact", "Exact copies", *_spread(accepted[accepted["kind"] == "exact"], most))]
    for high, low in pairwise(_edges_above(threshold)):
        inside = near[(near["similarity"] >= low) & ((near["similarity"] < high) | (high == 1))]
        title = f"Accepted, similarity {low:.3f} to {high:.3f}"
        made.append(Band(f"accepted-{low:.3f}", title, *_spread(inside, most)))
    for high, low in pairwise(edges_below(threshold)):
        inside = rejected[(rejected["similarity"] >= low) & (rejected["similarity"] < high)]
        title = f"Just rejected, similarity {low:.3f} to {high:.3f}"
        made.append(Band(f"rejected-{low:.3f}", title, *_spread(inside, most), rejected=True))
    return [band for band in made if band.total]


def edges_below(threshold: float) -> list[float]:
    """Edges of the rejected bands, from the threshold down to the least similarity of interest."""
    return [round(threshold - step * _width(threshold), 4) for step in range(REJECTED_BANDS + 1)]


def _edges_above(threshold: float) -> list[float]:
    steps = ACCEPTED_BANDS if threshold < 1 else 0
    return [1.0, *(round(1 - step * _width(threshold), 4) for step in range(1, steps)), threshold]


def _width(threshold: float) -> float:
    return (1 - threshold) / ACCEPTED_BANDS


def conflict_band(accepted: pd.DataFrame, labels: Sequence[str], flat: NDArray[np.bool_], most: int) -> Band:
    """Choose pairs of copies whose labels differ, one a pair of labels in turn, so that none is left out.

    Flat images, in which there is nothing to see, are passed over.
    """
    names = np.asarray(labels)
    a, b = names[accepted["a"]], names[accepted["b"]]
    differ = accepted[(a != b) & (a != "") & (b != "") & ~flat[accepted["a"]]]
    meet = pd.Series(
        [" ".join(sorted(pair)) for pair in zip(names[differ["a"]], names[differ["b"]], strict=True)],
        index=differ.index,
        dtype=str,
    )
    turn = meet.groupby(meet).cumcount()
    chosen = differ.assign(turn=turn, meet=meet).sort_values(["turn", "meet"], kind="stable").head(most)
    return Band("conflicts", "Copies with different labels", _listed(chosen), len(differ))


def _spread(pairs: pd.DataFrame, most: int) -> tuple[list[Pair], int]:
    """Choose up to `most` rows, evenly spread; also give how many there are."""
    rows = np.unique(np.linspace(0, len(pairs) - 1, min(most, len(pairs))).round().astype(int))
    return _listed(pairs.iloc[rows]), len(pairs)


def _listed(pairs: pd.DataFrame) -> list[Pair]:
    columns = (pairs[name].tolist() for name in Pair._fields)
    return [Pair(*row) for row in zip(*columns, strict=True)]
