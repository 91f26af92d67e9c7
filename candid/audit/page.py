"""The report as one HTML page that needs nothing else: no network, no script, the pictures inside."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from candid.audit.findings import ISSUES, NO_GROUP, Findings, issues, labels_that_meet, leaks
from candid.audit.measure import AMONG, Share, precision
from candid.duplicates.settings import Aligned, Method
from candid.evaluation.picture import MUTED, picture
from candid.html import data_uri, render

ROWS = 20  # rows of a table on the page; the whole is in the CSV files
MOST_PICTURES = 60  # of a group on the page
PIXEL_EXACT = 96  # pixels a side; up to this size pictures go in unchanged
BARS = 48
JUDGE = (
    "Drawn from the near-duplicates. The same photograph? Write yes or no into judged.csv, in this order,"
    " keep the file, and give it to the next audit by --judged."
)


class Shown(NamedTuple):
    """Some pictures of one group, of a pair, or with one issue."""

    ids: list[int]
    size: int  # images in the group
    caption: str
    file: str = "groups.csv"  # where all of them are listed


class Section(NamedTuple):
    """What is shown of one kind."""

    title: str
    total: int
    groups: list[Shown]
    noun: str = "group"
    note: str = ""
    folded: bool = False


def sections(findings: Findings, drawn: pd.DataFrame, most: int) -> list[Section]:
    """Choose up to `most` groups of each kind to show, each group once, pairs just rejected, and all `drawn`.

    Conflicts of every pair of labels come before any twice, groups of images of too little contrast last; the
    others are spread evenly from the least similar to the most similar.
    """
    images, pairs = findings.images, findings.pairs
    members = {group: rows.index.tolist() for group, rows in images.groupby("group") if group != NO_GROUP}
    groups = images["group"].to_numpy()[pairs["a"]]
    least = pairs["similarity"].groupby(groups).min()
    exact = (pairs["kind"] == "exact").groupby(groups).all()
    meet = labels_that_meet(findings)
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

    just, columns = _new_to_groups(findings), ["a", "b", "similarity", "kind"]
    made = [
        Section("Copies with different labels", len(conflicts), [shown(group) for group in conflicts[:most]]),
        Section("Near-duplicates", len(near), [shown(group) for group in _spread(near, most)]),
        Section("Exact copies", len(copies), [shown(group) for group in _spread(copies, most)]),
        Section("Just rejected", len(just), [
            Shown([a, b], 2, f"similarity {similarity:.3f}" + ", mirrored" * (kind == "mirror"))
            for a, b, similarity, kind in _spread(just, most)[columns].itertuples(index=False)
        ], "pair", "Of two groups only the most similar pair. The same photograph? Add it to judged.csv."),
    ]  # fmt: skip
    for issue, rows in zip(ISSUES, issues(findings).values(), strict=True):
        caption = "the worst first" if len(rows) > 1 else f"score {rows.max():.2f}"
        sheet = Shown(rows.index[:most].tolist(), len(rows), caption, "issues.csv")
        made.append(Section(issue.title, len(rows), [sheet], "picture"))
    to_judge = [
        Shown([a, b], 2, f"pair {number}" + f", judged {verdict}" * bool(verdict))
        for number, (a, b, verdict) in enumerate(drawn[["a", "b", "duplicate"]].itertuples(index=False), 1)
    ]
    made.append(Section("To judge", len(drawn), to_judge, "pair", JUDGE, folded=True))
    return [section for section in made if section.total]


def _new_to_groups(findings: Findings) -> pd.DataFrame:
    """Rejected pairs that would join what is not joined yet: the most similar of each two groups."""
    ids, groups = findings.images.index.to_numpy(), findings.images["group"].to_numpy()
    groups = np.where(groups == NO_GROUP, ids, groups)
    ends = np.sort(groups[findings.rejected[["a", "b"]].to_numpy(int)], axis=1)
    pairs = findings.rejected.assign(low=ends[:, 0], high=ends[:, 1])
    return pairs[pairs["low"] != pairs["high"]].drop_duplicates(["low", "high"])


def _spread(rows: Any, most: int) -> Any:
    """Up to `most` rows, evenly spread."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))
    return rows.iloc[chosen] if isinstance(rows, pd.DataFrame) else rows[chosen]


def page(
    name: str, search: str, findings: Findings, numbers: dict[str, Any], sections: list[Section],
    pictures: Mapping[int, Image.Image], method: Method, recall: Mapping[str, Share], drawn: pd.DataFrame,
) -> str:  # fmt: skip
    """Write the page: `name` of the set, `search` in words, `numbers` of `counts`, `drawn` pairs."""
    images = findings.images
    sizes = images["group"][images["group"] != NO_GROUP].value_counts().value_counts().sort_index()
    meet = labels_that_meet(findings).value_counts().sort_index()
    meet = meet.sort_values(ascending=False, kind="stable").head(ROWS)
    return render(
        "audit.html",
        title=f"Audit of {name}",
        search=search,
        findings=findings,
        numbers=numbers,
        leaks=leaks(numbers),
        histogram=_histogram(findings, method),
        recall=recall,
        among=min(len(images), AMONG),
        precision=precision(drawn),
        drawn=len(drawn),
        conflicts=[[names, f"{n:,}"] for names, n in meet.items()],
        issues=[[issue.title, issue.score, f"{issue.least:.3g}", f"{numbers['issues'][issue.name]:,}"]
                for issue in ISSUES],
        sections=sections,
        pictures_of=lambda rows: [_picture(images.loc[row], pictures[row]) for row in rows],
        sizes=[[f"{size:,}", f"{count:,}"] for size, count in sizes.head(ROWS).items()],
        skipped=findings.skipped.head(ROWS).to_numpy().tolist(),
    )  # fmt: skip


def _picture(row: Any, image: Image.Image) -> dict[str, Any]:
    buffer, small = io.BytesIO(), max(image.size) <= PIXEL_EXACT
    kind: Any = {"format": "PNG", "optimize": True} if small else {"format": "JPEG", "quality": 82}
    image.save(buffer, **kind)
    uri = data_uri(buffer.getvalue(), f"image/{kind['format'].lower()}")
    where = " ".join(filter(None, (row["side"], row["part"])))
    named = {"name": PurePosixPath(row["file"]).name, "file": row["file"], "label": row["label"]}
    return {"uri": uri, "small": small, "part": where, **named}


def _histogram(findings: Findings, method: Method) -> str:
    """Pairs by similarity, on both sides of the threshold, exact copies left out; "" where there are none."""
    near = findings.pairs["similarity"][findings.pairs["kind"] != "exact"].to_numpy(float)
    values = np.concatenate([near, findings.rejected["similarity"].to_numpy(float)])
    if not len(values):
        return ""
    least = float(values.min())
    threshold = method.min_similarity if isinstance(method, Aligned) else least
    numbers, edges = np.histogram(values, bins=BARS, range=(min(least, threshold), 1.0))
    middle = (edges[1:] + edges[:-1]) / 2
    colors = np.where(middle >= threshold, "#14713d", "#b3541e").tolist()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "similarity.png")
        with picture(path, (7, 2.4)) as figure:
            axes = figure.add_subplot()
            axes.bar(middle, numbers, width=0.85 * (edges[1] - edges[0]), color=colors)
            if threshold > least:
                axes.axvline(threshold, color=MUTED, linestyle="--", linewidth=1)
            axes.set(xlabel="similarity", ylabel="pairs")
            axes.locator_params(axis="y", nbins=4, integer=True)
        return data_uri(path.read_bytes())
