"""Is it the same photograph? One image is aligned with the other; the correlation of fine structure decides.

Alignment takes Gauss-Newton steps from a rough start: image A is regressed on 1, the warped image B and the
change of B by each motion; the coefficients are light, contrast and the step. The sums are of integers, so
equal in any order; the few divisions are plain IEEE 754. A motion is (m00, m01, m10, m11, dx, dy) in pixels
of a 48 x 48 image: A's point p lies at B's point M (p - c) + c + (dx, dy), c the centre. M is any matrix
near 1, as a picture that was cut on one axis and made square again is stretched.

How the 36 cells of fine structure and the motion count stands in docs/near-duplicates.md. Cells of A that
hold nothing but straight lines agree with any such line, and count only where they do not.
"""

from __future__ import annotations

from functools import partial
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from candid.duplicates.kernels import in_parallel, kernel

ONE = 65536  # fixed point of coordinates
CELL = 8  # pixels, the side of a cell: 36 of an image, compared each by itself
GRID = 6  # of them a side at 48 pixels, and at half size
NOISE = 6.0  # grey levels; fine structure much weaker than this is not raised to the strength of the rest
EVENED = 48.0  # strength to which it is
MIN_CELL = 20  # pixels of 64 that both images show
STRUCTURE = 120.0  # mean square of fine structure; a cell with less in both images says nothing
CORNERS = 25  # mean square slope of fine structure along its lesser axis; below, a cell shows but lines
MIN_SHOWN = 6  # cells with structure; fewer that agree are no evidence
WORST = 0.25  # share of the cells that fit worst and are left out of the correlation
AGREE = 0.6  # correlation of a cell that agrees
AGREEMENT = 0.06  # 80 % of the cells must agree for a similarity of 0.86
SHORTFALL = 1.75  # counts what the best cells lack: a correlation of 0.92 is a similarity of 0.86
MIN_HALF = (0.9, 0.94)  # correlation after each step at half size; 99 of 100 copies have it
FULL_STEPS = 4  # Gauss-Newton steps at full size
HOPELESS = 0.6  # fine correlation after the first full step, which later ones hardly raise
GAIN = 0.002  # of the score; a step that gains less is the last
MATRIX_STEP = 0.07  # change of scale or turn at most, a step
MAX_SHIFT, MAX_TURN, MIN_SCALE = 16.0, 0.25, 0.6  # pixels, radians
TURN_DOUBT, SKEW_DOUBT, STILL_DOUBT = 2.0, 5.0, 3.0
TURN_FREE, TURN_SUSPECT = 0.007, 0.0175  # radians, 0.4 and 1 degree
SKEW_FREE, SKEW_SUSPECT, SKEW_OF_TURN = 0.005, 0.035, 0.6  # a turned picture of 4 to 3 is skewed once square
CROP_ZOOM, CROP_SHIFT = 0.1, 3.0  # a new crop is one zoomed by a tenth, or shifted by 3 pixels
DECIMALS = 4
BLOCK = 256  # pairs at a time


class Prepared(NamedTuple):
    """What the verifier reads of each image, N x size x size."""

    smooth: NDArray[np.uint8]
    half: NDArray[np.uint8]  # smoothed, at half size
    fine: NDArray[np.int8]  # fine structure: smoothed less its surroundings
    corners: NDArray[np.bool_]  # N x cells: which of them show more than straight lines


def prepare(grey: NDArray[np.uint8]) -> Prepared:
    """Smoothed, halved and high-passed versions of N x S x S images (5 KiB an image of 48 pixels)."""

    def block(start: int, stop: int) -> tuple[Any, Any, Any, Any]:
        smooth, fine = _filter(grey[start:stop])
        return smooth, _halves(grey[start:stop]), fine, _corners(fine)

    blocks = in_parallel(block, len(grey), 1024) or [block(0, 0)]
    return Prepared(*(np.concatenate(part) for part in zip(*blocks, strict=True)))


