"""The report as one HTML page that needs nothing else: no network, no script, the pictures inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.audit.bands import Band, Pair
from candid.audit.findings import NO_GROUP, Findings, conflicts_by_labels, counts
from candid.audit.histogram import histogram
from candid.audit.html import cards, document, section, table
from candid.audit.pictures import PIXEL_EXACT, data_uri
from candid.audit.style import STYLE

ROWS = 20  # rows of a table on the page; the whole is in the CSV files


class Facts(NamedTuple):
    """What the page says beside the findings."""

    name: str
    """The image set, as its user gave it."""
    settings: str
    """The options used, in words."""
    threshold: float
    """Least similarity accepted."""


def page(
    facts: Facts, found: Findings, shown: Sequence[Band], thumbnails: Mapping[int, NDArray[np.uint8]]
) -> str:
    """Write the page.

    Args:
        facts: heading and settings.
        found: what the audit found.
        shown: bands with their chosen pairs.
        thumbnails: row of found.images -> picture, of every image in those pairs.
    """
    said = counts(found)
    flat = found.images[found.images["flat"]][["file", "label"]]
    body = [
        f"<header>\n<h1>Audit of {escape(facts.name)}</h1>\n",
        f"<p class=soft>{escape(facts.settings)}</p>\n",
        f"<p class=warning>Warning: {escape(found.warning)}</p>\n" if found.warning else "",
        "</header>\n",
        "<main>\n",
        _figures(said),
        _parts(said),
        section(
            "Similarity of the pairs",
            f"Accepted from {facts.threshold:g} on; below it, pairs that fell short. No exact copies.",
            histogram(found, facts.threshold),
        ),
        _conflicts(found, said),
        *(_band(band, found.images, thumbnails) for band in shown),
        _groups(found),
        _list("Flat images", "Too even to compare: only exact copies of them are found.", flat, "flat.csv"),
        _list("Unreadable files", "Left out of everything above.", found.unreadable, "unreadable.csv"),
        "</main>\n",
    ]
    return document(f"Audit of {facts.name}", STYLE, "".join(body))


def _figures(said: Mapping[str, Any]) -> str:
    grouped, images = said["grouped_images"], said["images"]
    figures = [
        ("Images", images, f"in {said['classes']} classes" if said["classes"] else "without classes"),
        ("Unreadable", said["unreadable"], "files"),
        ("Exact copies", said["exact_copies"], "images that repeat another, pixel for pixel"),
        ("Near-duplicates", said["near_pairs"], "pairs"),
        ("Groups of copies", said["groups"], f"{grouped:,} images, {grouped / images:.1%} of all"),
        ("Surplus images", said["surplus_images"], "would go if one of each group stayed"),
        ("Largest group", said["largest_group"], "images"),
        ("Flat", said["flat"], "images of one grey"),
    ]
    if said["classes"]:
        figures.append(
            ("Conflicts", said["conflicting_groups"], f"groups, {said['conflicting_images']:,} images")
        )
    return cards(figures)


def _parts(said: Mapping[str, Any]) -> str:
    rows = [
        (part, said["parts"][part], copies, f"{copies / said['parts'][part]:.1%}")
        for part, copies in said.get("with_copy_in_train", {}).items()
    ]
    note = "A test image with a copy in train asks a model what it has seen."
    body = table(["part", "images", "with a copy in train", "share"], rows)
    return section("Copies across parts", note, body) if rows else ""


def _conflicts(found: Findings, said: Mapping[str, Any]) -> str:
    meet = conflicts_by_labels(found)
    if meet.empty:
        return ""
    note = (
        f"{said['conflicting_groups']:,} groups of copies, {said['conflicting_images']:,} images, carry more "
        "than one label. All of them: conflicts.csv."
    )
    rows = [(str(names), int(number)) for names, number in meet.head(ROWS).items()]
    return section("Conflicting labels", note, table(["labels that meet", "groups"], rows))


def _band(band: Band, images: pd.DataFrame, thumbnails: Mapping[int, NDArray[np.uint8]]) -> str:
    figures = "".join(_figure(pair, images, thumbnails) for pair in band.pairs)
    kind = "pairs rejected" if band.rejected else "pairs"
    return section(band.heading, "", f"<div class='{kind}'>\n{figures}</div>\n")


def _figure(pair: Pair, images: pd.DataFrame, thumbnails: Mapping[int, NDArray[np.uint8]]) -> str:
    sides = ""
    for row in (pair.a, pair.b):
        file, label, part = (str(images.at[row, column]) for column in ("file", "label", "part"))
        small = " class=small" if max(thumbnails[row].shape[:2]) <= PIXEL_EXACT else ""
        known = " · ".join(filter(None, (f"<b>{escape(label)}</b>" if label else "", part)))
        sides += (
            f"<div><img{small} src='{data_uri(thumbnails[row])}' alt='{escape(file)}'>"
            f"{known + '<br>' if known else ''}{escape(PurePosixPath(file).name)}</div>\n"
        )
    caption = (
        f"<strong>{pair.similarity:.3f}</strong> similar{', mirrored' * (pair.kind == 'mirror')}, "
        f"{pair.distance_bits} bits apart"
    )
    return f"<figure><figcaption>{caption}</figcaption>\n<div class=two>{sides}</div></figure>\n"


def _groups(found: Findings) -> str:
    grouped = found.images["group"][found.images["group"] != NO_GROUP]
    if grouped.empty:
        return ""
    sizes = grouped.value_counts().value_counts().sort_index()
    rows = [(int(str(size)), int(number)) for size, number in sizes.head(ROWS).items()]
    more = f" The largest has {sizes.index[-1]:,}." if len(sizes) > ROWS else ""
    note = f"Images that are copies of one another, directly or over others.{more} All of them: groups.csv."
    return section("Sizes of the groups", note, table(["images in a group", "groups"], rows))


def _list(title: str, note: str, rows: pd.DataFrame, file: str) -> str:
    if rows.empty:
        return ""
    more = f" The first {ROWS} of {len(rows):,}; all of them: {file}." if len(rows) > ROWS else ""
    return section(title, note + more, table([*rows], rows.head(ROWS).itertuples(index=False)))
