"""Whether a copy of a known set is as published, and what was done to it otherwise.

Pictures are compared by their figures: tone, sharpness and geometry; then labels, parts and names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.recfunctions import structured_to_unstructured
from numpy.typing import NDArray

from candid.data import figures
from candid.data.figures import Faces, Figures, Hashes, Window, distance_bits
from candid.data.fingerprints import SAME_BITS, Fingerprint, ImageSet, load_faces, stem

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]

TONE = ("brightened", "darkened", "contrast raised", "contrast lowered", "equalised", "clipped")
SHARPNESS = ("blurred", "sharpened")
GEOMETRY = ("cut", "mirrored", "turned", "replaced by other pictures", "changed in another way")
CUT, MIRRORED, TURNED, REPLACED, CHANGED = GEOMETRY
SIZE = ("enlarged", "reduced")
KINDS = (*TONE, *SHARPNESS, *GEOMETRY[:3], *SIZE, *GEOMETRY[3:])
"""All kinds of alteration of pictures, in the order in which they are reported."""

MIN_SHARE = 0.02  # of the compared faces, to report a kind; not SIZE, which nothing harmless changes
MIN_FAMILY_SHARE = 0.2  # of the commonest kind of TONE (of GEOMETRY); fewer are that kind, too
HARMLESS_BITS = 4  # of the hash, that re-encoding changes at most
TONED_BITS = 16  # of the hash, that a change of tone (equalisation, say) changes at most on 99 % of the faces
MIN_SHIFT = 3.0  # grey levels of the mean; re-encoding as JPEG 75 shifts it by up to 0.7, twice by 1.2
MAX_LOWERED, MIN_RAISED = 0.85, 1.18  # ratio of the spread of grey levels
MIN_EVEN_SHARE = 0.8
"""Of the faces with another tone, those with all levels about equally often: 0.9 and more after equalisation,
up to 0.6 after a stretch."""
MIN_PILE, MIN_EQUALISED_PILE = 0.08, 0.1  # rise of the pixels' share at both ends; bright end if equalised
MAX_SEARCHED = 250  # faces on which the window of a cut is searched
_SHARES = [(share, position / 4) for share in (0.9, 0.8, 0.7, 0.6, 0.5) for position in range(5)]
STRIPS: list[Window] = [
    *((0.0, 1.0), (0.02, 0.98)),
    *((at * (1 - share), at * (1 - share) + share) for share, at in _SHARES),
]
"""The parts of a side that may be what is left after a cut: shares of it at five positions."""
MAX_BLURRED, MIN_SHARPENED = 0.4, 1.8
"""Ratio of fine to coarse gradient energy, by that published. Bilinear enlarging and back leaves 0.5 on
average and less than 0.4 on 1.5 % of the faces of FER2013, a blur of standard deviation 1 pixel 0.36."""
RENAMED = "files renamed"
MIN_KNOWN_SHARE = 0.1  # of the probes of a known set, by which a folder is recognised as a copy of it


@dataclass(frozen=True)
class Finding:
    """What a copy of a known set shows."""

    dataset: str
    probes: int  # probes that the settings ask for: those of the classes and parts in use
    compared: int  # of them, those whose face is there
    changes: dict[str, int]  # kind of alteration, as in KINDS -> probes; none: as published

    @property
    def as_published(self) -> bool:
        """Is the copy the published set, but for harmless differences?"""
        return not self.changes

    @property
    def line(self) -> str:
        """The finding in one line."""
        if self.as_published:
            return f"{self.dataset}: as published ({self.compared:,} of {self.probes:,} probes compared)"
        changes = ", ".join(f"{kind} {count:,}" for kind, count in self.changes.items())
        return f"{self.dataset}: not as published: {changes} of {self.probes:,} probes"


def compare(
    fingerprint: Fingerprint,
    images: ImageSet,
    classes: Collection[str] | None = None,
    parts: Collection[str] | None = None,
) -> Finding:
    """Compare a copy of a known set with the set's fingerprint.

    Only the files of the probes are read. Probes that are missing under their names, or whose names other
    faces bear, are searched among all faces by their pictures. Those of labels that are not in `classes`, or
    of official parts not in `parts`, are not missing; None: all are in use.
    """
    expected = np.full(len(fingerprint.names), True)
    for used, values in ((classes, fingerprint.labels), (parts, fingerprint.parts)):
        if used is not None:
            expected &= np.isin(values, [*used])
    return _compare(fingerprint, images, expected)


def recognise(fingerprints: Mapping[str, Fingerprint], images: ImageSet) -> Finding | None:
    """Recognise which known set a folder is (a copy of), by names or, without them, by pictures.

    Of a folder that holds some of the classes or parts only these are compared. The finding is on the set of
    which the largest share of the probes is there, at least MIN_KNOWN_SHARE; None where there is no such set,
    or where other pictures bear its names.
    """
    stems = [stem(name) for name in images.names]
    there = {dataset: np.isin(each.names, stems) for dataset, each in fingerprints.items()}
    if len(images.images) and not any(mask.mean() >= MIN_KNOWN_SHARE for mask in there.values()):
        hashes = figures.hash_images(images.images)
        for dataset, each in fingerprints.items():
            there[dataset] = figures.nearest(each.figures["hash"], hashes)[1] <= HARMLESS_BITS
    known = max(there, key=lambda dataset: there[dataset].mean(), default="")
    if not known or there[known].mean() < MIN_KNOWN_SHARE:
        return None
    cells = [fingerprints[known].labels, fingerprints[known].parts]
    expected = pd.Series(there[known]).groupby(cells).transform("mean").to_numpy() >= 0.5
    finding = _compare(fingerprints[known], images, expected)
    return finding if finding.changes.get(REPLACED, 0) < finding.compared / 2 else None


def _compare(fingerprint: Fingerprint, images: ImageSet, probes: Mask) -> Finding:
    """Compare; `probes`: which of the fingerprint should be there."""
    expected = {*np.flatnonzero(probes).tolist()}
    matches = _match_names(fingerprint, images)
    pairs = _load_pairs(fingerprint, images, matches)
    masks = find_alterations(pairs)
    replaced = set(np.array(sorted(matches))[masks[REPLACED]].tolist())
    lost = sorted((expected - {*matches}) | replaced)
    taken = [face for row, face in matches.items() if row not in replaced]
    others = np.setdiff1d(np.arange(len(images.names)), taken)
    moved = _match_pictures(fingerprint, images, lost, others)
    if moved:
        matches |= moved
        masks = find_alterations(_load_pairs(fingerprint, images, matches))
    alterations = count_alterations(masks)
    parts = images.parts or []
    counts = {kind: alterations[kind] for kind in KINDS} | {  # a single probe of the following is reported
        "labels changed": _changed_labels(fingerprint, images, matches),
        "parts moved": sum(parts[i] != fingerprint.parts[row] for row, i in matches.items() if parts),
        RENAMED: sum(images.names[face] != "" for face in moved.values()),
        "files missing": len(expected - {*matches}),
    }
    changes = {kind: count for kind, count in counts.items() if count}
    return Finding(fingerprint.dataset, len(expected), len(expected & {*matches}), changes)


def _load_pairs(fingerprint: Fingerprint, images: ImageSet, matches: Mapping[int, int]) -> Pairs:
    """The matched faces beside their probes, in the order of the fingerprint."""
    rows = np.array(sorted(matches), np.int64)
    faces, sizes = load_faces(images, [matches[row] for row in rows.tolist()])
    return Pairs(faces, sizes, figures.measure(faces), fingerprint.sizes[rows], fingerprint.figures[rows])


def _match_names(fingerprint: Fingerprint, images: ImageSet) -> dict[int, int]:
    """Row of a probe -> face of its name; of several that with its label and part, else the first."""
    rows = {name: row for row, name in enumerate(fingerprint.names)}
    matches: dict[int, int] = {}
    for i, name in enumerate(images.names):
        row = rows.get(stem(name))
        if row is None:
            continue
        same_part = images.parts is None or images.parts[i] == fingerprint.parts[row]
        if row not in matches or (same_part and images.labels[i] == fingerprint.labels[row]):
            matches[row] = i
    return matches


def _match_pictures(
    fingerprint: Fingerprint, images: ImageSet, lost: list[int], others: NDArray[np.int64]
) -> dict[int, int]:
    """Row of a probe -> the face among `others` that shows its picture, as it was or mirrored."""
    if not lost or not len(others):
        return {}
    hashes = figures.hash_images(images.images)[others]
    matches = {}
    published = fingerprint.figures["hash"][lost]
    for way in (published, published ^ figures.MIRROR_BITS):
        index, bits = figures.nearest(way, hashes)
        for row, i, distance in zip(lost, others[index].tolist(), bits.tolist(), strict=True):
            if distance <= SAME_BITS and row not in matches:
                matches[row] = i
    return matches


def _changed_labels(fingerprint: Fingerprint, images: ImageSet, matches: Mapping[int, int]) -> int:
    """Probes with another label; a word that the set doesn't have stands for what it most often labels."""
    rows = [*matches]
    here = pd.Series([images.labels[matches[row]] for row in rows], dtype=object)
    published = pd.Series([fingerprint.labels[row] for row in rows], dtype=object)
    usual = published.groupby(here).transform(lambda labels: Counter(labels).most_common(1)[0][0])
    return int((here.where(here.isin(fingerprint.labels), usual) != published).sum())


