"""From pairs of copies to what a person wants to know: counts, groups, conflicts, copies across sets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from candid.audit.images import ImageSet
from candid.data.copies import recognise
from candid.data.fingerprints import ImageSet as KnownSet
from candid.data.fingerprints import read_known
from candid.data.ingest import truth_table
from candid.duplicates.find import find_duplicates
from candid.duplicates.settings import DedupSettings
from candid.text import csv_cell

NO_GROUP = -1
PARTS = ("train", "validation", "test")
MOST_PICTURES = 60
"""Of a group on the page."""


class Findings(NamedTuple):
    """What one image set holds; ids are rows of `images`."""

    images: pd.DataFrame
    """file, label, part ("" where unknown), frames, group (NO_GROUP, or the smallest id in it), flat (too
    little contrast to compare), first (False for an exact copy of an earlier image)."""
    pairs: pd.DataFrame
    """a, b, similarity, kind (exact, near or mirror): accepted, most similar first."""
    rejected: pd.DataFrame
    """The same columns: pairs that fell just short of the threshold."""
    skipped: pd.DataFrame
    """file, reason."""
    other_files: int
    """Files in the set that are no images."""
    warnings: list[str]
    """Why groups are not plausible; that a known set is not as published."""
    known: str
    """Which known set this is, and whether it is as published; "" where it is none."""


class Shown(NamedTuple):
    """Some pictures of one group, or of a pair that was rejected."""

    ids: list[int]
    size: int
    """Images in the group."""
    caption: str


class Section(NamedTuple):
    """Groups of one kind that are shown."""

    title: str
    total: int
    groups: list[Shown]


def audit_images(read: ImageSet, settings: DedupSettings) -> Findings:
    """Search a set for copies, and recognise whether it is a known one."""
    duplicates = find_duplicates(read.pixels, settings.method, settings.mirror, read.digests)
    first = np.zeros(len(read.images), bool)
    first[np.unique(read.digests, return_index=True)[1]] = True
    images = read.images.assign(group=duplicates.groups, flat=duplicates.flat, first=first)
    files, labels, parts = (read.images[name].tolist() for name in ("file", "label", "part"))
    finding = recognise(read_known(), KnownSet(files, labels, parts if any(parts) else None, read.pixels))
    known = finding.line if finding else ""
    altered = [known] if finding and not finding.as_published else []
    return Findings(
        images,
        _by_similarity(duplicates.pairs),
        _by_similarity(duplicates.rejected),
        read.skipped,
        read.other_files,
        [text for text in (duplicates.warning, *altered) if text],
        known,
    )


def _by_similarity(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs.sort_values(["similarity", "a", "b"], ascending=[False, True, True], ignore_index=True)


def counts(findings: Findings) -> dict[str, Any]:
    """Count what a summary says; the keys are those of audit.json."""
    images = findings.images
    grouped = images[images["group"] != NO_GROUP]
    sizes = grouped["group"].value_counts()
    conflicts = conflicting(findings)
    numbers: dict[str, Any] = {
        "images": len(images),
        "unreadable": len(findings.skipped),
        "other_files": findings.other_files,
        "classes": int(images["label"].replace("", None).nunique()),
        "low_contrast": int(images["flat"].sum()),
        "several_frames": int(images["frames"].sum()),
        "exact_copies": int((~images["first"]).sum()),
        "near_pairs": int((findings.pairs["kind"] != "exact").sum()),
        "groups": len(sizes),
        "grouped_images": len(grouped),
        "surplus_images": len(grouped) - len(sizes),
        "largest_group": int(sizes.max()) if len(sizes) else 0,
        "conflicting_groups": int(conflicts["group"].nunique()),
        "conflicting_images": len(conflicts),
    }
    parts = [part for part in PARTS if (images["part"] == part).any()]
    train = grouped["group"][grouped["part"] == "train"]
    numbers["parts"] = {part: int((images["part"] == part).sum()) for part in parts}
    numbers["with_copy_in_train"] = {
        part: int(grouped["group"][grouped["part"] == part].isin(train).sum())
        for part in parts
        if part != "train" and "train" in parts
    }
    return numbers


def conflicting(findings: Findings) -> pd.DataFrame:
    """List the images of groups that carry two labels or more: group, file, label, part; group by group."""
    known = findings.images[(findings.images["group"] != NO_GROUP) & (findings.images["label"] != "")]
    labels = known.groupby("group")["label"].nunique()
    rows = known[known["group"].isin(labels.index[labels > 1])]
    return rows.rename_axis("id").sort_values(["group", "id"])[["group", "file", "label", "part"]]


def conflicts_by_labels(findings: Findings) -> pd.Series[int]:
    """Count conflicting groups by the labels that meet in them, most frequent first: "angry, sad" -> 12."""
    meet = _labels_of(conflicting(findings))
    names, numbers = np.unique(meet.to_numpy(str), return_counts=True)
    return pd.Series(numbers, names, dtype=int).sort_values(ascending=False, kind="stable")


def _labels_of(rows: pd.DataFrame) -> pd.Series[str]:
    return rows.groupby("group")["label"].agg(lambda labels: ", ".join(sorted(set(labels))))


def sections(findings: Findings, most: int) -> list[Section]:
    """Choose up to `most` groups of each kind to show, each group once, and pairs just rejected.

    Conflicts of every pair of labels come before any twice, groups of images of too little contrast last; the
    others are spread evenly from the least similar to the most similar.
    """
    images, pairs = findings.images, findings.pairs
    members = {group: rows.index.tolist() for group, rows in images.groupby("group") if group != NO_GROUP}
    groups = images["group"].to_numpy()[pairs["a"]]
    least = pairs["similarity"].groupby(groups).min()
    exact = (pairs["kind"] == "exact").groupby(groups).all()
    meet = _labels_of(conflicting(findings))
    turn = meet.groupby(meet).cumcount().to_frame("turn")
    turn["flat"] = [bool(images["flat"][members[group]].all()) for group in turn.index]
    conflicts = turn.sort_values(["flat", "turn"], kind="stable").index
    rest = least.drop(conflicts).sort_values(kind="stable").index
    near, copies = (rest[~exact[rest]], rest[exact[rest]])

    def shown(group: Any) -> Shown:
        low, size = least[group], len(members[group])
        caption = "exact copies" if exact[group] else f"similarity {low:.3f}" + " or more" * (size > 2)
        if (pairs["kind"][groups == group] == "mirror").any():
            caption += ", mirrored"
        return Shown(members[group][:MOST_PICTURES], size, caption)

    made = [
        Section("Copies with different labels", len(conflicts), [shown(group) for group in conflicts[:most]]),
        Section("Near-duplicates", len(near), [shown(group) for group in _spread(near, most)]),
        Section("Exact copies", len(copies), [shown(group) for group in _spread(copies, most)]),
    ]
    turned_down = [
        Shown([row.a, row.b], 2, f"similarity {row.similarity:.3f}" + ", mirrored" * (row.kind == "mirror"))
        for row in _spread(findings.rejected, most).itertuples()
    ]
    made.append(Section("Just rejected", len(findings.rejected), turned_down))
    return [section for section in made if section.total]


def _spread(rows: Any, most: int) -> Any:
    """Up to `most` rows, evenly spread."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))
    return rows.iloc[chosen] if isinstance(rows, pd.DataFrame) else rows[chosen]


