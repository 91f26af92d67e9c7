"""What was done to a copy of a known set: its probes compared with the set's fingerprint."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candid.data.figures import (
    END_LEVELS,
    MIRROR_BITS,
    PERCENTILES,
    SIDE,
    Faces,
    Figures,
    Hashes,
    Window,
    distance_bits,
    hash_images,
    hash_turned,
    hash_within,
    hash_within_each,
    measure,
    nearest,
)
from candid.data.fingerprints import SAME_BITS, Fingerprint, ImageSet, load_faces, stem

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]

KINDS = (
    *("brightened", "darkened", "contrast raised", "contrast lowered", "equalised", "clipped"),
    *("blurred", "sharpened"),
    *("cut", "mirrored", "turned", "enlarged", "reduced"),
    *("replaced by other pictures", "changed in another way"),
    *("labels changed", "parts moved", "files renamed", "files missing"),
)
"""All kinds of alteration, in the order in which they are reported."""
TONE = KINDS[:6]
REPLACED, CHANGED = KINDS[13:15]
SHAPE = ("cut", "mirrored", "turned", REPLACED, CHANGED)
MIN_SHARE = 0.02
"""Of the compared probes: all kinds but the last four, which nothing harmless resembles, are reported from here on. Re-encoding at JPEG quality 75 shows as such
a kind on at most 0.4 % of the probes (docs/datasets.md)."""
MIN_FAMILY_SHARE = 0.2
"""Of the probes of the commonest kind of tone (of SHAPE): fewer are faces on which that kind shows differently."""
MIN_KNOWN_SHARE = 0.1
"""Of the probes of a known set, by which a folder is recognised as a copy of it."""

HARMLESS_BITS = 4
"""Of the hash, that re-encoding changes at most."""
TONED_BITS = 16
"""Of the hash, that a change of tone (equalisation, say) changes at most on 99 % of the faces."""
MIN_SHIFT = 3.0
"""Grey levels of the mean; re-encoding at JPEG quality 75 shifts it by up to 0.7, twice by up to 1.2."""
MAX_LOWERED, MIN_RAISED = 0.85, 1.18
"""Ratio of the spread of grey levels."""
MIN_EVEN_SHARE = 0.8
"""Of the faces with another tone, that have all levels about equally often: equalisation reaches 0.9, stretching 0.5."""
MIN_PILE, MIN_EQUALISED_PILE = 0.06, 0.1
"""Rise of the share of pixels at both ends; at the bright end beside equalisation, which makes small piles."""
MAX_SEARCHED = 250
"""Faces on which the window of a cut is searched."""
MAX_BLURRED, MIN_SHARPENED = 0.45, 1.8
"""Ratio of fine to coarse gradient energy, against the published: bilinear enlarging and reducing leaves 0.5."""


@dataclass(frozen=True)
class Finding:
    """What a copy of a known set shows."""

    dataset: str
    probes: int
    """Probes that the settings ask for: those of the classes and parts in use."""
    compared: int
    """Of them, those whose face is there."""
    changes: dict[str, int]
    """Kind of alteration (KINDS, in their order) -> probes that show it; none: as published."""

    @property
    def as_published(self) -> bool:
        """Is the copy the published set, but for harmless differences?"""
        return not self.changes

    @property
    def line(self) -> str:
        """The finding in one line."""
        if self.as_published:
            return f"{self.dataset}: as published ({self.compared:,} of {self.probes:,} probes compared)"
        changes = ", ".join(f"{kind} ({count:,})" for kind, count in self.changes.items())
        return f"{self.dataset}: not as published: of {self.probes:,} probes {changes}"


def compare(
    fingerprint: Fingerprint,
    images: ImageSet,
    classes: Collection[str] | None = None,
    parts: Collection[str] | None = None,
) -> Finding:
    """Compare a copy of a known set with the set's fingerprint.

    Args:
        fingerprint: of the genuine set.
        images: the copy. Only the files of the probes are read. Probes that are missing under their names, or
            whose names another face bears, are searched among all faces by their pictures.
        classes: labels in use (data.classes, or all but those that the catalogue drops): probes of others are
            not missing. None: all.
        parts: the same for official parts.
    """
    wanted = [
        row
        for row, (label, part) in enumerate(zip(fingerprint.labels, fingerprint.parts, strict=True))
        if (classes is None or label in classes) and (parts is None or part in parts)
    ]
    matches = _match_names(fingerprint, images)
    pairs = _Pairs.load(fingerprint, images, matches)
    geometry = _geometry(pairs)
    replaced = set(pairs.rows[geometry[REPLACED]].tolist())
    lost = sorted({*wanted} - {*matches} | replaced)
    others = np.setdiff1d(
        np.arange(len(images.names)), [i for row, i in matches.items() if row not in replaced]
    )
    moved = _match_pictures(fingerprint, images, lost, others)
    if moved:
        matches |= moved
        pairs = _Pairs.load(fingerprint, images, matches)
        geometry = _geometry(pairs)
    masks = {**_tone(pairs, geometry), **_sharpness(pairs, geometry), **geometry, **_size(pairs, geometry)}
    counts = _reported({kind: int(mask.sum()) for kind, mask in masks.items()}, len(matches))
    counts["labels changed"] = _changed_labels(fingerprint, images, matches)
    counts["parts moved"] = _moved_parts(fingerprint, images, matches)
    counts["files renamed"] = sum(images.names[i] != "" for i in moved.values())
    counts["files missing"] = len({*wanted} - {*matches})
    return Finding(
        fingerprint.dataset,
        len(wanted),
        len({*wanted} & {*matches}),
        {kind: counts[kind] for kind in KINDS if counts.get(kind)},
    )


def recognise(fingerprints: Mapping[str, Fingerprint], images: ImageSet) -> Finding | None:
    """Recognise which known set a folder is (a copy of, or a part of), by names or, without them, by pictures.

    A folder that has some of the classes is compared for these alone.

    Args:
        fingerprints: dataset -> its fingerprint.

    Returns:
        The finding on the set of which the largest share of the probes is there, at least MIN_KNOWN_SHARE; or
        None.
    """
    stems = {stem(name) for name in images.names}
    shares = {
        dataset: sum(name in stems for name in each.names) / len(each.names)
        for dataset, each in fingerprints.items()
    }
    if max(shares.values(), default=0) < MIN_KNOWN_SHARE and len(images.images):
        hashes = hash_images(images.images)
        shares = {
            dataset: float((nearest(each.figures.hash, hashes)[1] <= HARMLESS_BITS).mean())
            for dataset, each in fingerprints.items()
        }
    known = max(shares, key=lambda dataset: shares[dataset], default="")
    if not known or shares[known] < MIN_KNOWN_SHARE:
        return None
    there = set(images.labels)
    classes = [label for label in fingerprints[known].labels if label in there] or None
    finding = compare(fingerprints[known], images, classes)
    others = finding.changes.get(REPLACED, 0) + finding.changes.get("files missing", 0)
    return finding if others < finding.probes / 2 else None


@dataclass(frozen=True)
class _Pairs:
    """Probes whose face is there: what was published beside what the copy shows."""

    rows: NDArray[np.int64]
    """Of the fingerprint."""
    faces: Faces
    sizes: NDArray[np.int64]
    published_sizes: NDArray[np.int64]
    published: Figures
    shown: Figures

    @classmethod
    def load(cls, fingerprint: Fingerprint, images: ImageSet, matches: Mapping[int, int]) -> _Pairs:
        rows = np.array(sorted(matches), np.int64)
        faces, sizes = load_faces(images, [matches[row] for row in rows.tolist()])
        return cls(
            rows, faces, sizes, fingerprint.sizes[rows], fingerprint.figures.take(rows), measure(faces)
        )


def _match_names(fingerprint: Fingerprint, images: ImageSet) -> dict[int, int]:
    """Row of a probe -> face of its name; of several that with its label and part, else the first."""
    rows = {name: row for row, name in enumerate(fingerprint.names)}
    matches: dict[int, int] = {}
    for i, name in enumerate(images.names):
        row = rows.get(stem(name))
        if row is None:
            continue
        agrees = images.labels[i] == fingerprint.labels[row] and (
            images.parts is None or images.parts[i] == fingerprint.parts[row]
        )
        if row not in matches or agrees:
            matches[row] = i
    return matches


def _match_pictures(
    fingerprint: Fingerprint, images: ImageSet, lost: list[int], others: NDArray[np.int64]
) -> dict[int, int]:
    """Row of a probe -> the face among `others` that shows its picture, as it was or mirrored."""
    if not lost or not len(others):
        return {}
    hashes = hash_images(images.images)[others]
    matches = {}
    published = fingerprint.figures.hash[lost]
    for way in (published, published ^ MIRROR_BITS):
        index, bits = nearest(way, hashes)
        for row, i, distance in zip(lost, others[index].tolist(), bits.tolist(), strict=True):
            if distance <= SAME_BITS and row not in matches:
                matches[row] = i
    return matches


def _geometry(pairs: _Pairs) -> dict[str, Mask]:
    """Which probes are cut, mirrored or turned, show another picture, or changed in a way without a name."""
    own = distance_bits(pairs.published.hash, pairs.shown.hash)
    masks = {kind: np.zeros(len(own), np.bool_) for kind in ("cut", "mirrored", "turned", REPLACED, CHANGED)}
    open_rows = np.flatnonzero(own > HARMLESS_BITS)
    if not len(open_rows):
        return masks
    for kind, ways in hash_turned(pairs.faces[open_rows]).items():
        bits = np.min([distance_bits(pairs.published.hash[open_rows], way) for way in ways], axis=0)
        masks[kind][open_rows] = (bits <= TONED_BITS) & (bits + 8 < own[open_rows])
    unturned = ~masks["mirrored"] & ~masks["turned"]
    slight = np.flatnonzero((own > HARMLESS_BITS) & (own <= TONED_BITS) & unturned)
    cut = _cut(pairs, slight)
    if cut is not None:
        masks["cut"][slight] = cut < own[slight]
    strong = np.flatnonzero((own > TONED_BITS) & unturned)
    if _cut(pairs, strong) is not None:
        masks["cut"][strong] = True
    else:
        masks[CHANGED if _related(pairs, strong) else REPLACED][strong] = True
    return masks


def _cut(pairs: _Pairs, rows: NDArray[np.int64]) -> NDArray[np.uint8] | None:
    """Distances in bits once the faces are back at the window that they were cut from; None: they were not cut.

    A part doesn't show the hash of all, but it comes nearer once it is back in position. With one face this is
    chance, over many it is not: a window is accepted where it brings the faces nearer to their own probes than to
    others' by more than four standard errors beyond what the faces as they are do.
    """
    if len(rows) < _least(len(pairs.rows)):
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


def _related(pairs: _Pairs, rows: NDArray[np.int64]) -> bool:
    """Do the faces resemble their own probes more than those of others?"""
    if len(rows) < _least(len(pairs.rows)):
        return False
    closeness = _closeness(pairs.published.hash[rows], pairs.shown.hash[rows])
    return bool(closeness.mean() > 4 * closeness.std() / np.sqrt(len(rows)))


def _closeness(published: Hashes, shown: Hashes) -> Values:
    """Bits by which each face is nearer to its own probe than to some others (those next in the rows)."""
    steps = [step for step in (7, 11, 13, 17) if step < len(published)] or [1]
    others = np.mean([distance_bits(np.roll(published, step), shown) for step in steps], axis=0)
    return np.asarray(others - distance_bits(published, shown), np.float64)


def _tone(pairs: _Pairs, geometry: Mapping[str, Mask]) -> dict[str, Mask]:
    """Which probes changed in tone, and how; of those that show all of their picture."""
    was, now = pairs.published, pairs.shown
    entire = _entire(geometry)
    blurred = _sharpness(pairs, geometry)["blurred"]
    shift = now.mean - was.mean
    steps = now.quantiles - was.quantiles
    contrast = _spread(now) / np.maximum(_spread(was), 1)
    toned = (np.abs(shift) >= MIN_SHIFT) | (contrast < MAX_LOWERED) | (contrast > MIN_RAISED)
    pile = np.maximum(now.low - was.low, 0) + np.maximum(now.high - was.high, 0)
    even = _is_even(now) & toned & entire
    equalised = even & (even.sum() >= MIN_EVEN_SHARE * (toned & entire).sum())
    clipped = (pile > MIN_PILE) & (~equalised | (now.high - was.high > MIN_EQUALISED_PILE))
    limited = np.clip(was.quantiles, now.quantiles[:, :1], now.quantiles[:, -1:])
    only_clipped = clipped & (np.abs(now.quantiles - limited) <= 5).all(axis=1)
    plain = toned & ~equalised & ~only_clipped
    up, down = (steps[:, 1:6] >= -4).all(axis=1), (steps[:, 1:6] <= 4).all(axis=1)
    brightened = plain & (shift >= MIN_SHIFT) & (up | ((contrast >= MAX_LOWERED) & (contrast <= MIN_RAISED)))
    darkened = plain & (shift <= -MIN_SHIFT) & (down | ((contrast >= MAX_LOWERED) & (contrast <= MIN_RAISED)))
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
    """Are all grey levels about equally frequent, but for what piles up at the ends? Equalisation makes it so.

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


