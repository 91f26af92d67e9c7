"""Scores of a model file on the test part of a run, as evaluate computes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from candid.data.faces import class_order, load_images, read_faces, read_kept, read_splits
from candid.evaluation.model_file import check_classes, load_model_file
from candid.evaluation.predict import Images, check_input, predict
from candid.evaluation.predictions import tabulate_test_set, with_predictions
from candid.evaluation.report import evaluate
from candid.evaluation.scores import Floats

RESAMPLES, SEED = 2000, 0
VIEWS = ("none", "flip")
"""evaluate.tta that scores are given for; a prediction without it takes `none`."""


@dataclass(frozen=True)
class TestPart:
    """The test faces of a run: N, by rising id."""

    images: Images
    """All faces of the run."""
    faces: pd.DataFrame
    """N rows, as tabulate_test_set gives them."""
    classes: list[str]


def read_test_part(data: Path) -> TestPart:
    """Read a run's folder `data`; CandidError where something is missing or doesn't belong together."""
    images, splits = load_images(data / "faces.npy"), read_splits(data / "splits.csv")
    kept = read_kept(data / "kept.csv")
    faces = tabulate_test_set(splits, read_faces(data / "faces.csv"), kept, images)
    return TestPart(images, faces, class_order(splits["label"]))


def probabilities(path: Path, part: TestPart, tta: str = "none") -> Floats:
    """What the model file at `path` gives for the test faces: N x K."""
    model, card = load_model_file(path)
    check_classes(card, part.classes, path)
    check_input(model, card, part.images, tta, path)
    return predict(model, part.images, part.faces["id"].to_numpy(), tta)


def scores(given: Floats, part: TestPart) -> dict[str, Any]:
    """All that metrics/report.json holds, for these probabilities."""
    return evaluate(with_predictions(part.faces, part.classes, given), RESAMPLES, SEED)


def rounding(before: Floats, after: Floats) -> dict[str, float]:
    """What storing float16 changed: the largest change of a probability, and faces whose class changed."""
    return {
        "largest_change_of_a_probability": round(float(np.abs(before - after).max()), 6),
        "faces_whose_class_changed": int((before.argmax(axis=1) != after.argmax(axis=1)).sum()),
    }
