"""From pairs of copies to what a person wants to know: counts, groups, conflicts, copies across parts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.audit.images import ImageSet
from candid.duplicates.duplicates import find_duplicates
from candid.duplicates.groups import guard
from candid.duplicates.params import DedupSettings
from candid.errors import CandidError

NO_GROUP = -1


class Findings(NamedTuple):
    """What was found in one image set; ids are rows of `images`."""

    images: pd.DataFrame
    """file, label, part ("" where unknown), group (NO_GROUP, or the smallest id in it), flat, first (False
    for an exact copy of an earlier image)."""
    pairs: pd.DataFrame
    """a, b, distance_bits, similarity, kind (exact, near or mirror): accepted, most similar first."""
    rejected: pd.DataFrame
    """The same columns: pairs that fell just short of the threshold."""
    unreadable: pd.DataFrame
    """file, reason."""
    other_files: int
    """Files in the set that are no images."""
    warning: str
    """Why the groups are not to be trusted; "" where nothing speaks against them."""


def find(read: ImageSet, settings: DedupSettings) -> Findings:
    """Search a set for copies; where the pipeline would stop at an implausible group, this warns."""
    found = find_duplicates(read.pixels, settings.model_copy(update={"max_group_share": 1.0}), read.digests)
    first = np.zeros(len(read.images), bool)
    first[np.unique(read.digests, return_index=True)[1]] = True
    images = read.images.assign(group=found.groups, flat=found.flat, first=first)
    pairs, rejected = by_similarity(found.pairs), by_similarity(found.rejected)
    warning = _implausible(found.groups, first, settings)
    return Findings(images, pairs, rejected, read.unreadable, read.other_files, warning)


def _implausible(groups: NDArray[np.int64], first: NDArray[np.bool_], settings: DedupSettings) -> str:
    try:
        guard(groups, np.flatnonzero(first), settings.max_group_share, settings.verify)
    except CandidError:
        largest = int(np.bincount(groups[groups != NO_GROUP]).max())
        option = "--min-similarity is too low" if settings.verify else "--max-distance-bits is too high"
        return f"one group holds {largest:,} images: {option} for this set, or they are frames of one video"
    return ""


def by_similarity(pairs: pd.DataFrame) -> pd.DataFrame:
    """Sort pairs, the most similar first."""
    return pairs.sort_values(["similarity", "a", "b"], ascending=[False, True, True], ignore_index=True)


def counts(found: Findings) -> dict[str, Any]:
    """Count what a summary says; the keys are those of audit.json."""
    images = found.images
    grouped = images[images["group"] != NO_GROUP]
    sizes = grouped["group"].value_counts()
    conflicts = conflict_groups(found)
    said: dict[str, Any] = {
        "images": len(images),
        "unreadable": len(found.unreadable),
        "other_files": found.other_files,
        "classes": int(images["label"].replace("", None).nunique()),
        "flat": int(images["flat"].sum()),
        "exact_copies": int((~images["first"]).sum()),
        "near_pairs": int((found.pairs["kind"] != "exact").sum()),
        "groups": len(sizes),
        "grouped_images": len(grouped),
        "surplus_images": len(grouped) - len(sizes),
        "largest_group": int(sizes.max()) if len(sizes) else 0,
        "conflicting_groups": int(conflicts["group"].nunique()),
        "conflicting_images": len(conflicts),
    }
    parts = [part for part in ("train", "validation", "test") if (images["part"] == part).any()]
    if len(parts) > 1:
        said["parts"] = {part: int((images["part"] == part).sum()) for part in parts}
        said["with_copy_in_train"] = {
            part: _with_copy_in(grouped, part, "train")
            for part in parts
            if part != "train" and "train" in parts
        }
    return said


def conflict_groups(found: Findings) -> pd.DataFrame:
    """List the images of groups that carry two labels or more: group, file, label, part; group by group."""
    known = found.images[(found.images["group"] != NO_GROUP) & (found.images["label"] != "")]
    labels = known.groupby("group")["label"].nunique()
    rows = known[known["group"].isin(labels.index[labels > 1])]
    return rows.rename_axis("id").sort_values(["group", "id"])[["group", "file", "label", "part"]]


def conflicts_by_labels(found: Findings) -> pd.Series[int]:
    """Count conflicting groups by the labels that meet in them, most frequent first: "angry, sad" -> 12."""
    rows = conflict_groups(found)
    meet = rows.groupby("group")["label"].agg(lambda labels: ", ".join(sorted(set(labels))))
    names, numbers = np.unique(meet.to_numpy(str), return_counts=True)
    return pd.Series(numbers, names, dtype=int).sort_values(ascending=False, kind="stable")


def tables(found: Findings) -> dict[str, pd.DataFrame]:
    """Build the tables that go into the report's folder: file name -> table, with paths instead of ids."""
    files, labels = found.images["file"], found.images["label"]
    pairs = found.pairs
    grouped = found.images[found.images["group"] != NO_GROUP].rename_axis("id").sort_values(["group", "id"])
    sizes = grouped.groupby("group")["group"].transform("size")
    return {
        "duplicates.csv": pd.DataFrame(
            {
                "file_a": files.to_numpy()[pairs["a"]],
                "file_b": files.to_numpy()[pairs["b"]],
                "label_a": labels.to_numpy()[pairs["a"]],
                "label_b": labels.to_numpy()[pairs["b"]],
                "kind": pairs["kind"],
                "distance_bits": pairs["distance_bits"],
                "similarity": pairs["similarity"].map("{:.4f}".format),
            }
        ),
        "groups.csv": grouped.assign(size=sizes)[["group", "size", "file", "label", "part"]],
        "conflicts.csv": conflict_groups(found),
        "flat.csv": found.images[found.images["flat"]][["file", "label", "part"]],
        "unreadable.csv": found.unreadable[["file", "reason"]],
    }


def _with_copy_in(grouped: pd.DataFrame, part: str, other: str) -> int:
    there = set(grouped["group"][grouped["part"] == other])
    return int(grouped["group"][grouped["part"] == part].isin(there).sum())
