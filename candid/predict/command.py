"""Find and label the faces in pictures, folders and videos: candid predict PATH...

Fills predictions/: a copy of each picture with its faces boxed and labelled, predictions.csv (or .jsonl) with
one row a face, and skipped.csv where something could not be used.
"""

from __future__ import annotations

from candid.errors import CandidError
from candid.predict.classifier import load_classifier
from candid.predict.detectors import make_detector
from candid.predict.look import look, nothing, summary
from candid.predict.options import read_options
from candid.predict.outputs import Folder, as_csv, as_json_lines, skipped_csv
from candid.predict.sources import pictures


def main(arguments: list[str] | None = None) -> None:
    """Open, find, label, write, tell."""
    options = read_options(arguments)
    found = pictures(options.paths, options.out, options.every)
    classifier = load_classifier(options.model, options.classes)
    detector = None if options.already_cropped else make_detector(options.detector)
    folder = Folder(options.out)
    results = look(found, classifier, detector, options.margin, folder, options.limit)
    if not results.rows:
        raise CandidError(nothing(results))
    csv = options.table == "csv"
    text = as_csv(results.rows, classifier.card.classes) if csv else as_json_lines(results.rows)
    table = folder.write_text(f"predictions.{options.table}", text)
    if results.skipped:
        folder.write_text("skipped.csv", skipped_csv(results.skipped))
    print(*summary(results), sep="\n")
    print(f"model: {classifier.describe()}")
    print(f"{len(results.rows)} faces in {results.pictures} pictures: {table}")
