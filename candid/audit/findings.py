"""From pairs of copies to what a person wants to know: groups, conflicts, leaks, issues, surplus."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.audit.images import ImageSet
from candid.audit.sources import NEW, OLD
from candid.data.archives import Files
from candid.data.copies import recognise
from candid.data.faces import PARTS, class_order
from candid.data.fingerprints import ImageSet as KnownSet
from candid.data.fingerprints import read_known
from candid.duplicates.find import Duplicates, find_duplicates
from candid.duplicates.groups import group_ids
from candid.duplicates.policy import RANK
from candid.duplicates.settings import DedupSettings
from candid.errors import CandidError
from candid.text import csv_cell

NO_GROUP = -1
KEEP = ("largest", "sharpest", "oldest", "majority")
"""Which picture of a group stays: most pixels; finest structure; oldest file; one with the usual label."""

Verdicts = Mapping[frozenset[str], bool]  # two files, as csv_cell writes them -> same photograph


class Issue(NamedTuple):
    """Something wrong with one picture. Scores are from 0 to 1, low ones are bad, as cleanlab has them."""

    name: str
    title: str
    score: str  # what the score is, in words
    least: float  # below this it is an issue


ISSUES = (
    Issue("low_information", "Too little contrast", "standard deviation of the grey levels / 128", 4 / 128),
    Issue("dark", "Too dark", "grey level that 5 % of the pixels exceed / 255", 0.25),
    Issue("light", "Too bright", "1 - grey level that 5 % of the pixels stay below / 255", 0.25),
    Issue("blurry", "Blurred", "energy of structure up to 3 pixels / of 3 to 9, at 192 pixels a side", 0.06),
    Issue("odd_size", "Odd size", "side to the median side, or the inverse", 0.25),
    Issue("odd_aspect_ratio", "Odd aspect ratio", "width / height to the median, or the inverse", 1 / 3),
)


class Findings(NamedTuple):
    """What one image set holds; ids are rows of `images`."""

    images: pd.DataFrame
    """The columns of ImageSet.images and side (new, old, or "" of one set), group (NO_GROUP, or the smallest
    id in it), flat (too little contrast to compare), first (False for an exact copy of an earlier image)."""
    pairs: pd.DataFrame  # a, b, similarity, kind (exact, near or mirror): accepted, most similar first
    rejected: pd.DataFrame  # the same columns: pairs that fell just short of the threshold
    searched: pd.DataFrame  # the same columns: what the search accepted, before verdicts of a person
    scores: pd.DataFrame  # a column for each of ISSUES; NaN where a picture is not judged by it
    skipped: pd.DataFrame  # file, reason
    other_files: int  # files in the set that are no images
    warnings: list[str]  # why groups are not plausible; that a known set is not as published
    known: str  # which known set this is, and whether it is as published; "" where it is none


def audit_images(
    read: ImageSet,
    settings: DedupSettings,
    against: bool = False,
    verdicts: Verdicts | None = None,
    duplicates: Duplicates | None = None,
) -> Findings:
    """Search a set for copies, and recognise whether it is a known one.

    `against`: the set is two that are joined; pairs within the old one are passed over. `verdicts`: what a
    person said of pairs; it holds for their exact copies, too. `duplicates`: what was found already; of a
    cluster, that keeps the pixels, no known set is recognised.
    """
    unknown = against or not isinstance(read.pixels, np.ndarray)
    if duplicates is None:
        duplicates = find_duplicates(
            read.pixels, settings.method, settings.mirror, read.digests, originals=read.originals
        )
    _, rows, which = np.unique(read.digests, return_index=True, return_inverse=True)
    files, labels, parts = (read.images[name].tolist() for name in ("file", "label", "part"))
    old = np.array([against and file.startswith(f"{OLD}/") for file in files])
    searched, rejected = (
        _by_similarity(pairs[~(old[pairs["a"]] & old[pairs["b"]])])
        for pairs in (duplicates.pairs, duplicates.rejected)
    )
    pairs, rejected = _judged(searched, rejected, which, files, verdicts or {})
    finding = None if unknown else recognise(
        read_known(), KnownSet(files, labels, parts if any(parts) else None, read.pixels)
    )  # fmt: skip
    known = finding.line if finding else ""
    altered = [known] if finding and not finding.as_published else []
    images = read.images.assign(
        side=np.where(old, OLD, NEW) if against else "",
        group=group_ids(pairs["a"].to_numpy(), pairs["b"].to_numpy(), len(files)),
        flat=duplicates.flat,
        first=np.isin(np.arange(len(files)), rows),
    )
    return Findings(
        images, pairs, rejected, searched, _scores(images), read.skipped, read.other_files,
        [text for text in (duplicates.warning, *altered) if text], known,
    )  # fmt: skip


def _by_similarity(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs.sort_values(["similarity", "a", "b"], ascending=[False, True, True], ignore_index=True)


def _judged(
    pairs: pd.DataFrame, rejected: pd.DataFrame, which: NDArray[Any], files: list[str], verdicts: Verdicts
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave out pairs that a person called different, and accept rejected ones that are the same."""
    if not verdicts:
        return pairs, rejected
    distinct = {csv_cell(file): int(row) for file, row in zip(files, which.reshape(-1), strict=True)}
    there = ((names, same) for names, same in verdicts.items() if names <= distinct.keys())
    known = {frozenset(distinct[name] for name in names): same for names, same in there}

    def verdict(table: pd.DataFrame) -> pd.Series[Any]:
        ends = which.reshape(-1)[table[["a", "b"]].to_numpy()]
        return pd.Series([known.get(frozenset(row)) for row in ends.tolist()], table.index, dtype=object)

    accepted, turned_down = verdict(pairs), verdict(rejected)
    both = pd.concat([pairs[accepted.ne(False)], rejected[turned_down.eq(True)]])
    return _by_similarity(both), rejected[turned_down.isna()].reset_index(drop=True)


