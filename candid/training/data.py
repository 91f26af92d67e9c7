"""What training reads, put into arrays, and the order in which an epoch visits it.

Every random choice follows from the seed, what it is for, and the epoch; nothing is carried over, so that a
resumed run draws what an undisturbed one draws.
"""

from __future__ import annotations

import hashlib
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
    """Training and validation faces; no test face is in here."""

    faces: NDArray[np.uint8]  # N x H x W x C, C 1 (grey) or 3 (RGB): `train` training faces, then validation
    labels: NDArray[np.int32]  # N, each an index into `classes`
    classes: list[str]  # in the order of the model's outputs
    class_weights: NDArray[np.float32]  # one a class
    train: int  # how many of the faces are training faces
    targets: NDArray[np.float32] | None = None  # N x classes, rows add up to 1; None: the labels

    @property
    def validation_labels(self) -> NDArray[np.int32]:
        """Labels of the validation faces."""
        return self.labels[self.train :]


def training_set(
    images: NDArray[np.uint8], splits: pd.DataFrame, weights: Any, votes: pd.DataFrame | None = None
) -> TrainingSet:
    """Pick the training and validation faces of `images`, N x H x W or N x H x W x 3.

    `splits`: id, label, part (data/splits.csv); `weights`: class -> weight (data/class_weights.json);
    `votes`: id and the raters' votes for each class (data/votes.csv), which training faces get as targets.
    CandidError: there are no training or no validation faces, an id is not in the array, or the weights
    don't fit the classes.
    """
    classes = class_order(splits["label"])
    if len(classes) < 2:
        raise CandidError(f"data/splits.csv: {len(classes)} classes; expected at least 2")
    ids = {name: splits.loc[splits["part"] == name, "id"].to_numpy() for name in ("train", "validation")}
    for name, rows in ids.items():
        if len(rows) == 0:
            raise CandidError(f"data/splits.csv: no {name} faces; give them a share in split.ratios")
    chosen = np.concatenate([ids["train"], ids["validation"]])
    if chosen.min() < 0 or chosen.max() >= len(images):
        raise CandidError(f"data/splits.csv: id {chosen.max()}, but data/faces.npy has {len(images)} faces")
    labels = splits.set_index("id")["label"].loc[chosen].map(classes.index).to_numpy(np.int32)
    faces = np.ascontiguousarray(images[chosen])
    return TrainingSet(
        faces=faces if faces.ndim == 4 else faces[..., None],
        labels=labels,
        classes=classes,
        class_weights=_weights(classes, weights),
        train=len(ids["train"]),
        targets=None if votes is None else _targets(votes, ids["train"], labels, classes),
    )


def _targets(
    votes: pd.DataFrame, train: NDArray[np.int64], labels: NDArray[np.int32], classes: list[str]
) -> NDArray[np.float32]:
    """Shares of the votes for training faces, the label for validation faces: N x classes.

    As for the majority (Barsoum et al. 2016) a vote that no second rater shares does not count.
    """
    targets = np.eye(len(classes), dtype=np.float32)[labels]
    counted = votes.set_index("id").reindex(index=train, columns=classes).fillna(0).to_numpy(np.float32)
    counted[counted <= 1] = 0
    sums = counted.sum(axis=1, keepdims=True)
    if not sums.all():
        face = train[int((sums[:, 0] == 0).argmax())]
        expected = "expected labels, or a dataset with raters' votes (ferplus)"
        raise CandidError(f"params.yaml: train.targets: data/votes.csv has none for face {face}; {expected}")
    targets[: len(train)] = counted / sums
    return targets


def _weights(classes: list[str], weights: Any) -> NDArray[np.float32]:
    values = {name: weights.get(name) if isinstance(weights, dict) else None for name in classes}
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            expected = "expected a number of at least 0 for each class"
            raise CandidError(f"data/class_weights.json: {name} = {value!r}: {expected}")
    return np.array(list(values.values()), np.float32)


def derive(seed: int, *purpose: str | int) -> int:
    """Return a seed of 31 bits for one purpose; different purposes give unrelated seeds."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") >> 1


def epoch_order(count: int, batch_size: int, seed: int, epoch: int) -> NDArray[np.int32]:
    """Return the order in which an epoch visits `count` faces: a permutation, filled up to whole batches.

    The last batch is filled from the permutation's start: a batch of one or two faces would spoil batch norm,
    and a second batch size would be compiled a second time.
    """
    order = np.random.default_rng(derive(seed, "order", epoch)).permutation(count)
    whole = -(-count // batch_size) * batch_size
    return np.resize(order, whole).astype(np.int32)
