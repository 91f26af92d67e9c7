"""All that a revision keeps of a run, and what it says in words."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from candid import text
from candid.evaluation import scores
from candid.evaluation.bootstrap import draw
from candid.evaluation.predictions import as_predictions
from candid.gate.results import Results, Revision, flat, look_up, read_results

SECTIONS = ("data", "dedup", "split", "class_weights", "model", "archs", "train", "evaluate")
COUNTS = ("ingest", "dedup", "split", "provenance")
HISTORY = "plots/history.csv"
PICTURES = (
    *("classes", "augmented", "curves", "roc", "reliability"),
    *("confusion", "confusion_precision", "mistakes"),
)


@dataclass(frozen=True)
class Run:
    """One run's settings and results; what it did not keep is empty."""

    results: Results
    params: dict[str, Any]
    counts: dict[str, dict[str, Any]] = field(default_factory=dict)  # metrics/<name>.json of COUNTS
    epochs: int = 0  # rows of plots/history.csv
    pictures: dict[str, bytes] = field(default_factory=dict)  # plots/<name>.png of PICTURES

    @property
    def scores(self) -> dict[str, Any]:
        """metrics/report.json."""
        return self.results.report

    @property
    def title(self) -> str:
        """Net and dataset."""
        return f"{self.setting('model.arch')} on {self.setting('data.dataset')}"

    def setting(self, dotted: str) -> Any:
        """A value of params.yaml; None where there is none."""
        return look_up(self.params, dotted, None)

    def settings(self) -> dict[str, str]:
        """Dotted key and value of what the stages read; of the nets, the one that was trained."""
        arch = str(self.setting("model.arch"))
        chosen = {name: self.params[name] for name in SECTIONS if name in self.params}
        if "archs" in chosen:
            chosen["archs"] = {arch: self.setting(f"archs.{arch}")}
        return {key: setting_text(value) for key, value in flat(chosen)}

    def f1_bounds(self) -> dict[str, tuple[float, float] | None]:
        """95 % interval of the F1 of each class, as `candid compare` has it; None where there is none."""
        table = self.results.table
        resampled = draw(as_predictions(table.assign(group=pd.factorize(table["group"])[0])))
        return {name: resampled.bounds(f"per_class.{name}.f1") for name in self.results.classes}

    def worst_confusions(self, most: int = 3) -> list[str]:
        """The most frequent kinds of mistakes."""
        results = self.results
        counts = scores.confusion_matrix(results.actual, results.predicted, len(results.classes))
        np.fill_diagonal(counts, 0)
        names, worst = results.classes, np.argsort(-counts, axis=None, kind="stable")[:most]
        pairs = zip(*np.unravel_index(worst, counts.shape), strict=True)
        return [f"{names[a]} taken for {names[p]} ({counts[a, p]:,} faces)" for a, p in pairs if counts[a, p]]

    @property
    def net(self) -> str:
        """The net and where its weights come from."""
        weights = self.setting("model.weights")
        return f"{self.setting('model.arch')}, from {'scratch' if weights is None else f'{weights} weights'}"

    @property
    def dataset(self) -> str:
        """The dataset and how its faces were brought in."""
        data = self.params.get("data") or {}
        words = [f"{data.get('dataset')}, {data.get('image_size')} px {data.get('color')}"]
        words += [f"only {', '.join(data['classes'])}"] if data.get("classes") else []
        words += [f"parts {', '.join(data['parts'])}"] if data.get("parts") else []
        return ", ".join(words)

    @property
    def protocol(self) -> str:
        """How train, validation and test set came about; this stands beside every number."""
        split = self.params.get("split") or {}
        kind = split.get("protocol")
        if kind == "random":
            words = f"random {'/'.join(f'{100 * share:g}' for share in split.get('ratios', []))}"
        elif kind == "folds":
            words = f"fold {split.get('fold')} of {split.get('folds')}, repeat {split.get('repeat')}"
        else:
            official = (split.get("official") or {}).items()
            other = [f"{ours} from {' and '.join(theirs) or 'nothing'}" for ours, theirs in official
                     if theirs != [ours]]  # fmt: skip
            words = f"{kind} sets" + (f" ({', '.join(other)})" if other else "")
        groups = split.get("groups") or []
        together = f"{', '.join(groups)} kept together" if groups else "images one by one"
        return f"{words}; {together}; near-duplicates {self.duplicates}"

    @property
    def duplicates(self) -> str:
        """What was done to near-duplicates."""
        policy = str(self.counts.get("dedup", {}).get("policy", self.setting("dedup.policy")))
        done = {"remove": "removed", "decontaminate": "removed where a protected set has one"}
        return (done | {"group": "kept together", "off": "left as they are"}).get(policy, policy)

    @property
    def clean(self) -> str:
        """Whether test faces have related images in the training set."""
        if not self.scores["leaky"]:
            return "leak-free"
        leaked = self.scores.get("leaked_test_faces", "some")
        return f"leaky: {leaked} test faces have related images in the training set"

    @property
    def grouped(self) -> str:
        """`2,465 test faces`, and in how many groups if some are not alone."""
        faces, groups = self.scores.get("faces"), self.scores.get("groups")
        within = f" in {number(groups)} independent groups" if groups != faces else ""
        return f"{number(faces)} test faces{within}"

    @property
    def training(self) -> str:
        """Optimiser, rate, batches and epochs."""
        train = self.params.get("train") or {}
        stop = look_up(train, "early_stopping.patience")
        patience = f", stopping after {stop} without progress" if isinstance(stop, int) else ""
        return (
            f"{choice(train.get('optimizer'))}, learning rate {train.get('learning_rate')} "
            f"({choice(train.get('schedule'))}), batches of {train.get('batch_size')}, "
            f"at most {train.get('epochs')} epochs{patience}; saved by {train.get('monitor')}; "
            f"{train.get('backend')}, {train.get('precision')}"
        )

    @property
    def augmentation(self) -> str:
        """The changes that are switched on, each with its ranges."""
        changes = self.setting("train.augment") or {}
        words = []
        for name, value in changes.items():
            if isinstance(value, dict) and value.get("probability"):
                ranges = ", ".join(f"{key} {share}" for key, share in value.items() if key != "probability")
                often = "" if value["probability"] == 1 else f", probability {value['probability']}"
                words.append(f"{name} ({ranges}{often})")
            elif isinstance(value, int | float) and value:
                words.append(f"{name} {value:g}")
        return "; ".join(words) or "none"

    @property
    def command(self) -> str:
        """What makes the run again, in a clone."""
        revision = self.counts.get("provenance", {}).get("revision")
        return (f"git checkout {str(revision)[:12]} && " if revision else "") + "dvc repro"


