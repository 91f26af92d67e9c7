"""Audit a folder, zip or tar of images: python -m tools.audit PATH [--out audit].

Prints a summary and fills a folder: index.html (everything, for the eye), duplicates.csv, groups.csv,
conflicts.csv, flat.csv, unreadable.csv, audit.json (the counts) and one sheet-*.png a band of similarity.
"""

from __future__ import annotations

from stages.errors import run
from tools.audit.findings import counts, find
from tools.audit.folder import check_folder, write_report
from tools.audit.images import read_images
from tools.audit.options import in_words, read_options, threshold
from tools.audit.page import Facts
from tools.audit.report import choose, pictures, writers
from tools.audit.sources import open_source
from tools.audit.summary import summary


def main() -> None:
    """Read, search, choose what to show, write."""
    options = read_options()
    check_folder(options.out)
    facts = Facts(options.path.resolve().name, in_words(options.search), threshold(options.search))
    with open_source(options.path, options.out) as source:
        read = read_images(source, options.labels)
        found = find(read, options.search)
        shown = choose(found, facts.threshold, options.pairs)
        images = pictures(source, read, shown)
    write_report(options.out, counts(found), writers(facts, found, shown, images))
    print(summary(facts.name, counts(found), found.warning, str(options.out / "index.html")))


if __name__ == "__main__":
    run("audit", main, hint="")