@dataclass(frozen=True)
class Pairs:
    """N faces of a copy beside what was published."""

    faces: Faces
    sizes: NDArray[np.int64]  # width and height of the files in pixels; 0: not known
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
    own = distance_bits(pairs.published["hash"], pairs.shown["hash"])
    masks = {kind: np.zeros(len(own), np.bool_) for kind in GEOMETRY}
    open_rows = np.flatnonzero(own > HARMLESS_BITS)
    if not len(open_rows):
        return masks
    for kind, ways in figures.hash_turned(pairs.faces[open_rows]).items():
        bits = np.min([distance_bits(pairs.published["hash"][open_rows], way) for way in ways], axis=0)
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
    elif len(strong) >= _least(len(own)):
        closeness = _closeness(pairs.published["hash"][strong], pairs.shown["hash"][strong])
        if closeness.mean() <= 4 * closeness.std() / np.sqrt(len(strong)):  # no nearer to their own probes
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
    published = pairs.published["hash"][some]
    present = _closeness(published, pairs.shown["hash"][some])
    best: tuple[list[Window], list[Window]] | None = None
    best_surplus = 0.0
    for down, across, hashes in figures.hash_within(pairs.faces[some], STRIPS, STRIPS):
        gain = _closeness(published, hashes) - present
        surplus = float(gain.mean() - 4 * gain.std() / np.sqrt(len(some)))
        if surplus > best_surplus:
            best, best_surplus = ([down], [across]), surplus
    if best is None:
        return None
    _, _, hashes = next(figures.hash_within(pairs.faces[rows], *best))
    return distance_bits(pairs.published["hash"][rows], hashes)


