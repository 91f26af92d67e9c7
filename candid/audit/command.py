"""Audit a folder, zip or tar of images: candid audit PATH [--out audit].

Prints a summary and fills a folder: index.html (everything, for the eye), duplicates.csv, groups.csv,
conflicts.csv, flat.csv, unreadable.csv, audit.json (the counts) and one sheet-*.png a band of similarity.
"""

from __future__ import annotations

from candid.audit.findings import counts, find
from candid.audit.folder import check_folder, write_report
from candid.audit.images import read_images
from candid.audit.options import in_words, read_options, threshold
from candid.audit.page import Facts
from candid.audit.report import choose, pictures, writers
from candid.audit.summary import summary
from candid.data.archives import open_files


def main(arguments: list[str] | None = None) -> None:
    """Read, search, choose what to show, write."""
    options = read_options(arguments)
    check_folder(options.out)
    facts = Facts(options.path.resolve().name, in_words(options.search), threshold(options.search))
    with open_files(options.path, options.out) as source:
        read = read_images(source, options.labels)
        found = find(read, options.search)
        shown = choose(found, facts.threshold, options.pairs)
        images = pictures(source, read, shown)
    write_report(options.out, counts(found), writers(facts, found, shown, images))
    print(summary(facts.name, counts(found), found.warning, str(options.out / "index.html")))