def _sharpness(pairs: _Pairs, geometry: Mapping[str, Mask]) -> dict[str, Mask]:
    was, now = pairs.published, pairs.shown
    ratio = now.fine / np.maximum(now.coarse, 1) * was.coarse / np.maximum(was.fine, 1)
    entire = _entire(geometry)
    return {"blurred": (ratio < MAX_BLURRED) & entire, "sharpened": (ratio > MIN_SHARPENED) & entire}


def _size(pairs: _Pairs, geometry: Mapping[str, Mask]) -> dict[str, Mask]:
    was, now = pairs.published_sizes.prod(axis=1), pairs.sizes.prod(axis=1)
    known = (was > 0) & (now > 0)
    small = (pairs.sizes < SIDE).any(axis=1) & ~geometry["cut"]
    return {"enlarged": known & (now > 1.2 * was), "reduced": known & (now < was / 1.2) & small}


def _entire(geometry: Mapping[str, Mask]) -> Mask:
    return np.asarray(~geometry["cut"] & ~geometry[REPLACED] & ~geometry[CHANGED])


def _least(compared: int) -> int:
    return max(3, int(np.ceil(MIN_SHARE * compared)))


def _reported(counts: dict[str, int], compared: int) -> dict[str, int]:
    """The kinds that are no chance, and not what another kind looks like on a few faces."""
    for family in (TONE, SHAPE):
        most = max(counts[kind] for kind in family)
        for kind in family:
            if counts[kind] < MIN_FAMILY_SHARE * most:
                counts[kind] = 0
    return {kind: count for kind, count in counts.items() if count >= _least(compared)}


def _changed_labels(fingerprint: Fingerprint, images: ImageSet, matches: Mapping[int, int]) -> int:
    """Probes with another label; a word that the set doesn't have stands for what it most often labels."""
    known = set(fingerprint.labels)
    uses: dict[str, Counter[str]] = defaultdict(Counter)
    for row, i in matches.items():
        uses[images.labels[i]][fingerprint.labels[row]] += 1
    means = {word: word if word in known else labels.most_common(1)[0][0] for word, labels in uses.items()}
    return sum(means[images.labels[i]] != fingerprint.labels[row] for row, i in matches.items())


def _moved_parts(fingerprint: Fingerprint, images: ImageSet, matches: Mapping[int, int]) -> int:
    if images.parts is None:
        return 0
    return sum(images.parts[i] != fingerprint.parts[row] for row, i in matches.items())


def _strips() -> list[Window]:
    """The parts of a side that are tried: all of it, and shares from its start, its middle and its end."""
    starts = [(share, at) for share in (0.96, 0.9, 0.8, 0.7, 0.6, 0.5) for at in (0.0, 0.5, 1.0)]
    return [(0.0, 1.0), *((at * (1 - share), at * (1 - share) + share) for share, at in starts)]


STRIPS = _strips()
