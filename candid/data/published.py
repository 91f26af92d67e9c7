"""Is a set that was read the one that was published, by its pixels?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from candid.data.archives import open_files
from candid.data.catalogue import OWN, Dataset
from candid.data.copies import Finding, compare, recognise
from candid.data.faces import LABELS
from candid.data.fingerprints import FOLDER, ImageSet, read_fingerprint, read_known, stem
from candid.data.ingest import Ingested, find
from candid.data.readers import Wanted


def is_probe(datasets: dict[str, Dataset]) -> Callable[[str], bool]:
    """Return what says of a source whether a fingerprint of the datasets has a probe of its name."""
    known = [entry.fingerprint for entry in datasets.values() if entry.fingerprint]
    names = {name for dataset in known for name in read_fingerprint(FOLDER / f"{dataset}.csv").names}
    return lambda source: stem(source) in names


def compare_published(
    ingested: Ingested, datasets: dict[str, Dataset], raw: Path, wanted: Wanted
) -> list[Finding]:
    """Compare each known set among the datasets with its fingerprint; one's own pictures with all of them.

    Probes of classes and parts that are not `wanted` are not missing. Files that were not kept are read again
    from the archives in `raw`.
    """
    findings = []
    for name, entry in datasets.items():
        rows = [i for i, row in enumerate(ingested.rows) if row.dataset == name]
        if not rows or not (entry.fingerprint or name == OWN):
            continue
        faces = [ingested.rows[i] for i in rows]
        sources = [row.source.partition("#")[0] for row in faces]
        is_table = entry.reader == "fer2013_csv"
        has_parts = name != OWN or any(row.part for row in faces)
        with ExitStack() as stack:
            images = ImageSet(
                [""] * len(rows) if is_table else sources,
                [row.label for row in faces],
                [row.part for row in faces] if has_parts else None,
                ingested.images[rows[0] : rows[-1] + 1],  # a dataset's rows stand together
                None
                if is_table
                else _reader(ingested, rows[0], sources, find(raw, entry.archives[0]), stack),
            )
            if entry.fingerprint is None:
                finding = recognise(read_known(), images)
            else:
                classes = [label for label in LABELS if wanted.skips(label, "", name) != "class"]
                finding = compare(
                    read_fingerprint(FOLDER / f"{entry.fingerprint}.csv"), images, classes, wanted.parts
                )
        findings += [finding] if finding else []
    return findings


def _reader(
    ingested: Ingested, first: int, sources: list[str], path: Path, stack: ExitStack
) -> Callable[[int], bytes]:
    archive = cache(lambda: stack.enter_context(open_files(path)))  # a large one takes its time to open

    def read(i: int) -> bytes:
        kept = ingested.files.get(first + i)
        return archive().read(sources[i]) if kept is None else kept  # a probe under another name: rare

    return read


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
