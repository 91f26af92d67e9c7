"""Where evaluate writes what."""

from __future__ import annotations

from typing import Any

import pandas as pd

from candid.evaluation.draw_confusion import confusion_picture
from candid.evaluation.draw_curves import curves_picture
from candid.evaluation.draw_mistakes import COLUMNS, MOST_ROWS, mistakes_picture, worst
from candid.evaluation.draw_reliability import reliability_picture
from candid.evaluation.draw_roc import roc_picture
from candid.evaluation.picture import save_picture
from candid.evaluation.scores import Integers
from candid.evaluation.summary import Predictions, headline
from candid.evaluation.views import Images
from candid.files import write_csv, write_json


def write_pictures(
    found: Predictions,
    summary: dict[str, Any],
    images: Images,
    ids: Integers,
    history: pd.DataFrame,
    kept_epoch: int | None,
) -> None:
    """Draw plots/*.png; `ids` are the rows of `images` that `found` is about."""
    wrong = worst(found)
    faces = images[ids[wrong[: COLUMNS * MOST_ROWS]]]
    save_picture("plots/confusion.png", *confusion_picture(found, summary))
    save_picture("plots/roc.png", *roc_picture(found, summary))
    save_picture("plots/reliability.png", *reliability_picture(found, summary))
    save_picture("plots/curves.png", *curves_picture(history, kept_epoch))
    save_picture("plots/mistakes.png", *mistakes_picture(found, faces, wrong), colors=None)


def write_tables(predictions: pd.DataFrame, summary: dict[str, Any], made: dict[str, Any]) -> None:
    """Write predictions, what made them, and last of all the metrics.

    metrics/provenance.json is no output of DVC's: it names the git revision, and a hash in dvc.lock
    that changed with every commit could not show that a run gave the same bits.
    """
    write_csv("plots/predictions.csv", predictions)
    write_json("metrics/provenance.json", made)
    write_json("metrics/report.json", summary)
    write_json("metrics/metrics.json", headline(summary))
