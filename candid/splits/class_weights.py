"""How much each class weighs in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from candid.errors import CandidError
from candid.splits.params import Scheme


def class_weights(labels: Sequence[str], classes: Sequence[str], scheme: Scheme) -> dict[str, float]:
    """Weigh each class by its number of training faces n_c, with n faces of K classes in all.

    Args:
        labels: class of each training face: n.
        classes: all K of them, each at least once in `labels`.
        scheme: `none`: 1. `balanced`: scikit-learn's n / (K n_c), so that every class weighs the same in all.
            `sqrt`: sqrt(n / n_c), scaled so that the mean weight of a training face is 1, which `balanced`
            has by itself.

    Returns:
        class -> weight, 12 significant digits (what machines agree on), in the order of `classes`.

    Raises:
        CandidError: a class without a training face has no weight.

    Example:
        >>> class_weights(["happy", "sad", "happy"], ["happy", "sad"], "balanced")
        {'happy': 0.75, 'sad': 1.5}
    """
    if missing := [name for name in classes if name not in set(labels)]:
        where, expected = f"class {missing[0]!r}", "expected at least one (leave it out by data.classes)"
        raise CandidError(f"data/splits.csv: {where} has no face in the train part; {expected}")
    if not classes:
        raise CandidError("data/splits.csv: no face; expected some in the train part")
    weights = np.ones(len(classes))
    if scheme != "none":
        weights = compute_class_weight("balanced", classes=np.array(classes), y=np.array(labels))
    if scheme == "sqrt":
        weights = np.sqrt(weights)
        weights /= np.average(weights, weights=weights**-2)  # weights**-2 is in proportion to the faces
    return {name: float(f"{weight:.12g}") for name, weight in zip(classes, weights, strict=True)}
