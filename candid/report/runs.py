"""All that is kept of a run: of the working tree, or of a commit or experiment."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from candid.compare.measured import draw
from candid.errors import CandidError
from candid.evaluation import scores
from candid.evaluation.draw_curves import kept_epoch
from candid.evaluation.scores import Integers
from candid.gate.freshness import read_yaml
from candid.gate.look_up import MISSING, look_up
from candid.gate.results import Results, read_json, read_results
from candid.gate.revisions import Tree

CACHE = Path(".dvc/cache/files/md5")
HISTORY, MISTAKES = "plots/history.csv", "plots/mistakes.png"


@dataclass(frozen=True)
class Run:
    """One run's settings and results; what it did not keep is None."""

    results: Results
    params: dict[str, Any]
    ingest: dict[str, Any] | None
    dedup: dict[str, Any] | None
    split: dict[str, Any] | None
    provenance: dict[str, Any] | None
    history: pd.DataFrame | None
    """One row an epoch, numbers; NaN where a score is none."""
    mistakes: bytes | None
    """PNG."""

    @property
    def name(self) -> str:
        """How the revision is called."""
        return self.results.name

    @property
    def metrics(self) -> dict[str, Any]:
        """metrics/report.json."""
        return self.results.metrics

    @cached_property
    def counts(self) -> Integers:
        """Confusion matrix: K x K, rows actual."""
        return scores.confusion_matrix(self.results.actual, self.results.predicted, len(self.results.classes))

    @cached_property
    def f1_bounds(self) -> NDArray[np.float64]:
        """95 % interval of the F1 of each class, as candid.compare has it: K x 2; NaN where there is none."""
        classes = {f"p_{name}": 0 for name in self.results.classes}
        drawn = draw(self.results.faces.assign(**classes))
        found = (drawn.bounds(f"per_class.{name}.f1") for name in self.results.classes)
        return np.array([(np.nan, np.nan) if bounds is None else bounds for bounds in found])

    @property
    def kept_epoch(self) -> int | None:
        """Epoch whose weights were kept, as the settings choose it."""
        monitor = self.setting("train.monitor")
        return None if self.history is None else kept_epoch(self.history, str(monitor))

    def setting(self, dotted: str) -> Any:
        """A value of params.yaml; None where there is none."""
        value = look_up(self.params, dotted)
        return None if value is MISSING else value


def read_run(tree: Tree, cache: Path = CACHE) -> Run:
    """Read what a revision keeps; large files that git does not hold come from DVC's cache if they are there.

    Raises:
        CandidError: the revision has no results, or ones that can't be read.
    """
    history = _cached(tree, HISTORY, cache)
    params = read_yaml(tree, "params.yaml")
    if not isinstance(params, dict):
        raise CandidError(f"{tree.name}: params.yaml: no sections; expected settings")
    ingest, dedup, split, made = (
        _optional(tree, f"metrics/{name}.json") for name in ("ingest", "dedup", "split", "provenance")
    )
    return Run(
        read_results(tree),
        params,
        ingest,
        dedup,
        split,
        made,
        None if history is None else _read_history(history, f"{tree.name}: {HISTORY}"),
        _cached(tree, MISTAKES, cache),
    )


def _optional(tree: Tree, path: str) -> dict[str, Any] | None:
    if tree.read(path) is None:
        return None
    return read_json(tree, path)


def _cached(tree: Tree, path: str, cache: Path) -> bytes | None:
    """A file of the revision; else, from DVC's cache, the one that its dvc.lock names."""
    content = tree.read(path)
    if content is not None or tree.read("dvc.lock") is None:
        return content
    stages = look_up(read_yaml(tree, "dvc.lock"), "stages")
    for entry in stages.values() if isinstance(stages, dict) else ():
        for out in entry.get("outs", []):
            md5 = str(out.get("md5"))
            file = cache / md5[:2] / md5[2:]
            if out.get("path") == path and file.is_file():
                return file.read_bytes()
    return None


def _read_history(content: bytes, where: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(io.BytesIO(content))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise CandidError(f"{where}: not a CSV table: {error}") from None
    if "epoch" not in table or table.empty:
        raise CandidError(f"{where}: no column 'epoch', or no row; expected one row an epoch")
    return pd.DataFrame({name: pd.to_numeric(table[name], errors="coerce") for name in table})
