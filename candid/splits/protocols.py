"""The three protocols: random, official parts, folds."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.data.faces import PARTS, class_order
from candid.errors import CandidError
from candid.splits.assign import assign, random_keys
from candid.splits.groups import components, kind_codes, smallest_id
from candid.splits.params import KINDS, SplitSettings, exact

TRAIN, VALIDATION, TEST = range(3)


def split_faces(faces: pd.DataFrame, kept: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
    """Say of each kept face whether it trains, validates or tests.

    Args:
        faces: data/faces.csv, in any order of its rows.
        kept: data/kept.csv of the same ids. A face that is not kept gets no part, but two faces that are
            related over it still are.

    Returns:
        id, label, part, group, in order of id; `group` is the smallest id of the faces that are related by
        subject, sequence or duplicate group, whatever split.groups says.

    Raises:
        CandidError: ids differ, the set lacks what the protocol needs, or a class has too few faces.
    """
    faces, kept = (table.sort_values("id", ignore_index=True) for table in (faces, kept))
    if not faces["id"].equals(kept["id"]):
        raise CandidError(
            f"data/kept.csv: {len(kept)} ids that are not the {len(faces)} of data/faces.csv; run dedup"
        )
    codes = kind_codes(faces, kept)
    honest = components(len(faces), codes.values())
    together = components(len(faces), [codes[kind] for kind in KINDS if kind in settings.groups])
    use = kept["kept"].to_numpy(bool)
    if not use.any():
        raise CandidError("data/kept.csv: no face is kept; expected some to split")
    seeds = (settings.seed, settings.repeat if settings.protocol == "folds" else 0)
    keys = random_keys(len(faces), *seeds)[use]

    splits = faces.loc[use, ["id", "label", "part"]].reset_index(drop=True)
    names = class_order(splits["label"])
    labels = splits["label"].map({name: code for code, name in enumerate(names)}).to_numpy(np.int64)
    together = together[use]
    if settings.protocol == "official":
        parts = _official(splits["part"], labels, together, keys, names, settings)
    else:
        parts = _random_or_folds(labels, together, keys, names, settings)
    for code, part in enumerate(PARTS):
        if not (parts == code).any():
            raise CandidError(
                f"params.yaml: split: {len(splits)} faces leave the part {part} empty; "
                "expected at least one face in each of train, validation and test"
            )
    splits["part"] = np.array(PARTS)[parts]
    splits["group"] = smallest_id(honest[use], splits["id"].to_numpy(np.int64))
    return splits


def _random_or_folds(
    labels: NDArray[np.integer[Any]],
    groups: NDArray[np.integer[Any]],
    keys: NDArray[np.uint64],
    names: Sequence[str],
    settings: SplitSettings,
) -> NDArray[np.integer[Any]]:
    if settings.protocol == "random":
        _enough(labels, groups, names, len(PARTS), "parts")
        return assign(labels, groups, keys, _whole_numbers([*map(exact, settings.ratios)]))
    _enough(labels, groups, names, settings.folds, "folds")
    folds = assign(labels, groups, keys, [1] * settings.folds)
    validation = (settings.fold + 1) % settings.folds
    return np.select([folds == settings.fold, folds == validation], [TEST, VALIDATION], TRAIN)


def _official(
    published: pd.Series[str],
    labels: NDArray[np.integer[Any]],
    groups: NDArray[np.integer[Any]],
    keys: NDArray[np.uint64],
    names: Sequence[str],
    settings: SplitSettings,
) -> NDArray[np.integer[Any]]:
    """Take the parts as published; carve validation out of train where the set has none."""
    wanted: dict[str, list[str]] = {part: [*getattr(settings.official, part)] for part in PARTS}
    found = published.replace("", "none")
    counts = found.value_counts()
    has = ", ".join(f"{part} {counts[part]}" for part in [*PARTS, "none"] if part in counts)
    if set(counts.index) == {"none"}:
        raise CandidError(
            "params.yaml: split.protocol = 'official': the set has no such parts; expected random or folds"
        )
    for part in ("train", "test"):
        if not found.isin(wanted[part]).any():
            raise CandidError(
                f"params.yaml: split.official.{part} = {wanted[part]}: no such faces; the set has {has}"
            )
    mapping = {official: code for code, part in enumerate(PARTS) for official in wanted[part]}
    for part in counts.index:
        if part not in mapping:
            raise CandidError(
                f"params.yaml: split.official: {counts[part]} faces of the part '{part}' are in none "
                "of train, validation, test; list it there, or leave it out by data.parts"
            )
    parts = found.map(mapping).to_numpy(np.int64, copy=True)
    if not (parts == VALIDATION).any():
        pool = np.flatnonzero(parts == TRAIN)
        _enough(
            labels[pool], groups[pool], names, 2, "parts (train and the validation part carved out of it)"
        )
        train, validation, _ = map(exact, settings.ratios)
        parts[pool] = assign(labels[pool], groups[pool], keys[pool], _whole_numbers([train, validation]))
    for code in np.setdiff1d(labels, labels[parts == TRAIN]):
        raise CandidError(
            f"data/faces.csv: class {names[code]!r} has no face in the train part; drop it by data.classes"
        )
    return parts


def _enough(
    labels: NDArray[np.integer[Any]],
    groups: NDArray[np.integer[Any]],
    names: Sequence[str],
    least: int,
    of: str,
) -> None:
    """Refuse a class that can't have a face, or a whole group, in each part."""
    for code in np.unique(labels):
        members = groups[labels == code]
        count = len(np.unique(members))
        if count < least:
            alone = count == len(members)
            found = f"{len(members)} faces" + ("" if alone else f" in {count} groups that stay together")
            raise CandidError(
                f"data/faces.csv: class {names[code]!r} has {found}, too few for {least} {of}"
                f"; expected {least}{'' if alone else ' groups'} or more (or drop it by data.classes)"
            )


def _whole_numbers(ratios: Sequence[Fraction]) -> list[int]:
    scale = lcm(*(ratio.denominator for ratio in ratios))
    return [int(ratio * scale) for ratio in ratios]
