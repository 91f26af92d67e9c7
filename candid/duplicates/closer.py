"""A second look at pairs in doubt, in the originals: three times as many pixels a side tell them apart.

At 48 pixels a watermark, a line of text or the edge of a black corner blurs into all the cells around it. At
144 there are 324 cells, and what an overlay leaves of the picture is enough to recognise it by. What counts
is how much of the same structure both show: of the cells with more than upright or level lines twice as many
must agree as cells disagree, so that two plots on the same axes or two pictures in one frame are no copies.
Fewer do where what agrees is equal to the last detail. Cells of the rim may disagree, as after a turn or in a
new border. Motions of every kind are believed alike: there is evidence enough without a prior. Beside the
candidates of the search, pairs of similar phash get this look: it survives a watermark across the picture,
but is no proof.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from candid.duplicates.alignment import (
    AGREE,
    DECIMALS,
    GAIN,
    WORST,
    Prepared,
    agreeing,
    by_cell,
    cell_sums,
    improve,
    prepare,
    slopes,
    trim,
    workspace,
)
from candid.duplicates.hashing import pairs_within
from candid.duplicates.kernels import in_parallel, kernel

STILL = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)  # no motion
SIDE = 144  # pixels, of the originals for this look
DETAILED = 64  # pixels of the shorter side of an original from which on it shows more than at 48
HASH_BITS = 10  # of 64 by which similar phashes may differ; imagededup's default
MOST = 20_000  # pairs; the likeliest, where more are in doubt
AT_ONCE = 2000  # pairs, of up to 4,000 originals: 250 MiB
HALF_STEPS, FULL_STEPS, CLOSE_STEPS = 2, 4, 4  # Gauss-Newton steps at 24, 48 and 144 pixels
LIKELY, LIKELY_CELLS = 0.5, 6  # correlation of the best cells at 48 pixels, and how many agree; else no look
COVERED = 0.5  # share of the cells that text or a watermark may cover
HOPELESS = 0.6  # correlation after the first step at 144 pixels, which later ones hardly raise
SLANTED = 100.0  # mean square slope, across and down, of a cell whose lines are no frame's or table's
CORNERS = (12, 2, 40)  # cells of more than lines that must agree: 12, and 2 for each that disagrees, up to 40
AGREEING = (12, 3, 110)  # the same, where a quarter of all that agree counts as well
SHARE = 0.67  # of the cells with structure that must agree, lines as well
EQUAL = 0.985  # correlation of the better half that look-alikes seldom reach, but in one frame
EQUAL_CELLS, EQUAL_CORNERS, EQUAL_SHARE = 80, 10, 0.82  # must agree then: fewer corners, more of all
CONTRADICT = 50  # cells that disagree, where no SHARE agrees: different pictures in one frame
CLEAR = 0.95  # similarity at 48 pixels that needs no second look
SHORTFALL = 2.33  # counts what the best cells lack: a correlation of 0.94 is a similarity of 0.86
EVIDENT = 0.86  # similarity with just as many
BLOCK = 64  # pairs at a time


class Originals(NamedTuple):
    """Where the images of a search can be seen again."""

    detailed: NDArray[np.bool_]
    """N flags: originals with DETAILED or more pixels on the shorter side."""
    read: Callable[[NDArray[np.int64]], NDArray[np.uint8]]
    """Rows of images -> grey uint8, n x SIDE x SIDE."""

    def of(self, rows: NDArray[np.int64]) -> Originals:
        """Those of some of the images."""
        return Originals(self.detailed[rows], lambda some: self.read(rows[some]))


def similar_hashes(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of rows within HASH_BITS, P x 2, and the motion to start from: none. `hashes`: of hash_images."""
    near = pairs_within(hashes, HASH_BITS)
    return np.stack([near.a, near.b], axis=1), np.tile(STILL, (len(near.a), 1))


