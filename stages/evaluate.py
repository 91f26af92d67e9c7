"""Write metrics/report.json, plots/predictions.csv and the pictures: python -m stages.evaluate"""

from __future__ import annotations

import os
import sys

from candid.backend import devices, use_backend
from candid.data.faces import class_order, load_images, read_faces, read_kept, read_splits
from candid.errors import run
from candid.evaluation import outputs, predict, table
from candid.evaluation.draw_curves import kept_epoch, read_history
from candid.evaluation.leaks import find_leaks, met_before
from candid.evaluation.model_file import check_classes, read_card
from candid.evaluation.params import EvaluateSettings, SplitSeen, TrainSeen
from candid.evaluation.provenance import provenance
from candid.evaluation.summary import summarise
from candid.settings import read_section

MODEL = "models/model.keras"
UNKNOWN = "the model started from {}, which doesn't say what faces it had met: their leaks are not counted"
FINGERPRINTED = ("data/faces.npy", "data/faces.csv", "data/kept.csv", "data/splits.csv", MODEL)


def main() -> None:
    """Read, predict, score, draw, write."""
    settings = read_section("evaluate", EvaluateSettings)
    training, splitting = read_section("train", TrainSeen), read_section("split", SplitSeen)
    images, splits, kept = load_images(), read_splits(), read_kept()
    test = table.test_faces(splits, read_faces(), images)
    classes = class_order(splits["label"])
    card = read_card(MODEL)
    check_classes(card, classes, MODEL)
    leaks = find_leaks(splits, kept, met_before(MODEL, images))
    history = read_history("plots/history.csv")
    kept_in = card.epoch or kept_epoch(history, training.monitor)

    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")  # the same probabilities on every run of one GPU too
    keras = use_backend(training.backend)
    model = predict.load_model(keras, MODEL, card)
    predict.check_input(model, card, images, settings.tta, MODEL)
    probabilities = predict.predict(model, images, test["id"].to_numpy(), settings.tta)

    found = table.as_predictions(test, classes, probabilities)
    summary = summarise(found, leaks, settings.bootstrap, settings.seed)
    seeds = {"split": splitting.seed, "train": training.seed, "evaluate": settings.seed}
    made = provenance(training.backend, devices(), seeds, FINGERPRINTED)
    if card.started_from:
        made["started_from"] = card.started_from.model_dump()
        if card.started_from.faces == "unknown":
            print(f"candid evaluate: {UNKNOWN.format(card.started_from.file)}", file=sys.stderr)
    outputs.write_pictures(found, summary, images, test["id"].to_numpy(), history, kept_in)
    outputs.write_tables(table.predictions_table(test, found), summary, made)


if __name__ == "__main__":
    run("evaluate", main)