def _scores(images: pd.DataFrame) -> pd.DataFrame:
    """Score each picture by ISSUES; those of the old set are not judged."""
    new = images["side"] != OLD
    measures = ((images["width"] * images["height"]) ** 0.5, images["width"] / images["height"])
    ratios = [values / values[new].median() for values in measures]
    scores: dict[str, Any] = {
        "low_information": images["contrast"].clip(upper=1),
        "dark": images["bright"] / 255,
        "light": 1 - images["dark"] / 255,
        "blurry": images["sharpness"].clip(upper=1).mask(images["flat"]),
        "odd_size": np.minimum(ratios[0], 1 / ratios[0]),
        "odd_aspect_ratio": np.minimum(ratios[1], 1 / ratios[1]),
    }
    return pd.DataFrame({issue.name: scores[issue.name].where(new).round(4) for issue in ISSUES})


def issues(findings: Findings) -> dict[str, pd.Series[float]]:
    """Ids and scores of the pictures that have each of ISSUES, the worst first."""
    scores = [(issue, findings.scores[issue.name]) for issue in ISSUES]
    return {issue.name: score[score < issue.least].sort_values(kind="stable") for issue, score in scores}


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
        "issues": {name: len(rows) for name, rows in issues(findings).items()},
    }
    parts = [part for part in PARTS if (images["part"] == part).any()]
    numbers["parts"] = {part: int((images["part"] == part).sum()) for part in parts}

    def copied(column: str, value: str, source: str) -> int:
        sources = grouped["group"][grouped[column] == source]
        return int(grouped["group"][grouped[column] == value].isin(sources).sum())

    if (images["side"] == NEW).any():
        numbers["new_images"] = int((images["side"] == NEW).sum())
        numbers["with_copy_in_old"] = copied("side", NEW, OLD)
        parts = []  # of two sets, what is within one of them is not the question
    tested = [part for part in parts if part != "train"] if "train" in parts else []
    numbers["with_copy_in_train"] = {part: copied("part", part, "train") for part in tested}
    return numbers


def leaks(numbers: Mapping[str, Any]) -> list[tuple[str, int, int, str]]:
    """List (pictures of, how many, with a copy in, the other set) from the numbers of `counts`."""
    of, copied = numbers["parts"], numbers["with_copy_in_train"]
    across = [(part, of[part], copies, "train") for part, copies in copied.items()]
    if "with_copy_in_old" in numbers:
        across.append((NEW, numbers["new_images"], numbers["with_copy_in_old"], OLD))
    return across


def conflicting(findings: Findings) -> pd.DataFrame:
    """List the images of groups that carry two labels or more: group, file, label, part; group by group."""
    known = findings.images[(findings.images["group"] != NO_GROUP) & (findings.images["label"] != "")]
    labels = known.groupby("group")["label"].nunique()
    rows = known[known["group"].isin(labels.index[labels > 1])]
    return rows.rename_axis("id").sort_values(["group", "id"])[["group", "file", "label", "part"]]


def labels_that_meet(findings: Findings) -> pd.Series[str]:
    """Of groups in conflict: group -> its labels, "angry, sad"."""
    groups = conflicting(findings).groupby("group")
    return groups["label"].agg(lambda labels: ", ".join(sorted(set(labels))))


def surplus(
    images: pd.DataFrame, rule: str, protect: Collection[str], modified: Mapping[str, float] | None = None
) -> NDArray[np.bool_]:
    """Which pictures would go if one of each group stayed: True where a picture is one too many.

    `rule` is one of KEEP; the largest of equals stays, then that of the test set, then the first by name. Of
    the parts `protect` and of an old set no picture goes; what has a copy there goes elsewhere. `modified`:
    file -> when it was last changed, for the rule `oldest`.
    """
    support = images.groupby(["group", "label"])["file"].transform("size").where(images["label"] != "", 0)
    table = pd.DataFrame({
        "group": images["group"],
        "guarded": images["part"].isin(list(protect)) | (images["side"] == OLD),
        "rule": {
            "largest": 0.0, "sharpest": images["sharpness"], "majority": support,
            "oldest": -images["file"].map(modified or {}),
        }[rule],
        "pixels": images["width"] * images["height"], "bytes": images["bytes"],
        "part": -images["part"].map(RANK).fillna(len(RANK)), "row": -np.arange(len(images)),
    })  # fmt: skip
    table = table.sort_values(list(table.columns), ascending=False)
    later = table["group"].duplicated() & (table["group"] != NO_GROUP) & ~table["guarded"]
    return np.asarray(later.sort_index(), np.bool_)