def approach(
    images: Prepared, others: Prepared, pairs: NDArray[np.int64], motions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How likely each pair is, 0 for no look in the originals, and better motions.

    Arguments are as of `alignment.similarities`.
    """
    motions = motions.copy()

    def block(start: int, stop: int) -> Any:
        return _approach(images, others, pairs[start:stop], motions[start:stop])

    return np.concatenate([np.empty(0), *in_parallel(block, len(pairs), BLOCK)]), motions


def likeliest(hints: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pairs that get a look in the originals: MOST at most, in their order."""
    likely = np.argsort(-hints, kind="stable")
    return np.sort(likely[: min((hints > 0).sum(), MOST)])


def compare(
    read: Callable[[NDArray[np.int64]], NDArray[np.uint8]],
    pairs: NDArray[np.int64],
    motions: NDArray[np.float64],
    mirrored: bool = False,
) -> NDArray[np.float64]:
    """P x 2: the similarity of each pair in the originals, 0 to 1; whether much of them contradicts, 1 or 0.

    Args:
        read: as of Originals; called once.
        pairs: P x 2 rows (a, b), AT_ONCE at most.
        motions: P x 6, from `approach`.
        mirrored: each b is compared mirrored.
    """
    rows, ends = np.unique(pairs, return_inverse=True)
    ends, grey = ends.reshape(-1, 2), read(rows)
    close = prepare(grey)
    others = prepare(np.ascontiguousarray(grey[:, :, ::-1])) if mirrored else close
    telling = close.corners | (slopes(close.fine)[..., :2].min(axis=-1) >= SLANTED)

    def looks(ends: NDArray[np.int64], motions: NDArray[np.float64]) -> NDArray[np.float64]:
        def look(start: int, stop: int) -> Any:
            return _look(close, others, telling, ends[start:stop], motions[start:stop])

        return np.concatenate([np.empty((0, 2)), *in_parallel(look, len(ends), BLOCK)])

    said = looks(ends, motions)
    # Text leads the motion astray at 48 pixels, but is mostly put on pictures that are not moved.
    unsure = np.flatnonzero(said[:, 0] < EVIDENT)
    again = looks(ends[unsure], np.tile(STILL, (len(unsure), 1)))
    better = again[:, 0] > said[unsure, 0]
    said[unsure[better]] = again[better]
    return np.asarray(np.round(said, DECIMALS))


@kernel
def _approach(first: Any, second: Any, pairs: Any, motions: Any) -> Any:
    """Improve the motions at 48 pixels; return the correlation where the pair is LIKELY, else 0."""
    rows, system, motion, cells, used = workspace(first)
    hints = np.zeros(len(pairs))
    for q in range(len(pairs)):
        a, b = pairs[q, 0], pairs[q, 1]
        motion[:] = motions[q]
        used[:] = True
        cell_sums(first.half[a], second.half[b], motion, cells)
        trim(cells, used)
        together = True
        for _ in range(HALF_STEPS):
            together = together and improve(first.half[a], second.half[b], motion, used, rows, system)
            if together:
                cell_sums(first.half[a], second.half[b], motion, cells)
                trim(cells, used)
        for _ in range(FULL_STEPS):
            if not together or not improve(first.smooth[a], second.smooth[b], motion, used, rows, system):
                break
            cell_sums(first.fine[a], second.fine[b], motion, cells)
            correlation = agreeing(cells, first.corners[a], used, WORST)[0]
            correlations = by_cell(cells)
            agree = ((correlations >= AGREE) & (correlations <= 1)).sum()
            if correlation >= max(LIKELY, hints[q]) and agree >= LIKELY_CELLS:
                hints[q] = correlation
                motions[q] = motion
    return hints


@kernel
def _look(first: Any, second: Any, telling: Any, pairs: Any, motions: Any) -> Any:
    rows, system, motion, cells, used = workspace(first)
    out = np.zeros((len(pairs), 2))
    for q in range(len(pairs)):
        a, b = pairs[q, 0], pairs[q, 1]
        motion[:] = motions[q]
        used[:] = True
        cell_sums(first.smooth[a], second.smooth[b], motion, cells)
        trim(cells, used)
        for _ in range(CLOSE_STEPS):
            if not improve(first.smooth[a], second.smooth[b], motion, used, rows, system):
                break
            cell_sums(first.fine[a], second.fine[b], motion, cells)
            fine = agreeing(cells, telling[a], used, COVERED)[0]
            enough, disagree, share = evidence(by_cell(cells), telling[a], fine)
            score = min(1 - (1 - fine) * SHORTFALL, EVIDENT * enough)
            gain = score - out[q, 0]
            out[q, 0] = max(out[q, 0], score)
            out[q, 1] = disagree >= CONTRADICT and share < SHARE
            if fine < HOPELESS or gain < GAIN:
                break
    return out


@kernel
def evidence(correlations: Any, telling: Any, fine: float) -> Any:
    """How many cells agree, in parts of those that must; how many disagree; the share of these that agree.

    `telling`: cells of more than lines. `fine`: correlation of the better half.
    """
    grid = round(np.sqrt(len(correlations)))
    agree = told = disagree = 0
    for c in range(len(correlations)):
        row, column = divmod(c, grid)
        if AGREE <= correlations[c] <= 1:
            agree += 1
            told += telling[c]
        elif correlations[c] < AGREE and 0 < row < grid - 1 and 0 < column < grid - 1:
            disagree += 1
    corners = min(CORNERS[0] + CORNERS[1] * disagree, CORNERS[2])
    weighted = min(AGREEING[0] + AGREEING[1] * disagree, AGREEING[2])
    share = agree / max(agree + disagree, 1)
    enough = min(told / corners, (told + agree / 4) / weighted, share / SHARE)
    if fine >= EQUAL:
        enough = max(enough, min(agree / EQUAL_CELLS, told / EQUAL_CORNERS, share / EQUAL_SHARE))
    return enough, disagree, share
