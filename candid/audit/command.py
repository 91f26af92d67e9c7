"""Audit a folder, zip or tar of images: candid audit PATH [--out audit].

Prints a summary and fills a folder: index.html (everything, for the eye), duplicates.csv, groups.csv,
conflicts.csv, low_contrast.csv, unreadable.csv, truth.csv (a 0/1 column a class) and audit.json (the counts).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from candid.audit.findings import Findings, audit_images, counts, sections, tables
from candid.audit.images import read_images, thumbnails
from candid.audit.page import page
from candid.data.archives import open_files
from candid.duplicates.settings import Aligned, DedupSettings
from candid.errors import CandidError
from candid.files import read_json, write_csv, write_json, write_text
from candid.settings import check
from candid.text import clean, percent

MANIFEST = "audit.json"
MADE_BY = "candid audit"


def main(arguments: list[str] | None = None) -> None:
    """Read, search, choose what to show, write."""
    options, settings = read_options(arguments)
    check_folder(options.out)
    name = clean(options.path.resolve().name)
    with open_files(options.path, options.out) as source:
        read = read_images(source, options.labels)
        findings = audit_images(read, settings)
        shown = sections(findings, options.groups)
        files = findings.images["file"].tolist()
        rows = sorted({row for section in shown for group in section.groups for row in group.ids})
        large = thumbnails(source, [files[row] for row in rows])
    pictures = {row: large.get(files[row]) or Image.fromarray(read.pixels[row]) for row in rows}
    html = page(name, _in_words(settings), findings, shown, pictures, settings.method)
    numbers = counts(findings)
    write_report(options.out, numbers, {**tables(findings), "index.html": html})
    for warning in findings.warnings:
        print(f"candid audit: warning: {warning}", file=sys.stderr)
    print(summary(name, numbers, findings, clean(str(options.out / "index.html"))))


def read_options(arguments: list[str] | None = None) -> tuple[argparse.Namespace, DedupSettings]:
    """Parse the command line; an impossible value of a search option is a CandidError."""
    parser = argparse.ArgumentParser(
        prog="candid audit",
        description="Find exact copies, near-duplicates and conflicting labels in any set of images.",
        epilog="The report shows pictures from the set: treat it with the same care as the set itself.",
    )
    option = parser.add_argument
    option("path", type=Path, metavar="PATH", help="folder, zip or tar, one folder a class or none")
    option("--out", type=Path, default=Path("audit"), help="folder of the report; default: audit")
    option("--groups", type=int, default=20, help="shown of each kind; default: 20")
    option("--no-labels", dest="labels", action="store_false", help="folders are not classes")
    option("--method", choices=("aligned", "hash"), default="aligned", help="default: aligned")
    least = Aligned().min_similarity
    option("--min-similarity", type=float, help=f"of the method aligned, 0.5 to 1; default: {least}")
    option("--mirror", action="store_true", help="also find mirrored copies")
    options = parser.parse_args(arguments)
    if options.groups < 1:
        parser.error("--groups: expected 1 or more")
    method = {"name": options.method}
    if options.min_similarity is not None:
        method["min_similarity"] = options.min_similarity
    return options, check("dedup", DedupSettings, {"method": method, "mirror": options.mirror}, "options")


def _in_words(settings: DedupSettings) -> str:
    method = settings.method
    if isinstance(method, Aligned):
        words = f"aligned, similarity {method.min_similarity:g} or more"
    else:
        words = f"{method.hash} of {method.hash_size**2} bits, within {method.max_distance_bits}"
    return f"{words}; {'mirrored copies, too' if settings.mirror else 'no mirrored copies'}"


def check_folder(folder: Path) -> set[str]:
    """Make sure that a report can go here; return the files of an earlier report, which it replaces.

    Raises:
        CandidError: the folder holds anything that no audit wrote, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise CandidError(f"{folder}: is a file; expected a folder for the report, new or empty")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    ours = there & _listed(folder)
    if foreign := sorted(there - ours):
        raise CandidError(
            f"{folder}: holds files that no audit wrote ({foreign[0]!r}, {len(foreign)} in all); "
            "expected a new or empty folder: name one by --out"
        )
    return ours


def write_report(folder: Path, numbers: Mapping[str, Any], files: Mapping[str, str | pd.DataFrame]) -> None:
    """Replace an earlier report.

    Args:
        numbers: what audit.json says beside the list of files.
        files: file name -> text or table.
    """
    for name in sorted(check_folder(folder)):
        (folder / name).unlink()
    # The list goes first: a run that is cut short leaves nothing that the next one takes for somebody else's.
    write_json(folder / MANIFEST, {"made_by": MADE_BY, "files": sorted(files), **numbers})
    for name, content in files.items():
        if isinstance(content, str):
            write_text(folder / name, content)
        else:
            write_csv(folder / name, content)


def _listed(folder: Path) -> set[str]:
    """Names that the report in this folder lists as its own, itself included."""
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    if not isinstance(manifest, dict) or manifest.get("made_by") != MADE_BY:
        return set()
    files = manifest.get("files")
    return {MANIFEST, *map(str, files)} if isinstance(files, list) else set()


def summary(name: str, numbers: Mapping[str, Any], findings: Findings, report: str) -> str:
    """Write the counts as aligned lines."""
    images, grouped = numbers["images"], numbers["grouped_images"]
    lines = [
        ("images", images, f"in {numbers['classes']} classes" if numbers["classes"] else ""),
        ("skipped files", numbers["unreadable"], "unreadable, raw photographs or videos"),
        ("exact copies", numbers["exact_copies"], "repeat another image pixel for pixel"),
        ("near-duplicates", numbers["near_pairs"], "pairs"),
        ("too little contrast", numbers["low_contrast"], "not compared"),
        ("groups", numbers["groups"], f"with {grouped:,} images ({percent(grouped / images)})"),
        ("largest group", numbers["largest_group"], "images"),
        ("surplus", numbers["surplus_images"], "would go if one image of each group stayed"),
    ]
    if numbers["classes"]:
        note = f"groups, with {numbers['conflicting_images']:,} images"
        lines.append(("conflicting labels", numbers["conflicting_groups"], note))
    for part, copies in numbers["with_copy_in_train"].items():
        of = numbers["parts"][part]
        lines.append(
            (f"{part} leaks", copies, f"of {of:,} images ({percent(copies / of)}) have a copy in train")
        )
    width = max(len(f"{number:,}") for _, number, _ in lines)
    body = [f"{title:<20}{number:>{width},}  {note}".rstrip() for title, number, note in lines]
    known = [f"known set: {findings.known}"] if findings.known else []
    return "\n".join([name, *body, *known, f"report: {report}"])