def read_run(revision: Revision) -> Run:
    """Read what a revision keeps; pictures that git does not hold come from DVC's cache if they are there."""
    paths = {name: f"metrics/{name}.json" for name in COUNTS}
    counts = {name: revision.json(path) for name, path in paths.items() if revision.read(path) is not None}
    pictures = {name: revision.read(f"plots/{name}.png") for name in PICTURES}
    history = revision.read(HISTORY)
    epochs = len(io.BytesIO(history or b"epoch\n").readlines()) - 1
    kept = {name: png for name, png in pictures.items() if png is not None}
    return Run(read_results(revision), revision.yaml("params.yaml"), counts, epochs, kept)


def class_counts(run: Run) -> list[list[str]]:
    """Faces of each class in the training, validation and test set, and of all."""
    sets = [run.counts["split"].get(name) or {} for name in ("train", "validation", "test")]
    rows = []
    for name in run.results.classes:
        of_class = ((one.get("per_class") or {}).get(name) or {} for one in sets)
        rows.append([text.clean(name), *(number(counts.get("faces", 0)) for counts in of_class)])
    return [*rows, ["all", *(number(one.get("faces")) for one in sets)]]


def number(value: Any) -> str:
    """`2,465`, or `0.968` for a fraction; a dash for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def choice(value: Any) -> str:
    """A setting that is a name, or a mapping with its own settings behind the name."""
    if not isinstance(value, dict):
        return str(value)
    others = ", ".join(f"{key} {setting_text(inner)}" for key, inner in value.items() if key != "name")
    return f"{value.get('name')}{f' ({others})' if others else ''}"


def setting_text(value: Any) -> str:
    """A setting as params.yaml has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def share(values: Any, name: str, interval: bool = True) -> str:
    """`68.2 % (66.7 to 69.7)` from the entries name, name_low and name_high; a dash where there is none."""
    known = values if isinstance(values, dict) else {}
    value, low, high = (known.get(name + end) for end in ("", "_low", "_high"))
    if not isinstance(value, int | float):
        return "–"
    bounded = interval and isinstance(low, float) and isinstance(high, float)
    return text.percent(value).replace(" ", "\u00a0") + (text.interval(low, high) if bounded else "")


def different_settings(runs: Sequence[Run]) -> list[list[str]]:
    """Dotted key, and its value in each run, where they are not all equal."""
    columns = [run.settings() for run in runs]
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [[key, *(column.get(key, "–") for column in columns)] for key in keys]
    return [row for row in rows if len(set(row[1:])) > 1]
