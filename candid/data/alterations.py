"""What was done to pictures: tone, sharpness, geometry, as their figures beside those published show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candid.data.figures import (
    END_LEVELS,
    PERCENTILES,
    SIDE,
    Faces,
    Figures,
    Hashes,
    Window,
    distance_bits,
    hash_turned,
    hash_within,
    hash_within_each,
)

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]

TONE = ("brightened", "darkened", "contrast raised", "contrast lowered", "equalised", "clipped")
SHARPNESS = ("blurred", "sharpened")
CUT, MIRRORED, TURNED, REPLACED, CHANGED = GEOMETRY = (
    "cut",
    "mirrored",
    "turned",
    "replaced by other pictures",
    "changed in another way",
)
SIZE = ("enlarged", "reduced")
KINDS = (*TONE, *SHARPNESS, *GEOMETRY[:3], *SIZE, *GEOMETRY[3:])
"""All kinds of alteration of pictures, in the order in which they are reported."""

MIN_SHARE = 0.02
"""Of the compared faces: a kind is reported from here on. Not so SIZE, which nothing harmless changes."""
MIN_FAMILY_SHARE = 0.2
"""Of the faces of the commonest kind of TONE (of GEOMETRY): fewer show that kind in another way."""
HARMLESS_BITS = 4
"""Of the hash, that re-encoding changes at most."""
TONED_BITS = 16
"""Of the hash, that a change of tone (equalisation, say) changes at most on 99 % of the faces."""
MIN_SHIFT = 3.0
"""Grey levels of the mean; re-encoding at JPEG quality 75 shifts it by up to 0.7, twice by up to 1.2."""
MAX_LOWERED, MIN_RAISED = 0.85, 1.18
"""Ratio of the spread of grey levels."""
MIN_EVEN_SHARE = 0.8
"""Of the faces with another tone, those with all levels about equally often: 0.9 and more after equalisation,
up to 0.6 after a stretch."""
MIN_PILE, MIN_EQUALISED_PILE = 0.08, 0.1
"""Rise of the share of pixels at both ends; at the bright end after equalisation, which makes small piles."""
MAX_SEARCHED = 250
"""Faces on which the window of a cut is searched."""
MAX_BLURRED, MIN_SHARPENED = 0.4, 1.8
"""Ratio of fine to coarse gradient energy, by that published. Bilinear enlarging and back leaves 0.5 on
average and less than 0.4 on 1.5 % of the faces of FER2013, a blur of standard deviation 1 pixel 0.36."""


@dataclass(frozen=True)
class Pairs:
    """N faces of a copy beside what was published."""

    faces: Faces
    sizes: NDArray[np.int64]
    """Width and height of the files in pixels; 0: not known."""
    shown: Figures
    published_sizes: NDArray[np.int64]
    published: Figures


def find_alterations(pairs: Pairs) -> dict[str, Mask]:
    """Kind -> which of the faces show it."""
    geometry = _geometry(pairs)
    entire = ~geometry[CUT] & ~geometry[REPLACED]
    sharpness = {kind: mask & entire for kind, mask in _sharpness(pairs).items()}
    tone = _tone(pairs, entire, sharpness["blurred"])
    for mask in (*sharpness.values(), *tone.values()):
        geometry[CHANGED] &= ~mask
    return {**tone, **sharpness, **geometry, **_size(pairs, geometry[CUT])}


def count_alterations(masks: Mapping[str, Mask]) -> dict[str, int]:
    """Kind -> faces that show it; 0 where it may be chance, or another kind as a few faces show it."""
    counts = {kind: int(mask.sum()) for kind, mask in masks.items()}
    least = _least(len(masks[CUT]))
    for family in (TONE, GEOMETRY):
        most = max(counts[kind] for kind in family)
        counts |= {kind: 0 for kind in family if counts[kind] < MIN_FAMILY_SHARE * most}
    # a cut face that passes for entire has other levels and fewer pixels, since a part is missing; and a face
    # that is blurred, but not enough to count, has less contrast
    for cause, effects in ((CUT, (*TONE, *SHARPNESS, "reduced")), ("blurred", ("contrast lowered",))):
        for kind in effects:
            counts[kind] *= counts[kind] >= MIN_FAMILY_SHARE * counts[cause]
    return {kind: count if count >= least or kind in SIZE else 0 for kind, count in counts.items()}


def _geometry(pairs: Pairs) -> dict[str, Mask]:
    """Which probes are cut, mirrored or turned, show another picture, or changed in a way without a name."""
    own = distance_bits(pairs.published.hash, pairs.shown.hash)
    masks = {kind: np.zeros(len(own), np.bool_) for kind in GEOMETRY}
    open_rows = np.flatnonzero(own > HARMLESS_BITS)
    if not len(open_rows):
        return masks
    for kind, ways in hash_turned(pairs.faces[open_rows]).items():
        bits = np.min([distance_bits(pairs.published.hash[open_rows], way) for way in ways], axis=0)
        masks[kind][open_rows] = (bits <= TONED_BITS) & (bits + 8 < own[open_rows])
    unturned = ~masks[MIRRORED] & ~masks[TURNED]
    slight = np.flatnonzero((own > HARMLESS_BITS) & (own <= TONED_BITS) & unturned)
    cut = _cut(pairs, slight)
    if cut is not None:
        masks[CUT][slight] = cut < own[slight]
    strong = np.flatnonzero((own > TONED_BITS) & unturned)
    kind = CHANGED
    if _cut(pairs, strong) is not None:
        kind = CUT
    elif len(strong) >= _least(len(own)) and not _related(pairs, strong):
        kind = REPLACED
    masks[kind][strong] = True
    return masks


def _cut(pairs: Pairs, rows: NDArray[np.int64]) -> NDArray[np.uint8] | None:
    """Distances in bits with the faces back in the window that they were cut from; None: they were not cut.

    A part doesn't have the hash of all, but it comes nearer once it is back in position. For a single face
    that is chance, over many it is not. A window is accepted where it makes the faces resemble their probes
    more than those of others, by over four standard errors beyond what they do without it.
    """
    if len(rows) < _least(len(pairs.faces)):
        return None
    some = rows[:: -(-len(rows) // MAX_SEARCHED)]
    published = pairs.published.hash[some]
    present = _closeness(published, pairs.shown.hash[some])
    best, best_surplus = None, 0.0
    for down, across, hashes in hash_within_each(pairs.faces[some], STRIPS, STRIPS):
        gain = _closeness(published, hashes) - present
        surplus = float(gain.mean() - 4 * gain.std() / np.sqrt(len(some)))
        if surplus > best_surplus:
            best, best_surplus = (down, across), surplus
    if best is None:
        return None
    return distance_bits(pairs.published.hash[rows], hash_within(pairs.faces[rows], *best))


def _related(pairs: Pairs, rows: NDArray[np.int64]) -> bool:
    """Do the faces resemble their own probes more than those of others?"""
    closeness = _closeness(pairs.published.hash[rows], pairs.shown.hash[rows])
    return bool(closeness.mean() > 4 * closeness.std() / np.sqrt(len(rows)))


def _closeness(published: Hashes, shown: Hashes) -> Values:
    """Bits by which each face is nearer to its own probe than to some others (those next in the rows)."""
    steps = [step for step in (7, 11, 13, 17) if step < len(published)] or [1]
    others = np.mean([distance_bits(np.roll(published, step), shown) for step in steps], axis=0)
    return np.asarray(others - distance_bits(published, shown), np.float64)


def _tone(pairs: Pairs, entire: Mask, blurred: Mask) -> dict[str, Mask]:
    """Which faces changed in tone, and how; of those that show all of their picture."""
    was, now = pairs.published, pairs.shown
    shift = now.mean - was.mean
    steps = now.quantiles - was.quantiles
    contrast = _spread(now) / np.maximum(_spread(was), 1)
    same_contrast = (contrast >= MAX_LOWERED) & (contrast <= MIN_RAISED)
    toned = entire & ((np.abs(shift) >= MIN_SHIFT) | ~same_contrast)
    pile = np.maximum(now.low - was.low, 0) + np.maximum(now.high - was.high, 0)
    even = _is_even(now) & toned
    equalised = even & (even.sum() >= MIN_EVEN_SHARE * toned.sum())
    clipped = (pile > MIN_PILE) & (~equalised | (now.high - was.high > MIN_EQUALISED_PILE))
    limited = np.clip(was.quantiles, now.quantiles[:, :1], now.quantiles[:, -1:])
    only_clipped = clipped & (np.abs(now.quantiles - limited) <= 5).all(axis=1)
    plain = toned & ~equalised & ~only_clipped
    up, down = (steps[:, 1:6] >= -4).all(axis=1), (steps[:, 1:6] <= 4).all(axis=1)
    brightened = plain & (shift >= MIN_SHIFT) & (up | same_contrast)
    darkened = plain & (shift <= -MIN_SHIFT) & (down | same_contrast)
    rest = plain & ~brightened & ~darkened
    masks = (
        brightened,
        darkened,
        rest & (contrast > 1),
        rest & (contrast <= 1) & ~blurred,
        equalised,
        clipped,
    )
    return {kind: mask & entire for kind, mask in zip(TONE, masks, strict=True)}


def _spread(figures: Figures) -> Values:
    levels = figures.quantiles
    return np.asarray(levels[:, 5] - levels[:, 1] + levels[:, 4] - levels[:, 2])


def _is_even(figures: Figures) -> Mask:
    """Are all grey levels about equally frequent, but for piles at the ends? Equalisation makes it so.

    The quantiles between the ends then lie on a line that crosses the levels from 0 to 255 or more steeply.
    """
    levels, shares = figures.quantiles[:, 1:6], np.array(PERCENTILES[1:6]) / 100
    ends = figures.quantiles[:, [0, -1]]
    between = (levels > ends[:, :1] + END_LEVELS) & (levels < ends[:, 1:] - END_LEVELS)
    count = np.maximum(between.sum(axis=1), 1)
    mean_level = (levels * between).sum(axis=1) / count
    mean_share = (shares * between).sum(axis=1) / count
    level, share = (levels - mean_level[:, None]) * between, (shares - mean_share[:, None]) * between
    slope = (level * share).sum(axis=1) / np.maximum((share**2).sum(axis=1), 1e-9)
    residual = np.abs(level - slope[:, None] * share).max(axis=1)
    return np.asarray((between.sum(axis=1) >= 3) & (residual <= 5) & (slope >= 235))


def _sharpness(pairs: Pairs) -> dict[str, Mask]:
    was, now = pairs.published, pairs.shown
    ratio = now.fine / np.maximum(now.coarse, 1) * was.coarse / np.maximum(was.fine, 1)
    return {"blurred": ratio < MAX_BLURRED, "sharpened": ratio > MIN_SHARPENED}


def _size(pairs: Pairs, cut: Mask) -> dict[str, Mask]:
    """Which files have other sizes; a reduction that leaves SIDE pixels changes nothing that is compared."""
    was, now = pairs.published_sizes.prod(axis=1), pairs.sizes.prod(axis=1)
    known = (was > 0) & (now > 0)
    small = (pairs.sizes < SIDE).any(axis=1) & ~cut
    return {"enlarged": known & (now > 1.2 * was), "reduced": known & (now < was / 1.2) & small}


def _least(compared: int) -> int:
    return max(3, int(np.ceil(MIN_SHARE * compared)))


def _strips() -> list[Window]:
    """The parts of a side that are tried: all of it, and shares at five positions."""
    positions = [(0.96, 0.5), *((share, at / 4) for share in (0.9, 0.8, 0.7, 0.6, 0.5) for at in range(5))]
    return [(0.0, 1.0), *((at * (1 - share), at * (1 - share) + share) for share, at in positions)]


STRIPS = _strips()
