"""Score a saved model on any labelled set: candid evaluate MODEL DATA [--out FOLDER]

DATA is a folder, zip or tar of one folder a class, or a dataset of the catalogue.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from candid.backend import devices, threads
from candid.cli import Parser
from candid.data.archives import pack
from candid.data.catalogue import OWN, members, read_catalogue
from candid.data.download import MIRROR, obtain, read_mirror
from candid.data.faces import PARTS, load_images, read_faces
from candid.data.ingest import Ingested, assemble, read_all, refuse
from candid.data.readers import Item, Wanted, read_folders
from candid.duplicates.find import find_duplicates
from candid.errors import CandidError
from candid.evaluation.bootstrap import draw
from candid.evaluation.model_file import Card, read_card
from candid.evaluation.plots import accuracy_text, leak_warning, write_test_plots
from candid.evaluation.predict import TOGETHER, Images, check_input, milliseconds, predict
from candid.evaluation.predictions import as_predictions, tabulate_test_set, with_predictions
from candid.evaluation.report import evaluate
from candid.evaluation.scores import confusion_matrix
from candid.files import md5, write_csv, write_json
from candid.labelled import SAMPLE
from candid.predict.classifier import default_model, load_classifier
from candid.splits.split import components, kind_codes
from candid.text import clean, interval, percent, table
from candid.training.lineage import digests, seen_digests

RESAMPLES, WIDTH = 2000, 100
SHOWN_CLASSES = 10  # with more, the confusion matrix is only drawn
HEADER = ("class", "faces", "precision", "recall (95 %)", "F1", "AUC")


class Seen(NamedTuple):
    """What is known of the images that a model was trained on."""

    images: Images
    faces: pd.DataFrame  # those of them that are in the run's folder, as data/faces.csv has them
    line: str  # in words, what leaks are counted against


def main(arguments: list[str] | None = None) -> None:
    """Read the set, find leaks, predict, print."""
    options = _parse(arguments)
    card = read_card(options.model)
    ingested = read_set(options.data, card, options.part)
    refuse(ingested, 1.0, None)
    faces = ingested.faces
    known = faces["label"].isin(card.classes).to_numpy()
    if not known.any():
        names = ", ".join(sorted(set(faces["label"])))
        expected = f"expected some of {', '.join(card.classes)}"
        raise CandidError(f"{options.data}: faces of {clean(names)[:200]}; {expected}")
    notes = [f"{len(ingested.rejected):,} files can't be read, the first: {item.file}: {item.reason}"
             for item in ingested.rejected[:1].itertuples()]  # fmt: skip
    others = [f"{name} {count:,}" for name, count in faces["label"][~known].value_counts().items()]
    if others:
        notes.append(f"left out, of classes that the model does not have: {', '.join(others)}")
    images, faces = ingested.images[known], faces[known].assign(id=range(known.sum()))
    seen = read_seen(options.model, card, options.run)
    test = tabulate(faces, images, options.model, seen)
    classifier = load_classifier(options.model)
    check_input(classifier.model, card, images, options.tta, options.model)
    probabilities = predict(classifier.model, images, np.arange(len(images)), options.tta)
    predictions = with_predictions(test, card.classes, probabilities)
    report = evaluate(predictions, RESAMPLES)
    time = milliseconds(classifier.model, images, options.tta)
    notes.append(f"{time:.2f} ms a face, {TOGETHER} at once, on {threads()} threads ({devices()[0]})")
    name = f"{clean(str(options.data))}{f', part {options.part}' * (options.part is not None)}"
    print(classifier.describe(), *lines(name, report, predictions), sep="\n")
    print(*(line for text in (seen.line, *notes) for line in textwrap.wrap(clean(text), WIDTH)), sep="\n")
    if options.out:
        about = {"model": {"file": options.model.name, "md5": md5(options.model)}, "data": name}
        write_json(options.out / "report.json", about | {"seen": seen.line, "notes": notes} | report)
        write_csv(options.out / "predictions.csv", predictions)
        write_test_plots(predictions, report, images, options.out)
        print(f"report.json, predictions.csv and pictures, which show faces: {clean(str(options.out))}")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(prog="candid evaluate", description=__doc__)
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help=f"of train, such as {default_model()}")
    add("data", metavar="DATA", help="folder, zip, tar or dataset")
    add("--part", choices=PARTS, help="only this official set")
    add("--tta", choices=("none", "flip", "ten_crop"), default="none", help="default: none")
    run = "folder data of the run that trained the model, to find near-duplicates of its faces; default: data"
    add("--run", type=Path, default=Path("data"), metavar="FOLDER", help=run)
    add("--out", type=Path, metavar="FOLDER", help="for report.json, a table and pictures")
    return parser.parse_args(arguments)


def read_set(data: str, card: Card, part: str | None) -> Ingested:
    """Decode a set as `ingest` does, in the size and colour that the model was trained on."""
    catalogue = read_catalogue()
    parts, path = frozenset({part}) if part else None, Path(data)
    with tempfile.TemporaryDirectory() as scratch:
        items: Iterator[tuple[str, Item]]
        if path.exists():
            if path.is_file() and not zipfile.is_zipfile(path):
                pack(path, path := Path(scratch) / "folder.zip")  # a tar has no order to read it in
            items = ((OWN, item) for item in read_folders(OWN, catalogue[OWN], [path], Wanted(parts=parts)))
            size = path.stat().st_size if path.is_file() else 1 << 40
        elif data in catalogue:
            mirror = SAMPLE if data == "sample" else read_mirror(os.environ.get(MIRROR))
            entries, raw, entry = members(data, catalogue), Path(scratch), catalogue[data]
            for archive in (archive for one in entries.values() for archive in one.archives):
                obtain(archive, raw, mirror)
            items = read_all(entries, raw, Wanted(None, parts, frozenset(entry.drop), entry.every_row))
            size = sum(file.stat().st_size for file in raw.iterdir())
        else:
            names = ", ".join(name for name in catalogue if name != OWN)
            raise CandidError(f"{data}: no such folder, zip or tar; expected one, or a dataset: {names}")
        shown = tqdm(items, desc="read", unit=" files", disable=None)
        return assemble(shown, card.image_size, card.color, size)


def read_seen(model: Path, card: Card, run: Path) -> Seen:
    """Find what a model has seen: the digests in its file, and the faces themselves where a run has them."""
    known = seen_digests(model)
    nothing = Seen(np.zeros((0,), np.uint8), pd.DataFrame(), "")
    if known is None:
        return nothing._replace(line="Leaks: unknown, as the model's file does not say what it has seen.")
    line = f"Leaks: exact copies of the {len(known):,} faces that the model has seen"
    if card.started_from and card.started_from.faces == "unknown":
        line += f" (without those of {clean(card.started_from.file)}, which it started from)"
    if (run / "faces.npy").is_file():
        images, faces = load_images(run / "faces.npy"), read_faces(run / "faces.csv")
        if len(images) != len(faces):
            raise CandidError(f"{run}: faces.npy and faces.csv do not belong together; dvc repro")
        if len(ids := np.flatnonzero(np.isin(digests(images), known))):
            line += f", near-duplicates and subjects of the {len(ids):,} of them in {clean(str(run))}."
            return Seen(images[ids], faces.iloc[ids], line)
    return nothing._replace(line=f"{line}; for near-duplicates, too: --run, the data of its run.")


def tabulate(faces: pd.DataFrame, images: Images, model: Path, seen: Seen) -> pd.DataFrame:
    """Make the test set's table, with leaks and groups of related faces; the faces seen are its training."""
    count = len(faces)
    together = np.concatenate([images, seen.images]) if len(seen.images) else images
    every = pd.concat([faces, seen.faces], ignore_index=True).assign(id=range(len(together)))
    kept = pd.DataFrame({"id": every["id"], "group": find_duplicates(together).groups})
    group = components(len(every), kind_codes(every, kept).values())
    splits = every[["id", "label"]].assign(part=["test"] * count + ["train"] * len(seen.images), group=group)
    return tabulate_test_set(splits, every, kept, together, seen_digests(model))