def tables(findings: Findings) -> dict[str, pd.DataFrame]:
    """Build the tables of the report's folder: file name -> table, names as spreadsheets may read them."""
    images, pairs = findings.images, findings.pairs
    grouped = images[images["group"] != NO_GROUP].rename_axis("id").sort_values(["group", "id"])
    grouped = grouped.assign(size=grouped.groupby("group")["group"].transform("size"))
    ends = {
        f"{column}_{end}": images[column].to_numpy()[pairs[end]]
        for column in ("file", "label") for end in ("a", "b")
    }  # fmt: skip
    similarity = pairs["similarity"].map("{:.4f}".format)
    made = {
        "duplicates.csv": pd.DataFrame({**ends, "kind": pairs["kind"], "similarity": similarity}),
        "groups.csv": grouped[["group", "size", "file", "label", "part"]],
        "conflicts.csv": conflicting(findings),
        "low_contrast.csv": images[images["flat"]][["file", "label", "part"]],
        "unreadable.csv": findings.skipped[["file", "reason"]],
    }
    if (labelled := images[images["label"] != ""].rename(columns={"file": "source"})).size:
        made["truth.csv"] = truth_table(labelled)
    names = ("file", "label", "file_a", "file_b", "label_a", "label_b")
    return {
        name: table.assign(**{column: table[column].map(csv_cell) for column in names if column in table})
        for name, table in made.items()
    }