def _closeness(published: Hashes, shown: Hashes) -> Values:
    """Bits by which each face is nearer to its own probe than to some others (those next in the rows)."""
    steps = [step for step in (7, 11, 13, 17) if step < len(published)] or [1]
    others = np.mean([distance_bits(np.roll(published, step), shown) for step in steps], axis=0)
    return np.asarray(others - distance_bits(published, shown), np.float64)


def _tone(pairs: Pairs, entire: Mask, blurred: Mask) -> dict[str, Mask]:
    """Which faces changed in tone, and how; of those that show all of their picture."""
    was, now = pairs.published, pairs.shown
    shift = now["mean"] - was["mean"]
    levels_was, levels_now = (structured_to_unstructured(each[figures.QUANTILES]) for each in (was, now))
    inner_steps = (levels_now - levels_was)[:, 1:6]
    contrast = _spread(now) / np.maximum(_spread(was), 1)
    same_contrast = (contrast >= MAX_LOWERED) & (contrast <= MIN_RAISED)
    toned = entire & ((np.abs(shift) >= MIN_SHIFT) | ~same_contrast)
    pile = np.maximum(now["low"] - was["low"], 0) + np.maximum(now["high"] - was["high"], 0)
    even = _is_even(levels_now) & toned
    equalised = even & (even.sum() >= MIN_EVEN_SHARE * toned.sum())
    clipped = (pile > MIN_PILE) & (~equalised | (now["high"] - was["high"] > MIN_EQUALISED_PILE))
    limited = np.clip(levels_was, levels_now[:, :1], levels_now[:, -1:])
    only_clipped = clipped & (np.abs(levels_now - limited) <= 5).all(axis=1)
    plain = toned & ~equalised & ~only_clipped
    up, down = (inner_steps >= -4).all(axis=1), (inner_steps <= 4).all(axis=1)
    brightened = plain & (shift >= MIN_SHIFT) & (up | same_contrast)
    darkened = plain & (shift <= -MIN_SHIFT) & (down | same_contrast)
    rest = plain & ~brightened & ~darkened
    raised, lowered = rest & (contrast > 1), rest & (contrast <= 1) & ~blurred
    masks = (brightened, darkened, raised, lowered, equalised, clipped)
    return {kind: mask & entire for kind, mask in zip(TONE, masks, strict=True)}


