"""Which faces stay: the policy, the protected sets, and what a conflict of labels does."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.data.catalogue import Dataset
from candid.duplicates.settings import ConflictRule
from candid.errors import CandidError

CONFLICT = "conflict"
MINORITY = "minority label"
RANK = {"test": 0, "validation": 1, "train": 2}  # of equal copies that of a set to be measured on stays


def resolve(datasets: Collection[str], catalogue: dict[str, Dataset]) -> Literal["remove", "group", "off"]:
    """What policy `auto` means for these datasets: the catalogue's choice.

    Where the members of a union disagree it is `group`, which loses no face and lets no copy cross a split.
    """
    unknown = [name for name in datasets if name not in catalogue]
    if unknown:
        raise CandidError(f"data/faces.csv: dataset {unknown[0]!r}; expected one of {', '.join(catalogue)}")
    choices = {catalogue[name].dedup for name in datasets}
    return choices.pop() if len(choices) == 1 else "group"


def conflicting(labels: NDArray[np.object_], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which faces are in a group whose labels differ."""
    table = pd.DataFrame({"label": labels, "group": groups})
    kinds = table.groupby("group")["label"].transform("nunique").to_numpy()
    return np.asarray((kinds > 1) & (groups >= 0))


def decide(
    faces: pd.DataFrame,
    groups: NDArray[np.int64],
    policy: str,
    protect: Collection[str],
    conflicts: ConflictRule = "report",
) -> pd.DataFrame:
    """Decide which faces stay.

    Args:
        faces: id, label, source, part.
        groups: smallest id of each face's duplicate group, -1 for none.
        policy: remove (one face of each group stays, beside the protected ones), decontaminate (only what
            has a copy in a protected set goes; other copies stay, all of them), group, or off (nothing is
            acted on, conflicts neither).
        protect: sets of which no face ever goes; their copies elsewhere do.
        conflicts: report; majority (faces with another label than the group's most frequent go, all of
            them where no label is the most frequent); drop (every face of the group goes).

    Returns:
        id, group, kept, reason ("" or "copy of <id>", "conflict", "minority label").
    """
    reason = np.full(len(faces), "", dtype=object)
    labels = faces["label"].to_numpy(object)
    table = pd.DataFrame({
        "row": np.arange(len(faces)), "id": faces["id"].to_numpy(), "label": labels, "group": groups,
        "guarded": faces["part"].isin(list(protect)).to_numpy(),
        "part": faces["part"].map(RANK).fillna(len(RANK)), "source": faces["source"].to_numpy(object),
    })[groups >= 0]  # fmt: skip
    table["support"] = table.groupby(["group", "label"])["row"].transform("size")
    most = table.groupby("group")["support"].transform("max")
    winners = table[table["support"] == most].groupby("group")["label"].nunique()
    disagree = conflicting(labels, groups)[table["row"]]
    free = ~table["guarded"].to_numpy()
    if policy == "off":
        conflicts = "report"
    if conflicts == "drop":
        reason[table["row"][disagree & free]] = CONFLICT
    elif conflicts == "majority":
        tied = (table["group"].map(winners) > 1).to_numpy()
        reason[table["row"][disagree & free & tied]] = CONFLICT
        reason[table["row"][disagree & free & ~tied & (table["support"] < most).to_numpy()]] = MINORITY
    if policy in ("remove", "decontaminate"):
        remaining = table[reason[table["row"]] == ""]
        if policy == "decontaminate":
            remaining = remaining[remaining.groupby("group")["guarded"].transform("any")]
        remaining = remaining.sort_values(
            ["group", "guarded", "support", "part", "source", "id"],
            ascending=[True, False, False, True, True, True],
        )
        stays = remaining.groupby("group")["id"].transform("first")
        goes = (remaining["id"] != stays) & ~remaining["guarded"]
        reason[remaining["row"][goes]] = [f"copy of {i}" for i in stays[goes]]
    ids = faces["id"].to_numpy(np.int64)
    return pd.DataFrame({"id": ids, "group": groups, "kept": reason == "", "reason": reason})
