"""What training reads, put into arrays: the training faces first, the validation faces behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from candid.data.faces import class_order
from candid.errors import CandidError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrainingSet:
    """Faces of two parts; no test face is in here."""

    faces: NDArray[np.uint8]
    """N x H x W x C, C 1 (grey) or 3 (RGB): `train` training faces, then the validation faces."""
    labels: NDArray[np.int32]
    """N, each an index into `classes`."""
    classes: list[str]
    """In the order of the model's outputs."""
    class_weights: NDArray[np.float32]
    """One a class."""
    train: int
    """How many of the faces are training faces."""

    @property
    def validation_labels(self) -> NDArray[np.int32]:
        """Labels of the validation faces."""
        return self.labels[self.train :]


def training_set(images: NDArray[np.uint8], splits: pd.DataFrame, weights: Any) -> TrainingSet:
    """Pick the training and validation faces.

    Args:
        images: N x H x W or N x H x W x 3.
        splits: id, label, part (data/splits.csv).
        weights: class -> weight (data/class_weights.json).

    Raises:
        CandidError: a part is empty, an id is not in the array, or the weights don't fit the classes.
    """
    classes = class_order(splits["label"])
    if len(classes) < 2:
        raise CandidError(f"data/splits.csv: {len(classes)} classes; expected at least 2")
    ids = {part: splits.loc[splits["part"] == part, "id"].to_numpy() for part in ("train", "validation")}
    for part, found in ids.items():
        if len(found) == 0:
            raise CandidError(
                f"data/splits.csv: no {part} faces; give the part a share in params.yaml: split.ratios"
            )
    chosen = np.concatenate([ids["train"], ids["validation"]])
    if chosen.min() < 0 or chosen.max() >= len(images):
        raise CandidError(f"data/splits.csv: id {chosen.max()}, but data/faces.npy has {len(images)} faces")
    table = splits.set_index("id")["label"]
    index = {name: i for i, name in enumerate(classes)}
    labels = np.array([index[name] for name in table.loc[chosen]], np.int32)
    faces = np.ascontiguousarray(images[chosen])
    return TrainingSet(
        faces=faces if faces.ndim == 4 else faces[..., None],
        labels=labels,
        classes=classes,
        class_weights=_weights(classes, weights),
        train=len(ids["train"]),
    )


def _weights(classes: list[str], weights: Any) -> NDArray[np.float32]:
    if not isinstance(weights, dict):
        raise CandidError("data/class_weights.json: expected one weight a class")
    for name in classes:
        if name not in weights:
            raise CandidError(
                f"data/class_weights.json: no weight for class {name!r}; expected one for each class"
            )
        value = weights[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise CandidError(f"data/class_weights.json: {name} = {value!r}: expected a number of at least 0")
    return np.array([weights[name] for name in classes], np.float32)
