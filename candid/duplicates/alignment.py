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
from candid.duplicates.structure import Prepared

ONE = 65536  # fixed point of coordinates
GRID = 6  # cells a side at 48 pixels, and at half size; each is compared by itself
MIN_CELL = 20  # pixels of 64 that both images show
STRUCTURE = 120.0  # mean square of fine structure; a cell with less in both images says nothing
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
AT_ONCE = 1024  # pixels that are laid over, and rows of sums, at a time: 100 KiB, so that caches hold them
BLOCK = 256  # pairs at a time


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


def promising(
    half: NDArray[np.uint8], others: NDArray[np.uint8], pairs: NDArray[np.int64], motions: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which pairs `similarities` does not give up on at half size; arguments are as there, of `halves`."""

    def block(start: int, stop: int) -> NDArray[np.bool_]:
        out = np.zeros(stop - start, np.bool_)
        _promising(half, others, pairs[start:stop], motions[start:stop], out)
        return out

    return np.concatenate([np.empty(0, np.bool_), *in_parallel(block, len(pairs), BLOCK)])


class Work(NamedTuple):
    """Arrays that the steps of a pair fill, and the pixels that they compare at full and at half size."""

    table: NDArray[np.float64]
    system: NDArray[np.float64]
    motion: NDArray[np.float64]
    cells: NDArray[np.float64]
    used: NDArray[np.bool_]  # cells
    full: NDArray[np.int32]
    half: NDArray[np.int32]
    rough: NDArray[np.int32]  # every other row of half


@kernel
def workspace(size: int, cells: int) -> Any:
    """Work for images of so many pixels a side and cells."""
    full, half = pixels_of(size, cells), pixels_of(size // 2, cells)
    rough, used = pixels_of(size // 2, cells, 2), np.ones(cells, np.bool_)
    table, system, motion = np.empty((9, size * size)), np.empty((7, 8)), np.empty(6)
    return Work(table, system, motion, np.empty((cells, 6)), used, full, half, rough)


@kernel
def _verify(first: Any, second: Any, pairs: Any, motions: Any, series: Any, out: Any) -> None:
    work = workspace(first.smooth.shape[1], first.corners.shape[1])
    motion, cells, used = work.motion, work.cells, work.used
    for q in range(len(pairs)):
        a, b = pairs[q, 0], pairs[q, 1]
        motion[:] = motions[q]
        if not _alike_at_half(first.half[a], second.half[b], work):
            continue
        smooth, fine = quads(second.smooth[b]), quads(second.fine[b])
        for _ in range(FULL_STEPS):
            if not improve(first.smooth[a], smooth, work, work.full):
                break
            cell_sums(first.fine[a], fine, work, work.full)
            correlated, agreement = agreeing(cells, first.corners[a], used, WORST)
            lacks = (1 - correlated) * SHORTFALL * _doubt(motion, series[a] and series[b])
            score = min(1 - lacks, agreement + AGREEMENT)
            gain = score - out[q]
            out[q] = max(out[q], score)
            if correlated < HOPELESS or gain < GAIN:
                break


@kernel
def _promising(half: Any, others: Any, pairs: Any, motions: Any, out: Any) -> None:
    work = workspace(2 * half.shape[1], GRID * GRID)
    for q in range(len(pairs)):
        work.motion[:] = motions[q]
        out[q] = _alike_at_half(half[pairs[q, 0]], others[pairs[q, 1]], work)


@kernel
def _alike_at_half(a: Any, b: Any, work: Work) -> Any:
    """Improve the motion from scratch; `used` becomes False for the cells that fit worst."""
    work.used[:] = True
    over = quads(b)
    return _fits(a, over, work, work.rough, MIN_HALF[0]) and _fits(a, over, work, work.half, MIN_HALF[1])


@kernel
def _fits(a: Any, b: Any, work: Work, pixels: Any, least: float) -> Any:
    """Take a step; whether the images correlate then, but for the cells that fit worst."""
    if not improve(a, b, work, pixels):
        return False
    cell_sums(a, b, work, pixels)
    trim(work.cells, work.used)
    return correlation(work.cells, work.used)[0] >= least


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
    count = len(cells)
    rest = np.empty(count)
    for _ in range(2):
        _, slope, level = correlation(cells, used)
        shared = 0
        for c in range(count):
            n, a, b, aa, bb, ab = cells[c]
            squares = aa + level * level * n + slope * slope * bb
            crossed = level * a + slope * ab - level * slope * b
            rest[c] = max(squares - 2 * crossed, 0.0) if n > 0 else -1.0
            shared += n > 0
        for c in range(count):
            better = 0  # cells that fit better, or are not shared
            for other in range(count):
                better += rest[other] < rest[c]
            used[c] = rest[c] >= 0 and better < count - shared // 4


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
def pixels_of(size: int, cells: int, step: int = 1) -> Any:
    """3 x n: of every pixel twice its distance from the centre, u and v, and its offset in the image.

    Cell by cell, and of these every `step`-th row.
    """
    grid = round(sqrt(cells))
    side = size // grid
    out = np.empty((3, size * size // step), np.int32)
    n = 0
    for c in range(cells):
        for j in range(c // grid * side, c // grid * side + side, step):
            for i in range(c % grid * side, c % grid * side + side):
                out[0, n], out[1, n], out[2, n] = 2 * i - (size - 1), 2 * j - (size - 1), j * size + i
                n += 1
    return out


class Quads(NamedTuple):
    """An image to lay over others: each pixel and its next ones, across, down and both, in one number."""

    size: int
    bits: NDArray[np.int32]  # of size x size pixels, 8 of each of the four
    zero: np.int32  # what is added to a pixel, so that none is negative


@kernel
def quads(image: Any) -> Any:
    """Quads of uint8 or int8 pixels: the processor reads the four at once."""
    size, light, i32 = image.shape[0], image.reshape(image.size), np.int32
    zero, bits = i32(-np.iinfo(image.dtype).min), np.zeros(image.size, np.int32)
    across, down, both = light[1:], light[size:], light[size + 1 :]
    for k in range(len(both)):  # the last pixel of a row has no next one, and is never asked for
        top = i32(light[k] + zero) | i32(i32(across[k] + zero) << 8)
        low = i32(down[k] + zero) | i32(i32(both[k] + zero) << 8)
        bits[k] = top | i32(low << 16)
    return Quads(size, bits, zero)


@kernel
def _warp(b: Quads, motion: Any, u: Any, v: Any, out: Any) -> None:
    """Lay B over some pixels of A: out gets 1 where B has them (else 0), B, its change across and down.

    out: 7 x n, of changes 8 times. Flat loops of 32 bits without a branch: the processor does eight steps at
    once.
    """
    size, bits, zero, i32 = b.size, b.bits, b.zero, np.int32
    shrink = size / 48.0
    centre, limit, wide = (size - 1) * (ONE // 2), i32((size - 1) * ONE), i32(size)
    m00, m01 = i32(round(motion[0] * ONE)), i32(round(motion[1] * ONE))
    m10, m11 = i32(round(motion[2] * ONE)), i32(round(motion[3] * ONE))
    dx = i32(centre + np.int64(round(motion[4] * shrink * ONE)))
    dy = i32(centre + np.int64(round(motion[5] * shrink * ONE)))
    inside, level, right, down, fx, fy, quad = out[0], out[1], out[2], out[3], out[4], out[5], out[6]
    for i in range(len(u)):
        x = i32(dx + i32(i32(i32(m00 * u[i]) + i32(m01 * v[i])) >> 1))
        y = i32(dy + i32(i32(i32(m10 * u[i]) + i32(m11 * v[i])) >> 1))
        shown = i32((x >= 0) & (y >= 0) & (x < limit) & (y < limit))
        inside[i] = shown
        quad[i] = i32(i32(i32(y >> 16) * wide) + i32(x >> 16)) * shown
        fx[i] = i32(i32(x >> 11) & i32(31))
        fy[i] = i32(i32(y >> 11) & i32(31))
    for i in range(len(u)):
        quad[i] = bits[np.uint64(quad[i])]  # unsigned, or a negative one would be counted from the end
    for i in range(len(u)):
        four = quad[i]
        b00, b01 = i32(four & i32(255)), i32(i32(four >> 8) & i32(255))
        b10, b11 = i32(i32(four >> 16) & i32(255)), i32(i32(four >> 24) & i32(255))
        above, below = i32(b01 - b00), i32(b11 - b10)
        top = i32(i32(i32(32) * b00) + i32(fx[i] * above))
        low = i32(i32(i32(32) * b10) + i32(fx[i] * below))
        level[i] = i32(i32(i32(i32(i32(32) * top) + i32(fy[i] * i32(low - top))) + i32(512)) >> 10) - zero
        right[i] = i32(i32(i32(i32(32) - fy[i]) * above) + i32(fy[i] * below)) >> 2
        down[i] = i32(low - top) >> 2


@kernel
def cell_sums(a: Any, b: Any, work: Work, pixels: Any) -> None:
    """Sums of 1, A, B, AA, BB and AB over the pixels that A shares with the warped B, cell by cell."""
    motion, cells = work.motion, work.cells
    of_cell = pixels.shape[1] // len(cells)
    at_once = max(AT_ONCE // of_cell, 1)
    out = np.empty((7, at_once * of_cell), np.int32)
    light = a.reshape(a.size)
    for first in range(0, len(cells), at_once):
        here = slice(first * of_cell, (first + at_once) * of_cell)
        offsets = pixels[2, here]
        _warp(b, motion, pixels[0, here], pixels[1, here], out)
        inside, warped, shown = out[0], out[1], out[2]
        for k in range(len(offsets)):
            shown[k] = light[np.uint64(offsets[k])]
        for c in range(len(offsets) // of_cell):
            cell = slice(c * of_cell, (c + 1) * of_cell)
            counts, light_a, light_b = inside[cell], shown[cell], warped[cell]
            n = sa = sb = saa = sbb = sab = np.int32(0)
            for k in range(of_cell):
                p, q = np.int32(light_a[k] * counts[k]), np.int32(light_b[k] * counts[k])
                n, sa, sb = np.int32(n + counts[k]), np.int32(sa + p), np.int32(sb + q)
                saa, sbb, sab = np.int32(saa + p * p), np.int32(sbb + q * q), np.int32(sab + p * q)
            for which, total in enumerate((n, sa, sb, saa, sbb, sab)):
                cells[first + c, which] = total


@kernel
def overlay(a: Any, b: Any, work: Work, pixels: Any) -> int:
    """Warp B over A: how many pixels of the used cells they have in common.

    table gets B, its changes by dx, dy and the four of the matrix, 1 and A; 0 where a pixel does not count.
    """
    motion, used, table = work.motion, work.used, work.table
    of_cell = pixels.shape[1] // len(used)
    at_once = max(AT_ONCE // of_cell, 1)
    out = np.empty((7, at_once * of_cell), np.int32)
    light = a.reshape(a.size)
    common = 0
    for first in range(0, len(used), at_once):
        here = slice(first * of_cell, (first + at_once) * of_cell)
        counts, u, v, offsets = out[0], pixels[0, here], pixels[1, here], pixels[2, here]
        _warp(b, motion, u, v, out)
        for c in range(len(offsets) // of_cell):
            if not used[first + c]:
                counts[c * of_cell : (c + 1) * of_cell] = 0
        ones, shown = table[7, here], table[8, here]
        for k in range(len(offsets)):
            ones[k] = counts[k]
            common += counts[k]
        for k in range(len(offsets)):
            shown[k] = light[np.uint64(offsets[k])]
        for k in range(len(offsets)):
            shown[k] *= ones[k]
        for column, row in ((0, 1), (1, 2), (2, 3)):
            into, values = table[column, here], out[row]
            for k in range(len(offsets)):
                into[k] = np.int32(values[k] * counts[k])
        for column in (1, 2):
            change, by_u, by_v = table[column, here], table[2 * column + 1, here], table[2 * column + 2, here]
            for k in range(len(offsets)):
                by_u[k] = change[k] * u[k]
            for k in range(len(offsets)):
                by_v[k] = change[k] * v[k]
    return common


@kernel
def improve(a: Any, b: Any, work: Work, pixels: Any) -> Any:
    """One Gauss-Newton step of the motion.

    False when the images part, the system is singular or the motion is none that crops of a photograph have.
    """
    motion, table, system = work.motion, work.table, work.system
    shrink = a.shape[0] / 48.0
    count = pixels.shape[1]
    n = overlay(a, b, work, pixels)
    if 10 * n < 3 * count:
        return False
    sums = np.zeros((9, 9))
    for start in range(0, count, AT_ONCE):
        here = slice(start, min(start + AT_ONCE, count))
        for i in range(0, 9, 3):
            for j in range(i, 9, 3):
                _add_dots(table, i, j, here, sums)
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


@partial(kernel, fastmath={"reassoc", "contract"})
def _add_dots(table: Any, i: int, j: int, here: Any, sums: Any) -> None:
    """Products of three rows with three, nine at a time, as memory is slower than the processor.

    They are of whole numbers and their sums below 2^47, so exact in any order of adding, faster ones too.
    """
    x, y, z = table[i, here], table[i + 1, here], table[i + 2, here]
    u, v, w = table[j, here], table[j + 1, here], table[j + 2, here]
    xu = xv = xw = yu = yv = yw = zu = zv = zw = 0.0
    for k in range(len(x)):
        xu += x[k] * u[k]
        xv += x[k] * v[k]
        xw += x[k] * w[k]
        yu += y[k] * u[k]
        yv += y[k] * v[k]
        yw += y[k] * w[k]
        zu += z[k] * u[k]
        zv += z[k] * v[k]
        zw += z[k] * w[k]
    for row, three in enumerate(((xu, xv, xw), (yu, yv, yw), (zu, zv, zw))):
        for column, total in enumerate(three):
            sums[i + row, j + column] += total


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
