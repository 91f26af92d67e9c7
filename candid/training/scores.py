"""Validation metrics, exact and on the host: a few numbers over a few thousand faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def validation_scores(probabilities: NDArray[np.float32], labels: NDArray[np.int32]) -> dict[str, float]:
    """Return val_loss (mean cross-entropy, nats), val_accuracy and val_macro_f1.

    Macro F1 is over the classes that occur among the labels or the predictions, as scikit-learn's f1_score
    has it by default.

    Args:
        probabilities: N x classes.
        labels: N, indices into the classes.
    """
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    count = probabilities.shape[1]
    hits = np.bincount(labels[right], minlength=count)
    total = np.bincount(labels, minlength=count) + np.bincount(predicted, minlength=count)
    return {
        "val_loss": float(-np.log(np.maximum(chosen, 1e-7)).mean()),
        "val_accuracy": float(right.mean()),
        "val_macro_f1": float((2 * hits[total > 0] / total[total > 0]).mean()),
    }
