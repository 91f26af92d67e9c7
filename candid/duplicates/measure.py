"""What metrics/dedup.json says."""

from __future__ import annotations

from itertools import combinations_with_replacement, permutations
from typing import Any

import numpy as np
import pandas as pd

from candid.data.faces import PARTS
from candid.duplicates.find import Duplicates
from candid.duplicates.groups import group_ids
from candid.duplicates.policy import CONFLICT, MINORITY, conflicting


def measure(
    duplicates: Duplicates, faces: pd.DataFrame, kept: pd.DataFrame, policy: str, planted: pd.DataFrame
) -> dict[str, Any]:
    """Counts and shares of the duplicates and of what was done; nested dicts of numbers, without lists.

    `kept` is what `policy`, after `auto` was looked up, decided of `faces` (data/faces.csv). `planted`: a,
    b of the pairs that are known to be copies; empty where nothing is known.
    """
    labels, groups = faces["label"].to_numpy(object), duplicates.groups
    sizes = np.bincount(groups[groups >= 0]) if (groups >= 0).any() else np.zeros(1, np.int64)
    clash = conflicting(labels, groups)
    kinds = duplicates.pairs["kind"]
    reasons = kept["reason"]
    result: dict[str, Any] = {
        "policy": policy,
        "images": len(faces),
        "images_with_copy": int((groups >= 0).sum()),
        "share_with_copy": share(int((groups >= 0).sum()), len(faces)),
        "exact_pairs": int((kinds == "exact").sum()),
        "near_pairs": int((kinds == "near").sum()),
        "mirror_pairs": int((kinds == "mirror").sum()),
        "images_with_exact_copy": duplicates.pairs.loc[kinds == "exact", ["a", "b"]].stack().nunique(),
        "flat": int(duplicates.flat.sum()),
        "groups": int((sizes > 0).sum()),
        "largest_group": int(sizes.max()),
        "conflicting_groups": len(np.unique(groups[clash])),
        "conflicting_images": int(clash.sum()),
        "removed": int((~kept["kept"]).sum()),
        "share_removed": share(int((~kept["kept"]).sum()), len(faces)),
        "removed_as": {
            "copy": int(reasons.str.startswith("copy of").sum()),
            "conflict": int((reasons == CONFLICT).sum()),
            "minority_label": int((reasons == MINORITY).sum()),
        },
    }
    result |= _between_parts(duplicates, faces["part"].to_numpy(object))
    if len(planted):
        result["planted"] = _against_planted(duplicates, planted, len(faces))
    return result


def share(count: int, total: int) -> float:
    """Fraction with 6 decimals; 0 of nothing."""
    return round(count / total, 6) if total else 0.0


def _between_parts(duplicates: Duplicates, parts: Any) -> dict[str, Any]:
    present = [part for part in PARTS if (parts == part).any()]
    a, b = parts[duplicates.pairs["a"].to_numpy()], parts[duplicates.pairs["b"].to_numpy()]
    between = {
        f"{one}_{two}": int((((a == one) & (b == two)) | ((a == two) & (b == one))).sum())
        for one, two in combinations_with_replacement(present, 2)
    }
    copies = {}
    for one, two in permutations(present, 2):
        there = np.unique(duplicates.groups[(parts == two) & (duplicates.groups >= 0)])
        mine = parts == one
        count = int(np.isin(duplicates.groups[mine], there).sum())
        copies[f"{one}_in_{two}"] = {"images": count, "share": share(count, int(mine.sum()))}
    return ({"pairs_between": between} if between else {}) | ({"copies": copies} if copies else {})


def _against_planted(duplicates: Duplicates, planted: pd.DataFrame, count: int) -> dict[str, Any]:
    """Recall: planted pairs in one group; precision: reported pairs that the planted ones connect."""
    a, b = planted["a"].to_numpy(np.int64), planted["b"].to_numpy(np.int64)
    together = (duplicates.groups[a] == duplicates.groups[b]) & (duplicates.groups[a] >= 0)
    truth = group_ids(a, b, count)
    pairs = duplicates.pairs
    one, two = truth[pairs["a"].to_numpy()], truth[pairs["b"].to_numpy()]
    result: dict[str, Any] = {"pairs": len(planted), "recall": share(int(together.sum()), len(planted))}
    if len(pairs):
        result["precision"] = share(int(((one == two) & (one >= 0)).sum()), len(pairs))
    if "kind" in planted:
        result["recall_of"] = {
            str(kind): share(int(together[rows].sum()), len(rows))
            for kind, rows in planted.reset_index(drop=True).groupby("kind").indices.items()
        }
    return result
