"""Train, validation and test set by three protocols, and what related images leak between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import lcm
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from candid.data.faces import PARTS, class_order
from candid.errors import CandidError
from candid.splits.assign import assign, random_keys
from candid.splits.params import KINDS, Kind, SplitSettings, exact

Integers = NDArray[np.int64]
TRAIN, VALIDATION, TEST = range(3)
UNKNOWN = -1  # the code of a face without a subject, sequence or duplicate group


def split(
    labels: Sequence[str],
    groups: Sequence[str | int] | None = None,
    ratios: Sequence[float] = (0.9, 0.05, 0.05),
    seed: int = 0,
) -> list[str]:
    """Split images into train, validation and test: group-disjoint, stratified, with exact part sizes.

    Args:
        labels: class of each image: N.
        groups: images with the same value (a subject, say) stay together; None: each stands alone.
        ratios: of train, validation, test; each above 0, their sum 1.
        seed: the same seed gives the same split on every machine.

    Returns:
        `train`, `validation` or `test` for each image: N.

    Raises:
        CandidError: a class has too few images, or groups, to be in every part.

    Example:
        >>> from collections import Counter
        >>> from candid.splits.split import split
        >>> labels = ["happy"] * 60 + ["sad"] * 40
        >>> parts = split(labels, groups=[i // 2 for i in range(100)], ratios=(0.8, 0.1, 0.1))
        >>> sorted(Counter(parts).items())
        [('test', 10), ('train', 80), ('validation', 10)]
        >>> all(parts[i] == parts[i + 1] for i in range(0, 100, 2))
        True
    """
    names = class_order(pd.Series(labels, dtype=object))
    codes = _codes(labels, names)
    related = np.arange(len(codes)) if groups is None else np.unique(groups, return_inverse=True)[1]
    _check_enough(codes, related, names, len(PARTS), "parts")
    parts = assign(codes, related, random_keys(len(codes), seed, 0), _whole_numbers(ratios))
    return [PARTS[part] for part in parts]


def split_faces(faces: pd.DataFrame, kept: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
    """Split the kept faces by the protocol of the settings: id, label, part, group, in order of id.

    `faces` is data/faces.csv, in any order of its rows, `kept` data/kept.csv of the same ids. A face that
    is not kept gets no part, but two faces that are related over it still are. `group` is the smallest id
    of the faces that are related by subject, sequence or duplicate group, whatever split.groups says.
    CandidError: ids differ, the set lacks what the protocol needs, or a class has too few faces.
    """
    faces, kept = (table.sort_values("id", ignore_index=True) for table in (faces, kept))
    if not faces["id"].equals(kept["id"]):
        other = f"{len(kept)} ids that are not the {len(faces)} of data/faces.csv"
        raise CandidError(f"data/kept.csv: {other}; run dedup")
    kinds = kind_codes(faces, kept)
    related = components(len(faces), kinds.values())
    together = components(len(faces), [kinds[kind] for kind in KINDS if kind in settings.groups])
    use = kept["kept"].to_numpy(bool)
    if not use.any():
        raise CandidError("data/kept.csv: no face is kept; expected some to split")
    keys = random_keys(len(faces), settings.seed, settings.repeat if settings.protocol == "folds" else 0)

    splits = faces.loc[use, ["id", "label", "part"]].reset_index(drop=True)
    names = class_order(splits["label"])
    labels, together, keys = _codes(splits["label"], names), together[use], keys[use]
    if settings.protocol == "official":
        parts = _official(splits["part"], labels, together, keys, names, settings)
    elif settings.protocol == "random":
        _check_enough(labels, together, names, len(PARTS), "parts")
        parts = assign(labels, together, keys, _whole_numbers(settings.ratios))
    else:
        _check_enough(labels, together, names, settings.folds, "folds")
        folds = assign(labels, together, keys, [1] * settings.folds)
        validation = (settings.fold + 1) % settings.folds
        parts = np.select([folds == settings.fold, folds == validation], [TEST, VALIDATION], TRAIN)
    if empty := [part for code, part in enumerate(PARTS) if not (parts == code).any()]:
        expected = "expected at least one face in each of train, validation and test"
        raise CandidError(f"params.yaml: split: {len(splits)} faces leave {empty[0]} empty; {expected}")
    splits["part"] = np.array(PARTS)[parts]
    splits["group"] = _smallest(related[use], splits["id"].to_numpy(np.int64))
    return splits


def _official(
    published: pd.Series[str],
    labels: Integers,
    groups: Integers,
    keys: NDArray[np.uint64],
    names: Sequence[str],
    settings: SplitSettings,
) -> Integers:
    """Take the parts as published; carve validation out of train where the set has none."""
    published = published.replace("", "none")
    counts = published.value_counts()
    sources: dict[str, list[str]] = {part: [*getattr(settings.official, part)] for part in PARTS}
    if set(counts.index) == {"none"}:
        missing = "split.protocol = 'official': the set has no such parts"
        raise CandidError(f"params.yaml: {missing}; expected random or folds")
    for part in ("train", "test"):
        if not published.isin(sources[part]).any():
            has = ", ".join(f"{name} {counts[name]}" for name in [*PARTS, "none"] if name in counts)
            key = f"split.official.{part} = {sources[part]}"
            raise CandidError(f"params.yaml: {key}: no such faces; the set has {has}")
    mapping = {official: code for code, part in enumerate(PARTS) for official in sources[part]}
    if unused := [part for part in counts.index if part not in mapping]:
        where = f"{counts[unused[0]]} faces of the part '{unused[0]}' are in none of train, validation, test"
        expected = "list it there, or leave it out by data.parts"
        raise CandidError(f"params.yaml: split.official: {where}; {expected}")
    parts = np.array(published.map(mapping), np.int64)
    if not (parts == VALIDATION).any():
        pool = np.flatnonzero(parts == TRAIN)
        of = "parts (train and the validation part carved out of it)"
        _check_enough(labels[pool], groups[pool], names, 2, of)
        ratios = _whole_numbers(settings.ratios[:2])
        parts[pool] = assign(labels[pool], groups[pool], keys[pool], ratios)
    for code in np.setdiff1d(labels, labels[parts == TRAIN]):
        where = f"data/faces.csv: class {names[code]!r}"
        raise CandidError(f"{where} has no face in the train part; drop it by data.classes")
    return parts


def _check_enough(labels: Integers, groups: Integers, names: Sequence[str], least: int, of: str) -> None:
    """Refuse a class that can't have a face, or a whole group, in each part."""
    for code in np.unique(labels):
        members = groups[labels == code]
        count = len(np.unique(members))
        if count < least:
            has, what = f"{len(members)} faces", "faces"
            if count < len(members):
                has, what = f"{has} in {count} groups that stay together", "groups"
            expected = (
                f"too few for {least} {of}; expected {least} {what} or more (or drop it by data.classes)"
            )
            raise CandidError(f"data/faces.csv: class {names[code]!r} has {has}, {expected}")


def _codes(labels: Iterable[str], names: Sequence[str]) -> Integers:
    return np.asarray(pd.Categorical(list(labels), categories=list(names)).codes, np.int64)


def _whole_numbers(ratios: Iterable[float]) -> list[int]:
    fractions = [exact(ratio) for ratio in ratios]
    scale = lcm(*(fraction.denominator for fraction in fractions))
    return [int(fraction * scale) for fraction in fractions]


def kind_codes(faces: pd.DataFrame, kept: pd.DataFrame) -> dict[Kind, Integers]:
    """Number the values of each kind: one code a face, UNKNOWN where the face has none."""
    subject, sequence = (
        pd.factorize(faces[kind].replace("", None))[0].astype(np.int64) for kind in ("subject", "sequence")
    )
    return {"subject": subject, "sequence": sequence, "duplicate": kept["group"].to_numpy(np.int64)}


def components(faces: int, kinds: Iterable[Integers]) -> Integers:
    """Join faces that share a code of any kind, directly or over others: each's smallest index of those."""
    edges = [np.empty((2, 0), np.int64)]
    for codes in kinds:
        known = np.flatnonzero(codes != UNKNOWN)
        edges.append(np.stack([known, _smallest(codes[known], known)]))
    pairs = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(pairs.shape[1], np.int8), tuple(pairs)), shape=(faces, faces))
    return _smallest(connected_components(graph, directed=False)[1], np.arange(faces))


