"""Audit any set of images: candid audit PATH [--against OLD] [--out audit].

Prints a summary and fills a folder: index.html (everything, for the eye), tables (duplicates.csv, groups.csv,
conflicts.csv, issues.csv, truth.csv with a 0/1 column a class, ...), remove.txt, samples.json (FiftyOne's)
and audit.json (the counts).
Status 1 where --max-leak is exceeded, 2 for a fault. docs/audit.md says more.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from candid.audit.addresses import open_address
from candid.audit.cluster import connect, read_and_search
from candid.audit.findings import KEEP, Findings, ages, audit_images, counts, leaks, samples, surplus, tables
from candid.audit.images import read_images, thumbnails
from candid.audit.index import Index
from candid.audit.measure import drawn_pairs, judged_table, planted_recall, precision, read_verdicts
from candid.audit.page import page, sections
from candid.audit.sources import COLUMNS, NEW, Source, join, open_source
from candid.cli import Parser
from candid.data.faces import PARTS
from candid.duplicates.settings import Aligned, DedupSettings
from candid.errors import CandidError
from candid.files import files_there, read_json, write_csv, write_json, write_text
from candid.settings import check
from candid.text import clean, interval, percent

MANIFEST = "audit.json"
MADE_BY = "candid audit"


def main(arguments: list[str] | None = None) -> int:
    """Read, search, measure, choose what to show, write."""
    options, settings = read_options(arguments)
    check_folder(options.out)
    verdicts = read_verdicts(options.judged)
    index = Index(options.index, settings) if options.index else None
    name = clean(Path(options.path).resolve().name)
    with ExitStack() as stack:
        source = stack.enter_context(_open(options.path, options))
        if options.against:
            name += f" against {clean(Path(options.against).resolve().name)}"
            old = stack.enter_context(_open(options.against, options))
            source = join(source, old)
        if options.columns and not source.listed:
            raise CandidError(f"{options.path}: --columns has no effect; expected a CSV, parquet or npz file")
        duplicates = None
        if options.engine == "ray":
            connect()
            read, duplicates = read_and_search(source, settings.method, settings.mirror)
        else:
            read = read_images(source, index)
        files = read.images["file"].tolist()
        modified = ages(source.files, files) if options.keep == "oldest" else None
        if index:
            duplicates = index.search(read, settings)
        findings = audit_images(read, settings, options.against is not None, verdicts, duplicates)
        numbers = counts(findings)
        if options.max_leak is not None and not leaks(numbers):
            without = "--max-leak has no effect without both train and a test or validation set"
            raise CandidError(f"{options.path}: {without}; expected such folders or a column, or --against")
        recall = planted_recall(source.files, findings, read, settings, options.plant)
        drawn = drawn_pairs(findings, verdicts)
        shown = sections(findings, drawn, options.groups)
        rows = sorted({row for section in shown for group in section.groups for row in group.ids})
        large = thumbnails(source.files, [files[row] for row in rows])
        removed = surplus(findings.images, options.keep, options.protect, modified)
        tagged = samples(findings, source.files, options.out, removed)
    pictures = {row: large.get(files[row]) or Image.fromarray(read.pixels[row]) for row in rows}
    search = "; ".join(f"{key} {value}" for key, value in settings.method.model_dump().items())
    search += "; mirrored copies, too" if settings.mirror else "; no mirrored copies"
    html = page(name, search, findings, numbers, shown, pictures, settings.method, recall, drawn)
    judged = precision(drawn)
    numbers |= {"to_remove": int(removed.sum()), "precision": judged._asdict() if judged else None}
    numbers["recall"] = {kind: share._asdict() for kind, share in recall.items()}
    strip = len(NEW) + 1 if options.against else 0
    made: dict[str, Any] = {**tables(findings, removed), "index.html": html}
    made["judged.csv"] = judged_table(drawn, verdicts)
    made["remove.txt"] = "".join(f"{name[strip:]}\n" for name in findings.images["file"][removed])
    if tagged:
        made["samples.json"] = json.dumps({"samples": tagged})  # ASCII: a path need not be UTF-8
    write_report(options.out, numbers, made)
    if index:
        index.write()
    for warning in findings.warnings:
        print(f"candid audit: warning: {warning}", file=sys.stderr)
    print(summary(name, numbers, findings, clean(str(options.out / "index.html"))))
    leaked = sum(copies for _, _, copies, _ in leaks(numbers))
    if options.max_leak is not None and leaked > options.max_leak:
        limit = f"--max-leak allows {options.max_leak:,}"
        print(f"candid audit: {leaked:,} images have a copy across sets; {limit}", file=sys.stderr)
        return 1
    return 0


def _open(path: Path | str, options: argparse.Namespace) -> AbstractContextManager[Source]:
    if isinstance(path, str):
        return open_address(path, options.labels)
    return open_source(path, options.out, options.labels, options.columns)


def _place(text: str) -> Path | str:
    """A path, or an address of another file system (s3://bucket/folder), which a path would shorten."""
    return text if "://" in text else Path(text)


def read_options(arguments: list[str] | None = None) -> tuple[argparse.Namespace, DedupSettings]:
    """Parse the command line; an impossible value of a search option is a CandidError."""
    parser = Parser(
        prog="candid audit",
        description="Find copies, near-duplicates, conflicting labels and other issues in any set of images.",
        epilog="The report shows pictures from the set: treat it with the same care as the set itself."
        " Nothing is deleted or moved. Status 1: more copies than --max-leak; 2: a fault.",
    )
    option = parser.add_argument
    kinds = "folder, zip or tar of images; CSV, parquet or COCO JSON; folder of parquet; npz"
    option("path", type=_place, metavar="PATH", help=kinds)
    option("--against", type=_place, metavar="OLD", help="another set: is anything of PATH in OLD")
    option("--out", type=Path, default=Path("audit"), help="folder of the report; default: audit")
    example = "of a table: image=file,label=class,split=fold"
    option(
        "--engine", choices=("local", "ray"), default="local", help="ray: on a Ray cluster; default: local"
    )
    option("--columns", default="", metavar="KEY=NAME,...", help=example)
    option("--no-labels", dest="labels", action="store_false", help="folders are not classes")
    option("--groups", type=int, default=20, help="shown of each kind; default: 20")
    option("--method", choices=("aligned", "hash"), default="aligned", help="default: aligned")
    least = Aligned().min_similarity
    option("--min-similarity", type=float, help=f"of the method aligned, 0.5 to 1; default: {least}")
    option("--mirror", action="store_true", help="also find mirrored copies")
    option("--keep", choices=KEEP, default=KEEP[0], help="what stays of a group; default: largest")
    option("--protect", default="test", metavar="SETS", help="these lose nothing: train,validation,test")
    option("--index", type=Path, metavar="FILE", help="kept, so that the next audit costs what was added")
    option("--judged", type=Path, metavar="CSV", help="verdicts on pairs: judged.csv of an earlier report")
    option("--plant", type=int, default=100, metavar="N", help="images to copy, for the recall; default: 100")
    option("--max-leak", type=int, metavar="N", help="status 1 where more test images have a copy in train")
    options = parser.parse_args(arguments)
    for name, low in (("groups", 1), ("plant", 0), ("max_leak", 0)):
        if (getattr(options, name) or 0) < low:
            parser.error(f"--{name.replace('_', '-')}: expected {low} or more")
    if options.index and options.out.resolve() in options.index.resolve().parents:
        parser.error(f"--index: {options.index} is in the folder of the report; expected another place")
    far = [str(path) for path in (options.path, options.against) if isinstance(path, str)]
    if far and options.engine == "local":
        parser.error(f"{far[0]!r}: expected a path, or --engine ray")
    if options.engine == "ray" and options.method != "aligned":
        parser.error("--engine ray: expected --method aligned")
    if options.engine == "ray" and options.index:
        parser.error("--index: is read on one machine; expected it without --engine ray")
    options.protect = list(filter(None, options.protect.split(",")))
    if wrong := [name for name in options.protect if name not in PARTS]:
        parser.error(f"--protect: {wrong[0]!r}; expected some of {','.join(PARTS)}")
    options.columns = dict(each.partition("=")[::2] for each in filter(None, options.columns.split(",")))
    if wrong := [key for key, name in options.columns.items() if key not in COLUMNS or not name]:
        parser.error(f"--columns: {wrong[0]!r}; expected {'=NAME,'.join(COLUMNS)}=NAME, or some of them")
    method = {"name": options.method}
    if options.min_similarity is not None:
        method["min_similarity"] = options.min_similarity
    return options, check("dedup", DedupSettings, {"method": method, "mirror": options.mirror}, "options")


def check_folder(folder: Path) -> set[str]:
    """Return the files of an earlier report, which the next one replaces; CandidError, as files_there."""
    manifest: Any = read_json(folder / MANIFEST) if (folder / MANIFEST).is_file() else None
    made_here = isinstance(manifest, dict) and manifest.get("made_by") == MADE_BY
    return files_there(folder, [MANIFEST, *map(str, manifest["files"])] if made_here else [], "audit")


def write_report(folder: Path, numbers: Mapping[str, Any], files: Mapping[str, str | pd.DataFrame]) -> None:
    """Replace an earlier report: `numbers` go into audit.json, `files` are texts or tables by their names."""
    for name in sorted(check_folder(folder)):
        (folder / name).unlink()
    # The list goes first: a run that is cut short leaves nothing that the next one takes for somebody else's.
    write_json(folder / MANIFEST, {"made_by": MADE_BY, "files": sorted(files), **numbers})
    for name, content in files.items():
        if isinstance(content, str):
            write_text(folder / name, content)
        else:
            write_csv(folder / name, content)


def summary(name: str, numbers: Mapping[str, Any], findings: Findings, report: str) -> str:
    """Write the counts as aligned lines, and how well the search did, with the kinds that it found least."""
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
        ("to remove", numbers["to_remove"], "listed in remove.txt: protected sets lose nothing"),
    ]
    if numbers["classes"]:
        note = f"groups, with {numbers['conflicting_images']:,} images"
        lines.append(("conflicting labels", numbers["conflicting_groups"], note))
    for name_of, of, copies, other in leaks(numbers):
        share = f"of {of:,} images ({percent(copies / of)}) have a copy in {other}"
        lines.append((f"{name_of} leaks", copies, share))
    if some := {kind: n for kind, n in numbers["issues"].items() if n and kind != "low_information"}:
        note = ", ".join(f"{n:,} {kind.replace('_', ' ')}" for kind, n in some.items())
        lines.append(("other issues", sum(some.values()), note))
    width = max(len(f"{number:,}") for _, number, _ in lines)
    body = [f"{title:<20}{number:>{width},}  {note}".rstrip() for title, number, note in lines]
    said = [f"known set: {findings.known}"] if findings.known else []
    if recall := numbers["recall"]:
        hits, cases = (sum(share[key] for share in recall.values()) for key in ("hits", "cases"))
        worst = sorted((one["hits"] / one["cases"], kind.split(" (")[0]) for kind, one in recall.items())[:2]
        least = ", ".join(f"{kind} {percent(share)}" for share, kind in worst)
        said.append(f"recall: {percent(hits / cases)} of {cases:,} planted copies; least: {least}")
    if share := numbers["precision"]:
        value = f"{percent(share['hits'] / share['cases'])}{interval(share['low'], share['high'])}"
        said.append(f"precision: {value}, of {share['cases']} judged pairs")
    return "\n".join([name, *body, *said, f"report: {report}"])
