"""Is a set that was read the one that was published, by its pixels?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from candid.data.archives import open_files
from candid.data.catalogue import OWN, Dataset
from candid.data.copies import Finding, compare, recognise
from candid.data.faces import LABELS
from candid.data.fingerprints import ImageSet, read_known
from candid.data.ingest import Ingested, find
from candid.data.readers import Wanted


def compare_published(
    ingested: Ingested, datasets: dict[str, Dataset], raw: Path, wanted: Wanted
) -> list[Finding]:
    """Compare each known set among the datasets with its fingerprint; one's own pictures with all of them.

    Args:
        ingested: what was read of the datasets.
        raw: folder of their archives; the files of the probes are read again, for their sizes.
        wanted: classes and parts in use: probes of others are not missing.
    """
    known = read_known()
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
        labels = [ingested.rows[i].label for i in rows]
        parts = [ingested.rows[i].part for i in rows] if has_parts else None
        if is_table:
            finding = _found(ImageSet([""] * len(rows), labels, parts, images), entry, known, wanted, name)
        else:
            with open_files(path) as files:
                faces = ImageSet(sources, labels, parts, images, lambda i: files.read(sources[i]))  # noqa: B023
                finding = _found(faces, entry, known, wanted, name)
        if finding is not None:
            findings.append(finding)
    return findings


def _found(
    faces: ImageSet, entry: Dataset, known: dict[str, Any], wanted: Wanted, name: str
) -> Finding | None:
    if entry.fingerprint is None:
        return recognise(known, faces)
    classes = [label for label in LABELS if wanted.skips(label, "", name) != "class"]
    return compare(known[entry.fingerprint], faces, classes, wanted.parts)


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
