"""Is a set that was read the one that was published, by its pixels?"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
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

    Probes of classes and parts that are not `wanted` are not missing. Their files are read again from the
    archives in `raw`.
    """
    findings = (_compare(ingested, name, entry, raw, wanted) for name, entry in datasets.items())
    return [finding for finding in findings if finding]


def _compare(ingested: Ingested, name: str, entry: Dataset, raw: Path, wanted: Wanted) -> Finding | None:
    faces = ingested.faces[ingested.faces["dataset"] == name]
    if not len(faces) or not (entry.fingerprint or name == OWN):
        return None
    first, parts = int(faces["id"].iloc[0]), faces["part"].tolist()
    sources = [source.partition("#")[0] for source in faces["source"]]
    is_table = entry.reader == "fer2013_csv"
    with ExitStack() as stack:
        archive = cache(lambda: stack.enter_context(open_files(find(raw, entry.archives[0]))))  # takes time
        images = ImageSet(
            [""] * len(faces) if is_table else sources,
            faces["label"].tolist(),
            parts if name != OWN or any(parts) else None,
            ingested.images[first : first + len(faces)],  # a dataset's rows stand together
            None if is_table else lambda i: archive().read(sources[i]),
        )
        if entry.fingerprint is None:
            return recognise(read_known(), images)
        classes = [label for label in LABELS if wanted.skips(label, "", name) != "class"]
        return compare(read_known()[entry.fingerprint], images, classes, wanted.parts)


def as_json(findings: list[Finding]) -> dict[str, Any]:
    """Make the entry `published` of metrics/ingest.json: by known set, whether it is as published."""
    return {
        each.dataset: {"as_published": each.as_published}
        | {key: getattr(each, key) for key in ("probes", "compared", "changes")}
        for each in findings
    }
