"""Score the model on the test set: python -m stages.evaluate.

Reads the faces, the split, the model and plots/history.csv; writes plots/predictions.csv, the pictures and
tables of plots/, metrics/report.json, metrics/metrics.json and metrics/provenance.json.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from candid.backend import devices, use_backend
from candid.data.faces import class_order, load_images, read_faces, read_kept, read_splits
from candid.errors import CandidError, run
from candid.evaluation.model_file import check_classes, load_model_file, read_card
from candid.evaluation.params import EvaluateSettings, Seen
from candid.evaluation.plots import read_history, write_plots
from candid.evaluation.predict import check_input, milliseconds, predict
from candid.evaluation.predictions import tabulate_test_set, with_predictions
from candid.evaluation.provenance import provenance
from candid.evaluation.report import evaluate, headline
from candid.files import read_json, write_csv, write_json
from candid.settings import read_section
from candid.text import clean
from candid.training.lineage import ancestor_digests

MODEL, PROVENANCE = "models/model.keras", "metrics/provenance.json"
FINGERPRINTED = ("data/faces.npy", "data/faces.csv", "data/kept.csv", "data/splits.csv", MODEL)


def main() -> None:
    """Run the stage in the project's folder."""
    settings = read_section("evaluate", EvaluateSettings)
    training, splitting = read_section("train", Seen), read_section("split", Seen)
    images, splits = load_images(), read_splits()
    classes, card = class_order(splits["label"]), read_card(MODEL)
    check_classes(card, classes, MODEL)
    test = tabulate_test_set(splits, read_faces(), read_kept(), images, ancestor_digests(MODEL))
    history = read_history("plots/history.csv")

    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")  # the same probabilities on every run of one GPU too
    use_backend(training.backend)
    model, card = load_model_file(MODEL)
    check_input(model, card, images, settings.tta, MODEL)
    probabilities = predict(model, images, test["id"].to_numpy(), settings.tta)
    table = with_predictions(test, classes, probabilities)
    report = evaluate(table, settings.bootstrap, settings.seed)

    seeds = {"split": splitting.seed, "train": training.seed, "evaluate": settings.seed}
    made = provenance(training.backend, devices(), seeds, FINGERPRINTED)
    if card.best_epoch:
        made["best_epoch"] = card.best_epoch
    if card.started_from:
        made["started_from"] = card.started_from.model_dump()
        if card.started_from.faces == "unknown":
            print(
                f"candid evaluate: the model started from {clean(card.started_from.file)}, which doesn't say "
                "what faces it was trained on: their leaks are not counted",
                file=sys.stderr,
            )
    write_plots(table, report, images, history, card.best_epoch, splits)
    write_csv("plots/predictions.csv", table)
    # No output of DVC's: it names the git revision, and a hash in dvc.lock that changed with every commit
    # could not show that a run gave the same bits.
    earlier: dict[str, Any] = {}
    with suppress(CandidError):  # there is none, or one with git's marks of a conflict
        earlier = read_json(PROVENANCE)
    if not made.items() <= earlier.items():  # a rerun keeps the time of before, and changes no file
        write_json(PROVENANCE, made | {"milliseconds": round(milliseconds(model, images, settings.tta), 3)})
    write_json("metrics/report.json", report)
    write_json("metrics/metrics.json", headline(report))


if __name__ == "__main__":
    run("evaluate", main)
