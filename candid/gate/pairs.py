"""Pairing two revisions' predictions face by face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from candid.errors import CandidError
from candid.evaluation.scores import Integers
from candid.gate.results import Results

KEY = ["digest", "source", "copy"]


@dataclass(frozen=True)
class Pairs:
    """The faces that both test parts hold: N of them, over K classes."""

    classes: tuple[str, ...]
    actual: Integers
    before: Integers
    """What the baseline predicted: N."""
    after: Integers
    """What the candidate predicted: N."""
    groups: Integers
    """Faces of one group, in either revision, are not independent: N, counted from 0."""
    common: float
    """Share of the faces of both test parts that are in both."""


def pair(baseline: Results, candidate: Results, min_common: float = 1.0) -> Pairs:
    """Match faces by pixel digest and source; of several equal ones the first with the first, by id.

    Args:
        baseline: results of the revision compared with.
        candidate: results of this tree.
        min_common: least share of the faces of both test parts that must be in both.

    Raises:
        CandidError: other classes, another dataset, another protocol, other labels, or other faces.
    """
    _same("classes", baseline, candidate, baseline.classes, candidate.classes)
    datasets = [sorted(results.faces["dataset"].unique()) for results in (baseline, candidate)]
    _same("dataset", baseline, candidate, *datasets)
    leaky = ["leaky" if results.metrics["leaky"] else "clean" for results in (baseline, candidate)]
    if leaky[0] != leaky[1]:
        raise CandidError(
            f"the split of {baseline.name} is {leaky[0]}, that of {candidate.name} {leaky[1]}: "
            "their scores do not mean the same"
        )
    joined = _keyed(baseline).merge(_keyed(candidate), on=KEY, suffixes=("_before", "_after"), sort=False)
    everything = len(baseline.faces) + len(candidate.faces) - len(joined)
    common = len(joined) / everything
    if joined.empty or common < min_common:
        raise CandidError(
            f"the test parts are not the same faces: {len(baseline.faces):,} in {baseline.name}, "
            f"{len(candidate.faces):,} in {candidate.name}, {len(joined):,} in both ({common:.1%} of all); "
            f"gate.min_common is {min_common:g}"
        )
    relabelled = int((joined["actual_before"] != joined["actual_after"]).sum())
    if relabelled:
        raise CandidError(f"{relabelled:,} test faces have another label than in {baseline.name}")
    return Pairs(
        baseline.classes,
        joined["actual_after"].to_numpy(np.int64),
        joined["predicted_before"].to_numpy(np.int64),
        joined["predicted_after"].to_numpy(np.int64),
        united(joined["group_before"], joined["group_after"]),
        common,
    )


def _keyed(results: Results) -> pd.DataFrame:
    faces = results.faces
    return pd.DataFrame(
        {
            "digest": faces["digest"],
            "source": faces["source"],
            "copy": faces.groupby(["digest", "source"], sort=False).cumcount(),
            "actual": results.actual,
            "predicted": results.predicted,
            "group": faces["group"],
        }
    )


def _same(
    what: str, baseline: Results, candidate: Results, before: Sequence[str], after: Sequence[str]
) -> None:
    if list(before) != list(after):
        raise CandidError(
            f"another {what}: {', '.join(before)} in {baseline.name}, {', '.join(after)} in {candidate.name}"
        )


def united(before: pd.Series[str], after: pd.Series[str]) -> Integers:
    """Connected components of two groupings of N faces: in one group where either revision has them so."""
    first, second = pd.factorize(before)[0], pd.factorize(after)[0]
    size = int(first.max()) + 1
    nodes = size + int(second.max()) + 1
    links = coo_array((np.ones(len(first), np.int8), (first, second + size)), shape=(nodes, nodes))
    labels: NDArray[np.int32] = connected_components(links, directed=False)[1]
    return np.asarray(np.unique(labels[first], return_inverse=True)[1], np.int64)
