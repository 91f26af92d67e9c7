"""A second look at pairs in doubt, in the originals: three times as many pixels a side tell them apart.

At 48 pixels a watermark, a line of text or the edge of a black corner blurs into all the cells around it. At
144 there are 324 cells, and what an overlay leaves of the picture is enough to recognise it by. What counts
is how much of the same structure both show: of the cells with more than upright or level lines twice as many
must agree as cells disagree, so that two plots on the same axes or two pictures in one frame are no copies.
Fewer do where one picture is the other with something put on it: what agrees is equal to the last detail, as
is the light of even cells, and nearly all cells that disagree vary more in the same one of the two. Two
pictures in one frame differ in light; of two moments of one scene, now this and now that varies more. Cells
of the rim may disagree, as after a turn or in a new border. Motions of every kind are believed alike: there
is evidence enough without a prior. Beside the candidates of the search, pairs that look alike in a part get
this look. What even borders enclose may be plots, which share axes and ticks: a part of what agrees there
must be more.
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
    MIN_CELL,
    WORST,
    agreeing,
    by_cell,
    cell_sums,
    improve,
    quads,
    trim,
    workspace,
)
from candid.duplicates.kernels import in_parallel, kernel
from candid.duplicates.structure import Prepared, prepare, slopes
from candid.duplicates.views import cut

STILL = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)  # no motion
SIDE = 144  # pixels, of the originals for this look
DETAILED = 64  # pixels of the shorter side of an original from which on it shows more than at 48
MOST = 20_000  # pairs; the likeliest, where more are in doubt
AT_ONCE = 2000  # pairs, of up to 4,000 originals: 250 MiB
HALF_STEPS, FULL_STEPS, CLOSE_STEPS = 2, 4, 4  # Gauss-Newton steps at 24, 48 and 144 pixels
# A pair gets a look where at 48 pixels the best cells correlate so, and so many agree; or where SEEN of its
# pixels, unmoved, differ by no more than SHADE.
LIKELY, LIKELY_CELLS = 0.5, 6
COVERED = 0.5  # share of the cells that text or a watermark may cover
HOPELESS = 0.6  # correlation after the first step at 144 pixels, which later ones hardly raise
SLANTED = 100.0  # mean square slope, across and down, of a cell whose lines are no frame's or table's
CORNERS = (12, 2, 40)  # cells of more than lines that must agree: 12, and 2 for each that disagrees, up to 40
AGREEING = (12, 3, 110)  # the same, where a quarter of all that agree counts as well
SHARE = 0.67  # of the cells with structure that must agree, lines as well
EQUAL = 0.96  # correlation of the better half that look-alikes seldom reach, but in one frame
SHADE = 4  # grey levels by which the mean of a cell may miss the line that fits most means
FAR = 32  # grey levels by which no cell of a copy does, whatever was done to its tones
SHADES, SEEN = 0.85, 0.62  # share of the cells that must fit it, and of those that do not disagree
ADDED = 0.8  # share of the cells that disagree that must vary more in the same one of the two
EQUAL_CELLS, EQUAL_CORNERS = 40, 5  # must agree, where all this holds
# Of what borders enclose, which may be a plot: the share of the cells that agree with more than lines (plots
# have a fifth), and cells that disagree where it has less.
PICTURE = (0.25, 12)
CONTRADICT = 50  # cells that disagree, where no SHARE agrees: different pictures in one frame
CLEAR = 0.95  # similarity at 48 pixels that needs no second look
SHORTFALL = 2.33  # counts what the best cells lack: a correlation of 0.94 is a similarity of 0.86
EVIDENT = 0.86  # similarity with just as many
BLOCK = 64  # pairs at a time


class Originals(NamedTuple):
    """Where the images of a search, and what their borders enclose, can be seen again."""

    detailed: NDArray[np.bool_]
    """N flags: originals with DETAILED or more pixels on the shorter side."""
    read: Callable[[NDArray[np.int64]], NDArray[np.uint8]]
    """Rows of images -> grey uint8, n x SIDE x SIDE."""

    def of(self, rows: NDArray[np.int64]) -> Originals:
        """Those of some of the images."""
        return Originals(self.detailed[rows], lambda some: self.read(rows[some]))

    def and_insides(self, owner: NDArray[np.int64], boxes: NDArray[np.int64]) -> Originals:
        """Rows of images, then what the boxes hold of the last of them; `owner`: the image of each row."""

        def read(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
            images, which = np.unique(owner[rows], return_inverse=True)
            shown = self.read(images)[which]
            inside = rows >= len(owner) - len(boxes)
            shown[inside] = cut(shown[inside], boxes[rows[inside] - len(owner) + len(boxes)])
            return shown

        return Originals(self.detailed[owner], read)


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
    inside: NDArray[np.bool_],
    mirrored: bool = False,
) -> NDArray[np.float64]:
    """P x 2: the similarity of each pair in the originals, 0 to 1; whether much of them contradicts, 1 or 0.

    Args:
        read: as of Originals; called once.
        pairs: P x 2 rows (a, b), AT_ONCE at most.
        motions: P x 6, from `approach`.
        inside: P flags: one of the two is what a border encloses.
        mirrored: each b is compared mirrored.
    """
    rows, ends = np.unique(pairs, return_inverse=True)
    ends, grey = ends.reshape(-1, 2), read(rows)
    close = prepare(grey)
    others = prepare(np.ascontiguousarray(grey[:, :, ::-1])) if mirrored else close
    telling = close.corners | (slopes(close.fine)[..., :2].min(axis=-1) >= SLANTED)

    def looks(rows: NDArray[np.int64], motions: NDArray[np.float64], sure: bool) -> NDArray[np.float64]:
        def look(start: int, stop: int) -> Any:
            some = rows[start:stop]
            return _look(close, others, telling, ends[some], motions[start:stop], inside[some], sure)

        return np.concatenate([np.empty((0, 2)), *in_parallel(look, len(rows), BLOCK)])

    said = looks(np.arange(len(pairs)), motions, sure=False)
    # Text leads the motion astray at 48 pixels, but is mostly put on pictures that are not moved.
    unsure = np.flatnonzero(said[:, 0] < EVIDENT)
    again = looks(unsure, np.tile(STILL, (len(unsure), 1)), sure=True)
    better = again[:, 0] > said[unsure, 0]
    said[unsure[better]] = again[better]
    return np.asarray(np.round(said, DECIMALS))


@kernel
def _approach(first: Any, second: Any, pairs: Any, motions: Any) -> Any:
    """Improve the motions at 48 pixels; how likely each pair is: correlation, or 1 where pixels are equal."""
    work = workspace(first.smooth.shape[1], first.corners.shape[1])
    motion, cells, used = work.motion, work.cells, work.used
    hints = np.zeros(len(pairs))
    for q in range(len(pairs)):
        a, b = pairs[q, 0], pairs[q, 1]
        motion[:] = motions[q]
        used[:] = True
        half, smooth, fine = quads(second.half[b]), quads(second.smooth[b]), quads(second.fine[b])
        cell_sums(first.half[a], half, work, work.half)
        trim(cells, used)
        together = True
        for _ in range(HALF_STEPS):
            together = together and improve(first.half[a], half, work, work.half)
            if together:
                cell_sums(first.half[a], half, work, work.half)
                trim(cells, used)
        for _ in range(FULL_STEPS):
            if not together or not improve(first.smooth[a], smooth, work, work.full):
                break
            cell_sums(first.fine[a], fine, work, work.full)
            correlation = agreeing(cells, first.corners[a], used, WORST)[0]
            correlations = by_cell(cells)
            agree = ((correlations >= AGREE) & (correlations <= 1)).sum()
            if correlation >= max(LIKELY, hints[q]) and agree >= LIKELY_CELLS:
                hints[q] = correlation
                motions[q] = motion
        if _equal(first.smooth[a], second.smooth[b]) >= SEEN:
            if hints[q] == 0:
                motions[q] = STILL
            hints[q] = 1.0
    return hints


@kernel
def _equal(a: Any, b: Any) -> Any:
    """Share of the pixels that are equal but for SHADE."""
    count = 0
    for j in range(a.shape[0]):
        for i in range(a.shape[1]):
            count += int(abs(np.int32(a[j, i]) - np.int32(b[j, i])) <= SHADE)
    return count / a.size


@kernel
def _look(first: Any, second: Any, telling: Any, pairs: Any, motions: Any, inside: Any, sure: bool) -> Any:
    """Similarity, and whether much contradicts, of each pair. `sure`: of the motions, but for some pixels."""
    work = workspace(first.smooth.shape[1], first.corners.shape[1])
    motion, cells, used = work.motion, work.cells, work.used
    out = np.zeros((len(pairs), 2))
    for q in range(len(pairs)):
        a, b = pairs[q, 0], pairs[q, 1]
        motion[:] = motions[q]
        used[:] = True
        smooth, fine = quads(second.smooth[b]), quads(second.fine[b])
        if sure:
            cell_sums(first.fine[a], fine, work, work.full)
            if agreeing(cells, telling[a], used, COVERED)[0] < HOPELESS:
                continue
            used[:] = True
        cell_sums(first.smooth[a], smooth, work, work.full)
        trim(cells, used)
        for _ in range(CLOSE_STEPS):
            if not improve(first.smooth[a], smooth, work, work.full):
                break
            cell_sums(first.fine[a], fine, work, work.full)
            correlated = agreeing(cells, telling[a], used, COVERED)[0]
            correlations = by_cell(cells)
            if correlated >= HOPELESS:  # else light matters no more
                cell_sums(first.smooth[a], smooth, work, work.full)
            enough, against = evidence(correlations, cells, telling[a], correlated, inside[q])
            score = min(1 - (1 - correlated) * SHORTFALL, EVIDENT * enough)
            gain = score - out[q, 0]
            out[q, 0] = max(out[q, 0], score)
            out[q, 1] = against
            if correlated < HOPELESS or gain < GAIN:
                break
    return out


@kernel
def evidence(correlations: Any, cells: Any, telling: Any, fine: float, inside: bool) -> Any:
    """How much agrees, in parts of what must; whether so much disagrees that these are no copies.

    `cells`: sums of light, as of `cell_sums`. `telling`: cells of more than lines. `fine`: correlation of the
    better half. `inside`: of what a border encloses, which may be a plot.
    """
    grid = round(np.sqrt(len(correlations)))
    varies, misses = _light(correlations, cells)
    agree = told = disagree = even = fits = differ = more = 0
    for c in range(len(correlations)):
        if cells[c, 0] < MIN_CELL:
            continue
        row, column = divmod(c, grid)
        if AGREE <= correlations[c] <= 1:
            agree += 1
            told += telling[c]
        elif correlations[c] < AGREE or misses[c] > FAR:
            disagree += int(0 < row < grid - 1 and 0 < column < grid - 1)
        even += correlations[c] > 1
        fits += correlations[c] >= AGREE and misses[c] <= SHADE
        differ += correlations[c] < AGREE
        more += correlations[c] < AGREE and varies[c] > 0
    corners = min(CORNERS[0] + CORNERS[1] * disagree, CORNERS[2])
    weighted = min(AGREEING[0] + AGREEING[1] * disagree, AGREEING[2])
    share = agree / max(agree + disagree, 1)
    enough = min(told / corners, (told + agree / 4) / weighted, share / SHARE)
    if fine >= EQUAL:  # is the one the other with something put on it?
        added = max(more, differ - more) / differ if differ else 1.0
        seen, shades = (agree + even) / (agree + even + differ), fits / max(agree + even, 1)
        parts = min(agree / EQUAL_CELLS, told / EQUAL_CORNERS, shades / SHADES)
        enough = max(enough, min(parts, added / ADDED, seen / SEEN))
    against = disagree >= CONTRADICT and share < SHARE
    if inside and told < PICTURE[0] * agree:
        enough, against = 0.0, disagree >= PICTURE[1]
    return enough, against


@kernel
def _light(correlations: Any, cells: Any) -> Any:
    """Of each cell: does B vary more (above 0), and by how many grey levels its mean misses a line.

    The line fits the means of most cells that do not disagree.
    """
    n = np.maximum(cells[:, 0], 1.0)
    a, b = cells[:, 1] / n, cells[:, 2] / n
    kept = (cells[:, 0] >= MIN_CELL) & (correlations >= AGREE)
    used, slope, misses = kept, 1.0, np.zeros(len(cells))
    for _ in range(3):
        if used.sum() < 2:
            break
        middle_a, middle_b = a[used].mean(), b[used].mean()
        spread = ((b[used] - middle_b) ** 2).sum()
        slope = ((a[used] - middle_a) * (b[used] - middle_b)).sum() / max(spread, 1.0)
        misses = np.abs(a - middle_a - slope * (b - middle_b)) / max(1.0, slope)
        used = kept & (misses <= np.sort(misses[kept])[3 * kept.sum() // 4])
    return (cells[:, 4] / n - b * b) * slope * slope - (cells[:, 3] / n - a * a), misses