def similarities(
    images: Prepared,
    pairs: NDArray[np.int64],
    motions: NDArray[np.float64],
    others: Prepared,
    series: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Similarity of each pair of rows, 0 to 1, rounded to DECIMALS.

    `pairs`: P x 2 rows (a, b) of `images`, from `prepare`; b is taken from `others`, the same or these
    mirrored. `motions`: P x 6, where to start: how b lies over a, within some 3 pixels. Two images of a
    `series` (N flags) that need no new crop are doubted. A pair the other way round starts elsewhere and may
    differ in the last decimals: order pairs by content, as `find_duplicates` does.
    """

    def block(start: int, stop: int) -> NDArray[np.float64]:
        out = np.zeros(stop - start)
        _verify(images, others, pairs[start:stop], motions[start:stop], series, out)
        return out

    scores = np.concatenate([np.empty(0), *in_parallel(block, len(pairs), BLOCK)])
    return np.asarray(np.round(scores, DECIMALS), np.float64)


def halves(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """N x S x S images, smoothed at half size."""
    blocks = in_parallel(lambda start, stop: _halves(grey[start:stop]), len(grey), 1024)
    return np.concatenate(blocks or [_halves(grey)])


def promising(
    half: NDArray[np.uint8], others: NDArray[np.uint8], pairs: NDArray[np.int64], motions: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which pairs `similarities` does not give up on at half size; arguments are as there, of `halves`."""

    def block(start: int, stop: int) -> NDArray[np.bool_]:
        out = np.zeros(stop - start, np.bool_)
        _promising(half, others, pairs[start:stop], motions[start:stop], out)
        return out

    return np.concatenate([np.empty(0, np.bool_), *in_parallel(block, len(pairs), BLOCK)])


@kernel
def _halves(grey: Any) -> Any:
    count, size = grey.shape[0], grey.shape[1]
    half = np.empty((count, size // 2, size // 2), np.uint8)
    small = np.empty((size // 2, size // 2), np.uint8)
    for n in range(count):
        for j in range(size // 2):
            for i in range(size // 2):
                total = np.int32(grey[n, 2 * j : 2 * j + 2, 2 * i : 2 * i + 2].sum())
                small[j, i] = (total + 2) >> 2
        _binomial(small, half[n])
    return half


@kernel
def _filter(grey: Any) -> Any:
    count, size = grey.shape[0], grey.shape[1]
    smooth, fine = np.empty_like(grey), np.empty(grey.shape, np.int8)
    once, twice = np.empty((size, size), np.int32), np.empty((size, size), np.int32)
    power = np.empty((size, size), np.int32)
    for n in range(count):
        _binomial(grey[n], smooth[n])
        _box(smooth[n], once)
        _box(once, twice)
        for j in range(size):
            for i in range(size):
                twice[j, i] = np.int32(smooth[n, j, i]) - twice[j, i]
                once[j, i] = twice[j, i] * twice[j, i]
        _box(once, power)
        for j in range(size):
            for i in range(size):
                contrast = sqrt(max(power[j, i], 0)) + NOISE
                fine[n, j, i] = min(max(np.int32(round(EVENED * twice[j, i] / contrast)), -127), 127)
    return smooth, fine


def _corners(fine: Any) -> Any:
    across, down, both = np.moveaxis(slopes(fine), -1, 0)
    across, down = across - CORNERS, down - CORNERS
    return (np.minimum(across, down) >= 0) & (across * down >= both * both)


@kernel
def slopes(fine: Any) -> Any:
    """Mean squares of the slope of fine structure across and down, and their product, N x cells x 3."""
    count, size = fine.shape[0], fine.shape[1]
    across_all = size // CELL
    out = np.zeros((count, across_all * across_all, 3))
    for n in range(count):
        for j in range(1, size - 1):
            for i in range(1, size - 1):
                across = np.int64(fine[n, j, i + 1]) - fine[n, j, i - 1]
                down = np.int64(fine[n, j + 1, i]) - fine[n, j - 1, i]
                c = j // CELL * across_all + i // CELL
                out[n, c, 0] += across * across
                out[n, c, 1] += down * down
                out[n, c, 2] += across * down
    return out / (4 * CELL * CELL)  # slopes are taken over two pixels


@kernel
def _binomial(image: Any, out: Any) -> None:
    size = image.shape[0]
    for j in range(size):
        up, down = max(j - 1, 0), min(j + 1, size - 1)
        for i in range(size):
            left, right = max(i - 1, 0), min(i + 1, size - 1)
            total = np.int32(8)
            for row, weight in ((up, 1), (j, 2), (down, 1)):
                total += weight * (
                    np.int32(image[row, left]) + 2 * np.int32(image[row, i]) + np.int32(image[row, right])
                )
            out[j, i] = total >> 4


@kernel
def _box(image: Any, out: Any) -> None:
    """Mean over 7 x 7 pixels; beyond the border a slope goes on evenly, so that it shows no structure."""
    size = image.shape[0]
    columns = np.empty((size, size), np.int32)
    for j in range(size):
        for i in range(size):
            total = np.int32(0)
            for v in range(-3, 4):
                total += _beyond(image[:, i], j + v)
            columns[j, i] = total
    for j in range(size):
        for i in range(size):
            total = np.int32(24)
            for u in range(-3, 4):
                total += _beyond(columns[j], i + u)
            out[j, i] = total // 49


@kernel
def _beyond(line: Any, k: int) -> Any:
    last = len(line) - 1
    if k < 0:
        return 2 * np.int32(line[0]) - np.int32(line[-k])
    if k > last:
        return 2 * np.int32(line[last]) - np.int32(line[2 * last - k])
    return np.int32(line[k])


@kernel
def workspace(images: Any) -> Any:
    """Arrays that the steps of a pair fill: rows, system, motion, cells and which of these are used."""
    pixels, cells = images.smooth.shape[1] * images.smooth.shape[2], images.corners.shape[1]
    used = np.ones(cells, np.bool_)
    return np.empty((9, pixels)), np.empty((7, 8)), np.empty(6), np.empty((cells, 6)), used


@kernel
def _verify(first: Any, second: Any, pairs: Any, motions: Any, series: Any, out: Any) -> None:
    rows, system, motion, cells, used = workspace(first)
    for q in range(len(pairs)):
        a, b = pairs[q, 0], pairs[q, 1]
        motion[:] = motions[q]
        if not _alike_at_half(first.half[a], second.half[b], motion, used, rows, system, cells):
            continue
        for _ in range(FULL_STEPS):
            if not improve(first.smooth[a], second.smooth[b], motion, used, rows, system):
                break
            cell_sums(first.fine[a], second.fine[b], motion, cells)
            fine, agreement = agreeing(cells, first.corners[a], used, WORST)
            lacks = (1 - fine) * SHORTFALL * _doubt(motion, series[a] and series[b])
            score = min(1 - lacks, agreement + AGREEMENT)
            gain = score - out[q]
            out[q] = max(out[q], score)
            if fine < HOPELESS or gain < GAIN:
                break


@kernel
def _promising(half: Any, others: Any, pairs: Any, motions: Any, out: Any) -> None:
    rows, system, motion = np.empty((9, half[0].size)), np.empty((7, 8)), np.empty(6)
    cells, used = np.empty((GRID * GRID, 6)), np.ones(GRID * GRID, np.bool_)
    for q in range(len(pairs)):
        motion[:] = motions[q]
        a, b = half[pairs[q, 0]], others[pairs[q, 1]]
        out[q] = _alike_at_half(a, b, motion, used, rows, system, cells)


@kernel
def _alike_at_half(a: Any, b: Any, motion: Any, used: Any, rows: Any, system: Any, cells: Any) -> bool:
    """Improve the motion from scratch; `used` becomes False for the cells that fit worst."""
    used[:] = True
    for least in MIN_HALF:
        if not improve(a, b, motion, used, rows, system):
            return False
        cell_sums(a, b, motion, cells)
        trim(cells, used)
        if correlation(cells, used)[0] < least:
            return False
    return True


@kernel
def correlation(cells: Any, used: Any) -> Any:
    """Correlation of A and B over the used cells (0 where flat); slope and level of the line that fits."""
    sums = np.zeros(6)
    for c in range(len(cells)):
        if used[c]:
            for k in range(6):
                sums[k] += cells[c, k]
    n, a, b, aa, bb, ab = sums
    vary_a, vary_b, both = n * aa - a * a, n * bb - b * b, n * ab - a * b
    if vary_a <= 0 or vary_b <= 0:
        return 0.0, 0.0, 0.0
    return both / sqrt(vary_a * vary_b), both / vary_b, (a - both / vary_b * b) / n


@kernel
def trim(cells: Any, used: Any) -> None:
    """Leave out the quarter of the cells that fits the used ones' line worst, twice."""
    rest = np.empty(len(cells))
    for _ in range(2):
        _, slope, level = correlation(cells, used)
        for c in range(len(cells)):
            n, a, b, aa, bb, ab = cells[c]
            squares = aa + level * level * n + slope * slope * bb
            crossed = level * a + slope * ab - level * slope * b
            rest[c] = max(squares - 2 * crossed, 0.0) if n > 0 else -1.0
        shared = (rest >= 0).sum()
        used[:] = (rest >= 0) & (rest <= np.sort(rest)[len(cells) - 1 - shared // 4])


@kernel
def by_cell(cells: Any) -> Any:
    """Correlation of the fine structure of each cell; 2 where neither image has any."""
    correlations = np.full(len(cells), 2.0)
    for c in range(len(cells)):
        n, aa, bb = cells[c, 0], cells[c, 3], cells[c, 4]
        if n >= MIN_CELL and max(aa, bb) >= STRUCTURE * n:
            correlations[c] = min(cells[c, 5] / sqrt(max(aa * bb, 1.0)), 1.0)
    return correlations


@kernel
def agreeing(cells: Any, corners: Any, used: Any, worst: float) -> Any:
    """Correlation of fine structure without the `worst` share of the cells; the share of cells that agree.

    Cells without structure in either image say nothing. `used` becomes False for the worst.
    """
    correlations = by_cell(cells)
    used[:] = cells[:, 0] >= MIN_CELL
    limit = np.sort(correlations)[int(worst * (correlations <= 1).sum())]
    agree = corner = disagree = 0
    aa = bb = ab = 0.0
    for c in range(len(cells)):
        if correlations[c] > 1:
            continue
        disagree += correlations[c] < AGREE
        agree += correlations[c] >= AGREE
        corner += correlations[c] >= AGREE and corners[c]
        used[c] = correlations[c] >= limit
        if used[c]:
            aa += cells[c, 3]
            bb += cells[c, 4]
            ab += cells[c, 5]
    share = min(1 - disagree / max(corner + disagree, MIN_SHOWN), agree / MIN_SHOWN)
    return ab / sqrt(max(aa * bb, 1.0)), share


@kernel
def _doubt(motion: Any, series: bool) -> Any:
    """How much a lack of correlation counts: 1 for a motion as copies have it."""
    scale, turn = (motion[0] + motion[3]) / 2, abs(motion[2] - motion[1]) / 2
    turned = (turn / scale - TURN_FREE) / (TURN_SUSPECT - TURN_FREE)
    skew = abs(motion[1] + motion[2]) - SKEW_OF_TURN * turn
    skewed = (skew - SKEW_FREE) / (SKEW_SUSPECT - SKEW_FREE)
    doubt = (1 + TURN_DOUBT * min(max(turned, 0.0), 1.0)) * (1 + SKEW_DOUBT * min(max(skewed, 0.0), 1.0))
    if series:
        zoom = max(scale, 1 / scale) - 1
        shift = sqrt(motion[4] * motion[4] + motion[5] * motion[5])
        doubt *= 1 + STILL_DOUBT * min(max(2 * (1 - max(zoom / CROP_ZOOM, shift / CROP_SHIFT)), 0.0), 1.0)
    return doubt


@kernel
def cell_sums(a: Any, b: Any, motion: Any, cells: Any) -> None:
    """Sums of 1, A, B, AA, BB and AB over the pixels that A shares with the warped B, cell by cell."""
    size = a.shape[0]
    grid = round(sqrt(len(cells)))
    side = size // grid
    shrink = size / 48.0
    m00, m01 = np.int64(round(motion[0] * ONE)), np.int64(round(motion[1] * ONE))
    m10, m11 = np.int64(round(motion[2] * ONE)), np.int64(round(motion[3] * ONE))
    dx, dy = np.int64(round(motion[4] * shrink * ONE)), np.int64(round(motion[5] * shrink * ONE))
    centre, limit = (size - 1) * (ONE // 2), (size - 1) * ONE
    cells[:] = 0
    for j in range(size):
        v = 2 * j - (size - 1)
        for block in range(grid):
            n = sa = sb = saa = sbb = sab = np.int64(0)
            for i in range(block * side, block * side + side):
                u = 2 * i - (size - 1)
                x = centre + dx + ((m00 * u + m01 * v) >> 1)
                y = centre + dy + ((m10 * u + m11 * v) >> 1)
                if x < 0 or y < 0 or x >= limit or y >= limit:
                    continue
                column, row, fx, fy = x >> 16, y >> 16, (x >> 11) & 31, (y >> 11) & 31
                b00, b01 = np.int32(b[row, column]), np.int32(b[row, column + 1])
                b10, b11 = np.int32(b[row + 1, column]), np.int32(b[row + 1, column + 1])
                top, low = 32 * b00 + fx * (b01 - b00), 32 * b10 + fx * (b11 - b10)
                p, q = np.int32(a[j, i]), (32 * top + fy * (low - top) + 512) >> 10
                n += 1
                sa += p
                sb += q
                saa += p * p
                sbb += q * q
                sab += p * q
            c = j // side * grid + block
            for k, total in enumerate((n, sa, sb, saa, sbb, sab)):
                cells[c, k] += total


@kernel
def overlay(a: Any, b: Any, motion: Any, used: Any, rows: Any) -> int:
    """Warp B over A, of each common pixel of the used cells.

    rows get B, its changes by dx, dy and the four of the matrix, 1 and A.
    """
    size = a.shape[0]
    grid = round(sqrt(len(used)))
    side = size // grid
    shrink = size / 48.0
    m00, m01 = np.int64(round(motion[0] * ONE)), np.int64(round(motion[1] * ONE))
    m10, m11 = np.int64(round(motion[2] * ONE)), np.int64(round(motion[3] * ONE))
    dx, dy = np.int64(round(motion[4] * shrink * ONE)), np.int64(round(motion[5] * shrink * ONE))
    centre, limit = (size - 1) * (ONE // 2), (size - 1) * ONE
    n = 0
    for j in range(size):
        v = 2 * j - (size - 1)
        for i in range(size):
            if not used[j // side * grid + i // side]:
                continue
            u = 2 * i - (size - 1)
            x = centre + dx + ((m00 * u + m01 * v) >> 1)
            y = centre + dy + ((m10 * u + m11 * v) >> 1)
            if x < 0 or y < 0 or x >= limit or y >= limit:
                continue
            column, row, fx, fy = x >> 16, y >> 16, (x >> 11) & 31, (y >> 11) & 31
            b00, b01 = np.int32(b[row, column]), np.int32(b[row, column + 1])
            b10, b11 = np.int32(b[row + 1, column]), np.int32(b[row + 1, column + 1])
            top, low = 32 * b00 + fx * (b01 - b00), 32 * b10 + fx * (b11 - b10)
            across, down = ((32 - fy) * (b01 - b00) + fy * (b11 - b10)) >> 2, (low - top) >> 2
            rows[0, n] = (32 * top + fy * (low - top) + 512) >> 10
            rows[1, n], rows[2, n] = across, down
            rows[3, n], rows[4, n], rows[5, n], rows[6, n] = across * u, across * v, down * u, down * v
            rows[7, n], rows[8, n] = 1, a[j, i]
            n += 1
    return n


@kernel
def improve(a: Any, b: Any, motion: Any, used: Any, rows: Any, system: Any) -> Any:
    """One Gauss-Newton step of the motion.

    False when the images part, the system is singular or the motion is none that crops of a photograph have.
    """
    size = a.shape[0]
    shrink = size / 48.0
    n = overlay(a, b, motion, used, rows)
    if 10 * n < 3 * size * size:
        return False
    sums = np.zeros((8, 9))
    for start in range(0, n, 512):  # what the processor's first cache holds
        for i in range(8):
            for j in range(i, 9):
                sums[i, j] += _dot(rows[i, start:n], rows[j, start:n], min(n - start, 512))
    for i in range(7):
        for j in range(i, 7):
            system[i, j] = sums[i, j] - sums[i, 7] * sums[j, 7] / n
            system[j, i] = system[i, j]
        system[i, 7] = sums[i, 8] - sums[i, 7] * sums[7, 8] / n
        system[i, i] = system[i, i] * 1.001 + 1.0  # keeps a step along a featureless direction small
    if not solve(system) or system[0, 7] < 0.05:
        return False
    contrast = system[0, 7]
    for k in range(4):
        motion[k] += min(max(16 * system[3 + k, 7] / contrast, -MATRIX_STEP), MATRIX_STEP)
    for k in range(2):
        motion[4 + k] += min(max(8 * system[1 + k, 7] / contrast / shrink, -2.0), 2.0)
    near = max(abs(motion[4]), abs(motion[5])) < MAX_SHIFT and max(abs(motion[1]), abs(motion[2])) < MAX_TURN
    return near and min(motion[0], motion[3]) > MIN_SCALE and max(motion[0], motion[3]) < 1 / MIN_SCALE


@partial(kernel, fastmath={"reassoc"})
def _dot(x: Any, y: Any, n: int) -> float:
    """Sum of products of whole numbers: below 2^47, so exact in any order of adding, faster ones too."""
    total = 0.0
    for k in range(n):
        total += x[k] * y[k]
    return total


@kernel
def solve(system: Any) -> bool:
    """Solve the symmetric positive system in place; the last column becomes the solution."""
    size = system.shape[0]
    for p in range(size):
        if system[p, p] <= 1e-9:
            return False
        for q in range(p + 1, size):
            factor = system[q, p] / system[p, p]
            for w in range(p, size + 1):
                system[q, w] -= factor * system[p, w]
    for p in range(size - 1, -1, -1):
        for q in range(p + 1, size):
            system[p, size] -= system[p, q] * system[q, size]
        system[p, size] /= system[p, p]
    return True
