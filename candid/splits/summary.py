"""What metrics/split.json says: sizes, shares and leaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.data.faces import PARTS, class_order
from candid.splits.groups import UNKNOWN


def summary(splits: pd.DataFrame, kinds: Mapping[str, NDArray[np.int64]]) -> dict[str, Any]:
    """Count faces, groups and leaks.

    Args:
        splits: data/splits.csv.
        kinds: subject, sequence, duplicate -> one code a row of `splits`, UNKNOWN where it has none.

    Returns:
        `leaky` is true when related faces stand in train and in another part. `leaked_test_faces` counts
        test faces related to a training face, directly or over others; `leaked_test_faces_by`
        those with the same subject, sequence or duplicate group as a training face;
        `validated_test_faces` those of the others that are related to a validation face. Shares are
        fractions: of a part, of all faces; of a class, of its part.
    """
    train = (splits["part"] == "train").to_numpy()
    test = (splits["part"] == "test").to_numpy()
    group = splits["group"].to_numpy(np.int64)
    related = np.isin(group, group[train])
    validated = np.isin(group, group[~train & ~test]) & ~related
    sizes = np.unique(group, return_counts=True)[1]
    by_kind = {
        kind: int((test & np.isin(codes, codes[train & (codes != UNKNOWN)])).sum())
        for kind, codes in kinds.items()
    }
    return {
        "faces": len(splits),
        "groups": int((sizes > 1).sum()),
        "grouped_faces": int(sizes[sizes > 1].sum()),
        "largest_group": int(sizes.max()),
        "leaky": bool((related & ~train).any()),
        "leaked_test_faces": int((related & test).sum()),
        "leaked_test_faces_by": by_kind,
        "leaked_validation_faces": int((related & ~train & ~test).sum()),
        "validated_test_faces": int((validated & test).sum()),
        **{part: _part(splits, part) for part in PARTS},
    }


def _part(splits: pd.DataFrame, part: str) -> dict[str, Any]:
    labels = splits["label"][splits["part"] == part]
    counts = labels.value_counts()
    return {
        "faces": len(labels),
        "share": round(len(labels) / len(splits), 6),
        "per_class": {
            name: {
                "faces": int(counts.get(name, 0)),
                "share": round(int(counts.get(name, 0)) / len(labels), 6),
            }
            for name in class_order(splits["label"])
        },
    }
