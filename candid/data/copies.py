"""Whether a copy of a known set is as published, and what was done to it otherwise."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candid.data.alterations import HARMLESS_BITS, KINDS, REPLACED, Pairs, count_alterations, find_alterations
from candid.data.figures import MIRROR_BITS, hash_images, measure, nearest
from candid.data.fingerprints import SAME_BITS, Fingerprint, ImageSet, load_faces, stem

LABELS_CHANGED, PARTS_MOVED, RENAMED, MISSING = TABLE_KINDS = (
    "labels changed",
    "parts moved",
    "files renamed",
    "files missing",
)
"""Kinds that nothing harmless resembles: a single probe is reported."""
MIN_KNOWN_SHARE = 0.1
"""Of the probes of a known set, by which a folder is recognised as a copy of it."""


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
        changes = ", ".join(f"{kind} {count:,}" for kind, count in self.changes.items())
        return f"{self.dataset}: not as published: {changes} of {self.probes:,} probes"


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
            whose names other faces bear, are searched among all faces by their pictures.
        classes: labels in use (data.classes, or all but those that the catalogue drops): probes of others are
            not missing. None: all.
        parts: the same for official parts.
    """
    wanted = {
        row
        for row, (label, part) in enumerate(zip(fingerprint.labels, fingerprint.parts, strict=True))
        if (classes is None or label in classes) and (parts is None or part in parts)
    }
    return _compare(fingerprint, images, wanted)


def recognise(fingerprints: Mapping[str, Fingerprint], images: ImageSet) -> Finding | None:
    """Recognise which known set a folder is (a copy of), by names or, without them, by pictures.

    Of a folder that holds some of the classes or parts only these are compared.

    Args:
        fingerprints: dataset -> its fingerprint.

    Returns:
        The finding on the set of which the largest share of the probes is there, at least MIN_KNOWN_SHARE.
        None where there is no such set, or where other pictures bear its names.
    """
    stems = {stem(name) for name in images.names}
    there = {
        dataset: np.array([name in stems for name in each.names], np.bool_)
        for dataset, each in fingerprints.items()
    }
    if len(images.images) and not any(mask.mean() >= MIN_KNOWN_SHARE for mask in there.values()):
        hashes = hash_images(images.images)
        there = {
            dataset: nearest(each.figures.hash, hashes)[1] <= HARMLESS_BITS
            for dataset, each in fingerprints.items()
        }
    known = max(there, key=lambda dataset: there[dataset].mean(), default="")
    if not known or there[known].mean() < MIN_KNOWN_SHARE:
        return None
    cells: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, cell in enumerate(zip(fingerprints[known].labels, fingerprints[known].parts, strict=True)):
        cells[cell].append(row)
    in_use = [rows for rows in cells.values() if there[known][rows].mean() >= 0.5]
    finding = _compare(fingerprints[known], images, {row for rows in in_use for row in rows})
    return finding if finding.changes.get(REPLACED, 0) < finding.compared / 2 else None


def _compare(fingerprint: Fingerprint, images: ImageSet, wanted: set[int]) -> Finding:
    """Compare; `wanted`: rows of the fingerprint that should be there."""
    matches = _match_names(fingerprint, images)
    pairs = _load_pairs(fingerprint, images, matches)
    masks = find_alterations(pairs)
    replaced = set(np.array(sorted(matches))[masks[REPLACED]].tolist())
    lost = sorted((wanted - {*matches}) | replaced)
    taken = [face for row, face in matches.items() if row not in replaced]
    others = np.setdiff1d(np.arange(len(images.names)), taken)
    moved = _match_pictures(fingerprint, images, lost, others)
    if moved:
        matches |= moved
        masks = find_alterations(_load_pairs(fingerprint, images, matches))
    counts = {
        **count_alterations(masks),
        LABELS_CHANGED: _changed_labels(fingerprint, images, matches),
        PARTS_MOVED: _moved_parts(fingerprint, images, matches),
        RENAMED: sum(images.names[face] != "" for face in moved.values()),
        MISSING: len(wanted - {*matches}),
    }
    return Finding(
        fingerprint.dataset,
        len(wanted),
        len(wanted & {*matches}),
        {kind: counts[kind] for kind in (*KINDS, *TABLE_KINDS) if counts[kind]},
    )


def _load_pairs(fingerprint: Fingerprint, images: ImageSet, matches: Mapping[int, int]) -> Pairs:
    """The matched faces beside their probes, in the order of the fingerprint."""
    rows = np.array(sorted(matches), np.int64)
    faces, sizes = load_faces(images, [matches[row] for row in rows.tolist()])
    return Pairs(faces, sizes, measure(faces), fingerprint.sizes[rows], fingerprint.figures.take(rows))


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
