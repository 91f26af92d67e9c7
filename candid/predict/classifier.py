"""A model file, checked before Keras opens it, and the probabilities that it gives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import candid
from candid.backend import use_backend
from candid.evaluation.model_file import Card, load_model_file, read_card
from candid.evaluation.predict import Images, check_input, predict
from candid.evaluation.scores import Floats

SHIPPED = Path("models/pretrained/ferplus.keras")  # in a checkout; the wheel has the folder as candid/models


def default_model() -> Path:
    """Return the path of the model that ships: in the folder where we are, else beside or in the package."""
    package = Path(candid.__file__).parent
    places = (SHIPPED, package.parent / SHIPPED, package / "models" / SHIPPED.name)
    return next(filter(Path.is_file, places), SHIPPED)


class Classifier(NamedTuple):
    """A loaded model and what its file says about it."""

    path: Path
    card: Card
    model: Any

    def describe(self) -> str:
        """Which model this is, in one line."""
        faces = f"{self.card.image_size} px {self.card.color}"
        return f"{self.path} ({self.model.name}, {len(self.card.classes)} classes, {faces})"

    def probabilities(self, faces: Images) -> Floats:
        """N faces of the card's size and colour in, N x K out, by the function that evaluate uses."""
        return predict(self.model, faces, np.arange(len(faces)), "none", quiet=True)


def load_classifier(path: Path) -> Classifier:
    """Load a model of train's by evaluate's rules: no code of the file's is run. CandidError: it is none."""
    read_card(path)  # before the backend takes its seconds
    use_backend(os.environ.get("KERAS_BACKEND") or "tensorflow")
    model, card = load_model_file(path)
    shape = (1, card.image_size, card.image_size, 3)[: 4 if card.color == "rgb" else 3]
    check_input(model, card, np.zeros(shape, np.uint8), "none", path)
    return Classifier(Path(path), card, model)