def _spread(measured: Figures) -> Values:
    return np.asarray(measured["q95"] - measured["q05"] + measured["q75"] - measured["q25"])


def _is_even(quantiles: Values) -> Mask:
    """Are all grey levels about equally frequent, but for piles at the ends? Equalisation makes it so.

    The quantiles between the ends then lie on a line that crosses the levels from 0 to 255 or more steeply.
    """
    levels, shares = quantiles[:, 1:6], np.array(figures.PERCENTILES[1:6]) / 100
    ends = quantiles[:, [0, -1]]
    between = (levels > ends[:, :1] + figures.END_LEVELS) & (levels < ends[:, 1:] - figures.END_LEVELS)
    count = np.maximum(between.sum(axis=1), 1)
    mean_level = (levels * between).sum(axis=1) / count
    mean_share = (shares * between).sum(axis=1) / count
    level, share = (levels - mean_level[:, None]) * between, (shares - mean_share[:, None]) * between
    slope = (level * share).sum(axis=1) / np.maximum((share**2).sum(axis=1), 1e-9)
    residual = np.abs(level - slope[:, None] * share).max(axis=1)
    return np.asarray((between.sum(axis=1) >= 3) & (residual <= 5) & (slope >= 235))


def _sharpness(pairs: Pairs) -> dict[str, Mask]:
    was, now = pairs.published, pairs.shown
    ratio = now["fine"] / np.maximum(now["coarse"], 1) * was["coarse"] / np.maximum(was["fine"], 1)
    return {"blurred": ratio < MAX_BLURRED, "sharpened": ratio > MIN_SHARPENED}


def _size(pairs: Pairs, cut: Mask) -> dict[str, Mask]:
    """Which files have other sizes; a reduction that leaves SIDE pixels changes nothing that is compared."""
    was, now = pairs.published_sizes.prod(axis=1), pairs.sizes.prod(axis=1)
    known = (was > 0) & (now > 0)
    small = (pairs.sizes < figures.SIDE).any(axis=1) & ~cut
    return {"enlarged": known & (now > 1.2 * was), "reduced": known & (now < was / 1.2) & small}


def _least(compared: int) -> int:
    return max(3, int(np.ceil(MIN_SHARE * compared)))
