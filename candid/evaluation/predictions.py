"""plots/predictions.csv: one row a test face, and all that every metric is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.data.faces import digest
from candid.errors import CandidError
from candid.evaluation.scores import Floats, Integers
from candid.files import read_csv
from candid.text import csv_cell
from candid.training.lineage import Digests, digests

Images = NDArray[np.uint8]
DIGITS = 6  # of a probability in tables: log loss and ranks of rare classes live in small ones
PREFIX = "p_"  # of the columns that hold the probability of a class
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Predictions:
    """What was predicted for N faces over K classes."""

    classes: Sequence[str]
    actual: Integers  # class number of each face: N
    probabilities: Floats  # N x K
    groups: Integers  # faces with the same group are not independent: N

    @property
    def predicted(self) -> Integers:
        """Class of the largest probability, the first of equal ones: N."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @property
    def confidence(self) -> Floats:
        """Probability of the predicted class: N."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def truth(self) -> Mask:
        """Whether a face is of a class: N x K."""
        return np.asarray(np.arange(len(self.classes)) == self.actual[:, None])


class Leaks(NamedTuple):
    """What relates N test images to others; columns of the table."""

    leaked: Mask  # a related image (same subject, sequence or duplicate, or over others) was trained on
    copied: Mask  # a near-duplicate was trained on; always leaked too
    validated: Mask  # not leaked, but a related image is in the validation set, which chose the epoch


def read_predictions(path: str | Path = "plots/predictions.csv") -> pd.DataFrame:
    """Read the table that evaluate writes; CandidError where it is not one."""
    types = dict.fromkeys(("leaked", "copied", "validated"), "bool")
    return read_csv(path, ("group", *types, "actual", "predicted"), {"group": np.int64, **types})


def as_predictions(table: pd.DataFrame) -> Predictions:
    """Take the arrays out of a table of predictions; the classes are in the order of its columns.

    CandidError: no column of probabilities or no face, a class that has no column, or a prediction that is
    not the class of the largest probability.
    """
    columns = [str(name) for name in table if str(name).startswith(PREFIX)]
    classes = [name.removeprefix(PREFIX) for name in columns]
    if not classes or "actual" not in table or table.empty:
        raise CandidError(f"predictions: expected columns actual and {PREFIX}<class>, and at least one face")
    actual = pd.Index(classes).get_indexer(pd.Index(table["actual"])).astype(np.int64)
    if (actual < 0).any():
        name = table["actual"].iloc[int((actual < 0).argmax())]
        raise CandidError(f"predictions: class {name!r} has no column; expected one of {', '.join(columns)}")
    try:
        probabilities = table[columns].to_numpy(np.float64)
    except ValueError as error:
        raise CandidError(f"predictions: {error}; expected probabilities") from None
    if not np.isfinite(probabilities).all():
        raise CandidError("predictions: expected probabilities, each a number")
    groups = table["group"].to_numpy(np.int64) if "group" in table else np.arange(len(table))
    predictions = Predictions(classes, actual, probabilities, groups)
    if "predicted" in table:
        likeliest = np.array(classes, object)[predictions.predicted]
        stated = table["predicted"].to_numpy(object)
        for row in np.flatnonzero(likeliest != stated):
            largest = f"its largest probability is that of {likeliest[row]!r}"
            raise CandidError(f"predictions: row {row} says {stated[row]!r}; {largest}")
    return predictions


def leaks_of(table: pd.DataFrame) -> Leaks:
    """Take the masks out of a table of predictions; a column that it lacks is false throughout."""
    nothing = pd.Series(False, index=table.index)
    columns = (table.get(name, nothing).astype(str).str.lower() == "true" for name in Leaks._fields)
    return Leaks(*(column.to_numpy(bool) for column in columns))


def tabulate_test_set(
    splits: pd.DataFrame, faces: pd.DataFrame, kept: pd.DataFrame, images: Images, seen: Digests | None = None
) -> pd.DataFrame:
    """Return the test set by rising id, with columns id, source, digest, dataset, group, Leaks, actual.

    From the files of data/ of these names; `seen`: digests of faces that the model had seen before.
    CandidError: no test face, or the tables do not belong together.
    """
    if len(faces) != len(images):
        raise CandidError(f"data/faces.csv: {len(faces)} rows; data/faces.npy holds {len(images)} faces")
    test = splits[splits["part"] == "test"].sort_values("id", kind="stable")
    if test.empty:
        raise CandidError("data/splits.csv: no face in the test part; expected at least one")
    unknown = splits["id"][~splits["id"].isin(faces["id"]) | splits["id"].duplicated()]
    if len(unknown):
        raise CandidError(f"data/splits.csv: id {unknown.iloc[0]} is not a face's, or is there twice")
    earlier = np.flatnonzero(np.isin(digests(images), seen)) if seen is not None and len(seen) else None
    ids = test["id"].to_numpy(np.int64)
    columns = {
        "id": ids,
        "source": [csv_cell(name) for name in faces["source"].to_numpy()[ids]],
        "digest": [digest(images[number]) for number in ids],
        "dataset": faces["dataset"].to_numpy()[ids],
        "group": test["group"].to_numpy(np.int64),
        **find_leaks(splits, kept, earlier)._asdict(),
        "actual": test["label"].to_numpy(),
    }
    return pd.DataFrame(columns)


def with_predictions(test: pd.DataFrame, classes: Sequence[str], probabilities: Floats) -> pd.DataFrame:
    """Return plots/predictions.csv: the columns of `test`, predicted, and p_<class> of each class (N x K).

    The probabilities are rounded to DIGITS significant digits, as they are written: metrics come from these.
    """
    written = np.array([[float(f"{value:.{DIGITS}g}") for value in row] for row in probabilities])
    columns = {f"{PREFIX}{name}": written[:, number] for number, name in enumerate(classes)}
    predicted = np.array(classes, dtype=object)[written.argmax(axis=1)]
    return test.drop(columns="actual").assign(actual=test["actual"], predicted=predicted, **columns)


def find_leaks(splits: pd.DataFrame, kept: pd.DataFrame, earlier: NDArray[np.int64] | None = None) -> Leaks:
    """Find the test images that are related to training images, or to `earlier` ones, which count as such.

    `splits`: id, part, group (related images) of the faces in use; `kept`: id, group (duplicate group, -1 for
    none) of all faces. CandidError: `kept` lacks a face of the splits, or has one twice.
    """
    wrong = [*kept["id"][kept["id"].duplicated()], *splits["id"][~splits["id"].isin(kept["id"])]]
    if wrong:
        raise CandidError(f"data/kept.csv: face {wrong[0]} is missing or there twice; expected one row each")
    splits = splits.sort_values("id", kind="stable")
    duplicates = splits["id"].map(kept.set_index("id")["group"]).to_numpy(np.int64)
    related = splits["group"].to_numpy(np.int64)
    known = np.zeros(0, np.int64) if earlier is None else earlier
    again = splits["id"].isin(known).to_numpy()
    train = (splits["part"] == "train").to_numpy() | again
    test, validation = ((splits["part"] == part).to_numpy() for part in ("test", "validation"))
    elsewhere = kept["group"][kept["id"].isin(known)].to_numpy(np.int64)
    trained = np.concatenate([duplicates[train], elsewhere])
    copied = again[test] | np.isin(duplicates[test], trained[trained >= 0])
    leaked = np.isin(related[test], related[train]) | copied
    return Leaks(leaked, copied, np.isin(related[test], related[validation]) & ~leaked)