def lines(name: str, report: dict[str, Any], predictions: pd.DataFrame) -> Iterator[str]:
    """The scores as text of at most 100 columns."""
    groups = "" if report["groups"] == report["faces"] else f" in {report['groups']:,} groups of related ones"
    yield f"{name}: {report['faces']:,} faces{groups}"
    average = report["macro"]
    macro = percent(average["f1"]) + interval(average.get("f1_low"), average.get("f1_high"))
    yield f"accuracy {accuracy_text(report)}, macro F1 {macro}, calibration error {percent(report['ece'])}"
    if warning := leak_warning(report):
        yield warning
    tested, rows = as_predictions(predictions), []
    drawn = draw(tested)
    for label, one in report["per_class"].items():
        cells = [percent(one[key]) if key in one else "–" for key in ("precision", "recall", "f1", "auc")]
        if one["support"] and (bounds := drawn.bounds(f"per_class.{label}.recall")):
            cells[1] += interval(*bounds)
        rows.append((clean(label), f"{one['support']:,}", *cells))
    yield from ("", *table(HEADER, rows))
    classes = list(report["per_class"])
    if len(classes) <= SHOWN_CLASSES:
        counts = confusion_matrix(tested.actual, tested.predicted, len(classes)).tolist()
        body = [[clean(label), *map(str, row)] for label, row in zip(classes, counts, strict=True)]
        yield from ("", *table(["actual \\ predicted", *(clean(label)[:8] for label in classes)], body))
    yield ""