def ages(files: Files, names: list[str]) -> dict[str, float]:
    """When each file was last changed, in seconds; CandidError for pictures that are no files on disk."""
    places = [files.location(name) for name in names]
    if not all(places):
        raise CandidError(f"{files.path}: --keep oldest needs pictures on disk; expected another rule")
    return {name: place.stat().st_mtime for name, place in zip(names, places, strict=True) if place}


def tables(findings: Findings, removed: NDArray[np.bool_]) -> dict[str, pd.DataFrame]:
    """Build the tables of the report's folder: file name -> table, names as spreadsheets may read them."""
    images, pairs = findings.images.assign(kept=~removed), findings.pairs
    grouped = images[images["group"] != NO_GROUP].rename_axis("id").sort_values(["group", "id"])
    grouped = grouped.assign(size=grouped.groupby("group")["group"].transform("size"))
    ends = {f"{column}_{end}": images[column].to_numpy()[pairs[end]]
            for column in ("file", "label") for end in ("a", "b")}  # fmt: skip
    similarity = pairs["similarity"].map("{:.4f}".format)
    made = {
        "duplicates.csv": pd.DataFrame({**ends, "kind": pairs["kind"], "similarity": similarity}),
        "groups.csv": grouped[["group", "size", "file", "label", "part", "kept"]],
        "conflicts.csv": conflicting(findings),
        "issues.csv": _issues_table(findings),
        "unreadable.csv": findings.skipped[["file", "reason"]],
    }
    if (labelled := images[images["label"] != ""]).size:  # a ground truth: 0 and 1 for each class
        classes = pd.get_dummies(labelled["label"], dtype=int)[class_order(labelled["label"])]
        made["truth.csv"] = pd.concat([labelled["file"], classes], axis=1)
    names = ("file", "label", "file_a", "file_b", "label_a", "label_b")
    return {
        name: table.assign(**{column: table[column].map(csv_cell) for column in names if column in table})
        for name, table in made.items()
    }


def _issues_table(findings: Findings) -> pd.DataFrame:
    """One row a picture, in cleanlab's columns; sets are rows of this table, from 0."""
    images, pairs = findings.images, findings.pairs
    both = pd.concat([pairs, pairs.rename(columns={"a": "b", "b": "a"})]).groupby("a")
    nearest = both["similarity"].max().astype(float).reindex(images.index, fill_value=0.0)
    copies = {row: sorted(others.tolist()) for row, others in both["b"]}
    known = images[(images["group"] != NO_GROUP) & (images["label"] != "")]
    alike, every = (known.groupby(keys)["file"].transform("size") for keys in (["group", "label"], ["group"]))
    label_score = (alike / every).reindex(images.index).fillna(1.0)
    table = images[["file", "label", "part"]].assign(
        is_label_issue=label_score <= 0.5,
        label_score=label_score.round(4),
        is_near_duplicate_issue=images.index.isin(list(copies)),
        near_duplicate_score=(1 - nearest).round(4),
        near_duplicate_sets=[json.dumps(copies.get(row, [])) for row in images.index],
    )
    for issue in ISSUES:
        score = findings.scores[issue.name]
        table = table.assign(**{f"is_{issue.name}_issue": score < issue.least, f"{issue.name}_score": score})
    return table


def samples(findings: Findings, files: Files, folder: Path, removed: NDArray[np.bool_]) -> list[Any]:
    """List for FiftyOne each picture's path from the report's folder, label and tags; [] if not on disk."""
    images, conflicts = findings.images, set(conflicting(findings).index)
    flagged = {name: set(rows.index) for name, rows in issues(findings).items()}
    made = []
    row: Any
    for row in images.assign(removed=removed).itertuples():
        path = files.location(row.file)
        if path is None:
            return []
        tags = [row.part] * bool(row.part) + [row.side] * bool(row.side)
        tags += ["near_duplicate"] * (row.group != NO_GROUP) + ["surplus"] * bool(row.removed)
        tags += ["label_conflict"] * (row.Index in conflicts)
        tags += [name for name, rows in flagged.items() if row.Index in rows]
        sample: dict[str, Any] = {"filepath": os.path.relpath(path, folder), "tags": tags}
        if row.label:
            sample["ground_truth"] = {"_cls": "Classification", "label": row.label}
        if row.group != NO_GROUP:
            sample["group_of_copies"] = int(row.group)
        made.append(sample)
    return made