def _smallest(groups: Integers, ids: Integers) -> Integers:
    """Rename each group to the smallest of its ids."""
    return pd.Series(ids).groupby(groups).transform("min").to_numpy(np.int64)


def summary(splits: pd.DataFrame, faces: pd.DataFrame, kept: pd.DataFrame) -> dict[str, Any]:
    """Count faces, groups and leaks of data/splits.csv, for metrics/split.json.

    `leaky` is true when related faces stand in train and in another part. `leaked_test_faces` counts test
    faces related to a training face, directly or over others; `leaked_test_faces_by` those with the same
    subject, sequence or duplicate group as a training face; `validated_test_faces` those of the others that
    are related to a validation face. Shares are fractions: of a part, of all faces; of a class, of its part.
    """
    faces, kept = (table.set_index("id").loc[splits["id"]].reset_index() for table in (faces, kept))
    train, test = ((splits["part"] == part).to_numpy() for part in ("train", "test"))
    group = splits["group"].to_numpy(np.int64)
    related = np.isin(group, group[train])
    validated = np.isin(group, group[~train & ~test]) & ~related
    sizes = np.unique(group, return_counts=True)[1]
    return {
        "faces": len(splits),
        "groups": int((sizes > 1).sum()),
        "grouped_faces": int(sizes[sizes > 1].sum()),
        "largest_group": int(sizes.max()),
        "leaky": bool((related & ~train).any()),
        "leaked_test_faces": int((related & test).sum()),
        "leaked_test_faces_by": {
            kind: int((test & np.isin(codes, codes[train & (codes != UNKNOWN)])).sum())
            for kind, codes in kind_codes(faces, kept).items()
        },
        "leaked_validation_faces": int((related & ~train & ~test).sum()),
        "validated_test_faces": int((validated & test).sum()),
        **{part: _part_summary(splits, part) for part in PARTS},
    }


def _part_summary(splits: pd.DataFrame, part: str) -> dict[str, Any]:
    labels = splits["label"][splits["part"] == part].tolist()
    counts = {name: labels.count(name) for name in class_order(splits["label"])}
    per_class = {
        name: {"faces": count, "share": round(count / len(labels), 6)} for name, count in counts.items()
    }
    return {"faces": len(labels), "share": round(len(labels) / len(splits), 6), "per_class": per_class}
