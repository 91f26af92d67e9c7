"""Class weights from class counts."""

from __future__ import annotations

from collections.abc import Mapping
from math import expm1, log, sqrt

from candid.errors import CandidError


def class_weights(counts: Mapping[str, int], scheme: str, beta: float) -> dict[str, float]:
    """Weigh each class by its number of training faces n_c, with n faces of K classes in all.

    Args:
        counts: class -> faces in the training part.
        scheme: `none`: 1. `balanced`: n / (K n_c), as scikit-learn defines it, so that every class weighs
            the same in all. `sqrt`: sqrt(n / n_c), scaled so that the mean weight of a training face is 1,
            which `balanced` has by itself. `effective_number`: 1 / E_c scaled to sum to K, with
            E_c = (1 - beta**n_c) / (1 - beta), as in Cui, Jia, Lin, Song, Belongie: Class-Balanced Loss
            Based on Effective Number of Samples, CVPR 2019, section 4.
        beta: of effective_number, in [0, 1).

    Returns:
        class -> weight, 12 significant digits (what a machine's exp and log agree on).

    Raises:
        CandidError: a class without a training face has no weight.
    """
    for name, count in counts.items():
        if count < 1:
            raise CandidError(
                f"data/splits.csv: class {name!r} has no face in the train part; expected at least one "
                "(leave it out by data.classes)"
            )
    if not counts:
        raise CandidError("data/splits.csv: no face; expected some in the train part")
    total, classes = sum(counts.values()), len(counts)
    if scheme == "none":
        raw = dict.fromkeys(counts, 1.0)
    elif scheme == "balanced":
        raw = {name: total / (classes * count) for name, count in counts.items()}
    elif scheme == "sqrt":
        roots = {name: sqrt(total / count) for name, count in counts.items()}
        mean = sum(roots[name] * count for name, count in counts.items()) / total
        raw = {name: root / mean for name, root in roots.items()}
    else:
        inverse = {name: (1 - beta) / _one_less_power(beta, count) for name, count in counts.items()}
        raw = {name: value * classes / sum(inverse.values()) for name, value in inverse.items()}
    return {name: float(f"{weight:.12g}") for name, weight in raw.items()}


def _one_less_power(beta: float, count: int) -> float:
    """1 - beta**count without losing digits where beta is near 1."""
    return -expm1(count * log(beta)) if beta > 0 else 1.0
