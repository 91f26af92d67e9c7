"""What the audit says on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def summary(name: str, said: Mapping[str, Any], warning: str, report: str) -> str:
    """Write the counts as aligned lines.

    Args:
        name: of the image set.
        said: from findings.counts.
        warning: about the findings as a whole, or "".
        report: where the page is.
    """
    images, grouped = said["images"], said["grouped_images"]
    lines = [
        ("images", images, f"in {said['classes']} classes" if said["classes"] else ""),
        ("unreadable", said["unreadable"], ""),
        ("exact copies", said["exact_copies"], "repeat another image pixel for pixel"),
        ("near-duplicates", said["near_pairs"], "pairs"),
        ("flat", said["flat"], "images of one grey, not compared"),
        ("groups", said["groups"], f"with {grouped:,} images ({grouped / images:.1%})"),
        ("largest group", said["largest_group"], "images"),
        ("surplus", said["surplus_images"], "would go if one image of each group stayed"),
    ]
    if said["classes"]:
        note = f"groups, with {said['conflicting_images']:,} images"
        lines.append(("conflicting labels", said["conflicting_groups"], note))
    for part, copies in said.get("with_copy_in_train", {}).items():
        of = said["parts"][part]
        lines.append((f"{part} leaks", copies, f"of {of:,} images ({copies / of:.1%}) have a copy in train"))
    width = max(len(f"{number:,}") for _, number, _ in lines)
    body = "\n".join(f"{title:<20}{number:>{width},}  {note}".rstrip() for title, number, note in lines)
    told = f"warning: {warning}\n" if warning else ""
    return f"{name}\n{body}\n{told}report: {report}"
