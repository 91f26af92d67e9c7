"""Is a set that was read the one that was published, by its pixels?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from candid.data.archives import Files, open_files
from candid.data.catalogue import OWN, Dataset
from candid.data.copies import Finding, compare, recognise
from candid.data.faces import LABELS
from candid.data.fingerprints import FOLDER, ImageSet, read_fingerprint, read_known, stem
from candid.data.ingest import Ingested, find
from candid.data.readers import Wanted


def is_probe(datasets: dict[str, Dataset]) -> Callable[[str], bool]:
    """Return what says of a source whether a fingerprint of the datasets has a probe of its name."""
    names = {
        name
        for entry in datasets.values()
        if entry.fingerprint
        for name in read_fingerprint(FOLDER / f"{entry.fingerprint}.csv").names
    }
    return lambda source: stem(source) in names


def compare_published(
    ingested: Ingested, datasets: dict[str, Dataset], raw: Path, wanted: Wanted
) -> list[Finding]:
    """Compare each known set among the datasets with its fingerprint; one's own pictures with all of them.

    Args:
        ingested: what was read of the datasets.
        raw: folder of their archives, from which files that were not kept are read again, for their sizes.
        wanted: classes and parts in use: probes of others are not missing.
    """
    findings = []
    for name, entry in datasets.items():
        rows = [i for i, row in enumerate(ingested.rows) if row.dataset == name]
        if not rows or not (entry.fingerprint or name == OWN):
            continue
        path = find(raw, entry.archives[0])
        is_table = entry.reader == "fer2013_csv"
        sources = [ingested.rows[i].source.partition("#")[0] for i in rows]
        has_parts = name != OWN or any(ingested.rows[i].part for i in rows)
        images = ingested.images[rows[0] : rows[-1] + 1]  # a dataset's rows stand together
        names = [""] * len(rows) if is_table else sources
        labels = [ingested.rows[i].label for i in rows]
        parts = [ingested.rows[i].part for i in rows] if has_parts else None
        with ExitStack() as stack:
            read = None if is_table else _reader(ingested, rows[0], sources, path, stack)
            finding = _found(ImageSet(names, labels, parts, images, read), entry, wanted, name)
        if finding is not None:
            findings.append(finding)
    return findings


def _reader(
    ingested: Ingested, first: int, sources: list[str], path: Path, stack: ExitStack
) -> Callable[[int], bytes]:
    opened: list[Files] = []

    def read(i: int) -> bytes:
        if (kept := ingested.files.get(first + i)) is not None:
            return kept
        if not opened:  # a probe under another name: rare, and opening a large archive takes its time
            opened.append(stack.enter_context(open_files(path)))
        return opened[0].read(sources[i])

    return read


def _found(faces: ImageSet, entry: Dataset, wanted: Wanted, name: str) -> Finding | None:
    if entry.fingerprint is None:
        return recognise(read_known(), faces)
    classes = [label for label in LABELS if wanted.skips(label, "", name) != "class"]
    return compare(read_fingerprint(FOLDER / f"{entry.fingerprint}.csv"), faces, classes, wanted.parts)


def as_json(findings: list[Finding]) -> dict[str, Any]:
    """Make the entry `published` of metrics/ingest.json: by known set, whether it is as published."""
    return {
        finding.dataset: {
            "as_published": finding.as_published,
            "probes": finding.probes,
            "compared": finding.compared,
            "changes": finding.changes,
        }
        for finding in findings
    }
