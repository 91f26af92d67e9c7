"""plots/predictions.csv: one row a test face, and all that the metrics are computed from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from candid.data.faces import digest
from candid.errors import CandidError
from candid.evaluation.scores import Floats
from candid.evaluation.summary import Predictions
from candid.evaluation.views import Images

DIGITS = 6


def rounded(probabilities: Floats) -> Floats:
    """Round to DIGITS significant digits, as they are written.

    Significant, not decimal: the log loss and the ranks of rare classes live in the small ones.
    Metrics come from the rounded values, so that they can be made again from the table.
    """
    return np.array([[float(f"{value:.{DIGITS}g}") for value in row] for row in probabilities])


def test_faces(splits: pd.DataFrame, faces: pd.DataFrame, images: Images) -> pd.DataFrame:
    """Rows of the test part by rising id: id, source, digest, dataset, group, actual.

    Raises:
        CandidError: no test face, or the tables do not belong together.
    """
    if len(faces) != len(images):
        raise CandidError(f"data/faces.csv: {len(faces)} rows; data/faces.npy holds {len(images)} faces")
    test = splits[splits["part"] == "test"].sort_values("id", kind="stable")
    if test.empty:
        raise CandidError("data/splits.csv: no face in the test part; expected at least one")
    unknown = ~splits["id"].isin(faces["id"]) | splits["id"].duplicated()
    if unknown.any():
        raise CandidError(
            f"data/splits.csv: id {splits['id'][unknown].iloc[0]} is not a face's, or is there twice"
        )
    ids = test["id"].to_numpy(np.int64)
    return pd.DataFrame(
        {
            "id": ids,
            "source": faces["source"].to_numpy()[ids],
            "digest": [digest(images[number]) for number in ids],
            "dataset": faces["dataset"].to_numpy()[ids],
            "group": test["group"].to_numpy(np.int64),
            "actual": test["label"].to_numpy(),
        }
    )


def as_predictions(test: pd.DataFrame, classes: Sequence[str], probabilities: Floats) -> Predictions:
    """Join the test faces and what the model gave for them (N x K, rounded here)."""
    number = {name: position for position, name in enumerate(classes)}
    actual = np.array([number[name] for name in test["actual"]], np.int64)
    return Predictions(classes, actual, rounded(probabilities), test["group"].to_numpy(np.int64))


def predictions_table(test: pd.DataFrame, found: Predictions) -> pd.DataFrame:
    """Columns of plots/predictions.csv: those of `test`, predicted, and p_<class> of each class."""
    columns = {
        f"p_{name}": [f"{value:.{DIGITS}g}" for value in found.probabilities[:, position]]
        for position, name in enumerate(found.classes)
    }
    return test.assign(predicted=np.array(found.classes, dtype=object)[found.predicted], **columns)
