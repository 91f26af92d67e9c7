"""Makes metrics and tables, as evaluate does, of the predictions that came back."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.gpu.results import Results
from benchmarks.gpu.runs import Run
from benchmarks.gpu.sets import fingerprint
from stages.errors import CandidError
from stages.evaluate.leaks import Leaks, find_leaks
from stages.evaluate.scores import Floats
from stages.evaluate.summary import summarise
from stages.evaluate.table import as_predictions, predictions_table, test_faces
from stages.faces import class_order, load_images, read_faces, read_kept, read_splits
from stages.files import write_csv, write_json, writing


@dataclass(frozen=True)
class Back:
    """A run that came back."""

    run: Run
    result: dict[str, Any]
    predictions: dict[str, Floats]
    """<part>_<view> -> N x K."""
    made: str | None = None
    """Fingerprint of the set that it saw; None: it does not say."""


def read_back(folder: Path) -> list[Back]:
    """Read all runs in results-<number>.zip."""
    found: list[Back] = []
    for path in sorted(folder.glob("results-*.zip")):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.namelist():
                name, _, file = entry.partition("/")
                if file != "result.json":
                    continue
                result = json.loads(archive.read(entry))
                params = json.loads(archive.read(f"{name}/params.yaml"))
                if "scores" not in result:  # a benchmark
                    found.append(Back(Run(name, params, [], benchmark=[]), result, {}))
                    continue
                with np.load(io.BytesIO(archive.read(f"{name}/predictions.npz"))) as stored:
                    predictions = {key: stored[key].astype(np.float64) for key in stored.files}
                part = "validation_"
                views = [key.removeprefix(part) for key in predictions if key.startswith(part)]
                test = any(key.startswith("test_") for key in predictions)
                told = f"{name}/run.json"
                made = json.loads(archive.read(told)).get("set") if told in archive.namelist() else None
                found.append(Back(Run(name, params, views, test=test), result, predictions, made))
    return found


def unpack(folder: Path, folder_of: Callable[[Run], Path], out: Path) -> list[dict[str, Any]]:
    """Write metrics.json, predictions.csv, history.csv, result.json and model.keras of each run.

    Runs that differ in train.seed alone are also put together: their probabilities averaged, as
    <name>-ensemble. So are those that differ in split.fold alone: their test faces in one table, as
    <name>-<number>-folds.

    Args:
        folder: what came back.
        folder_of: gives the folder with data/ of a run.

    Returns:
        a row a run: name, view, accuracy on validation, seconds; where it predicted the test part
        accuracy there with its interval, macro F1, leaks and faces as well.

    Raises:
        CandidError: a run predicted the test faces of another set than is made here.
    """
    every = read_back(folder)
    _check_sets(every, folder_of)
    rows: list[dict[str, Any]] = []
    seeds: dict[str, list[Back]] = defaultdict(list)
    folds: dict[str, list[Back]] = defaultdict(list)
    for back in every:
        place = out / back.run.name
        write_json(place / "result.json", back.result)
        if not back.predictions:
            continue
        write_csv(place / "history.csv", pd.DataFrame(back.result["history"]))
        model = Results(folder).model(back.run.name)
        if model:
            with writing(place / "model.keras") as aside:
                aside.write_bytes(model)
        for view in back.run.views:
            row: dict[str, Any] = {"name": back.run.name, "view": view}
            if back.run.test:
                row = _score(back.run, [_test_part(back, view, folder_of)], place, view)
            validation = back.result["scores"][f"validation_{view}"]["val_accuracy"]
            rows.append({**row, "validation": validation, "seconds": back.result["seconds"]})
        if back.run.test:
            seeds[re.sub(r"-seed\d+", "", back.run.name)].append(back)
            folds[re.sub(r"-f\d+$", "", back.run.name)].append(back)
    for name, members in seeds.items():
        for view in members[0].run.views if len(members) > 1 else []:
            mean = np.mean([member.predictions[f"test_{view}"] for member in members], axis=0)
            run = Run(f"{name}-ensemble", members[0].run.params, [view])
            rows.append(_score(run, [(folder_of(run), mean)], out / run.name, view))
            _add_spread(rows, _names(members), view)
    for name, members in folds.items():
        for view in members[0].run.views if len(members) > 1 else []:
            run = Run(f"{name}-{len(members)}-folds", members[0].run.params, [view])
            parts = [_test_part(member, view, folder_of) for member in members]
            rows.append(_score(run, parts, out / run.name, view))
            _add_spread(rows, _names(members), view)
    return rows


def _check_sets(every: list[Back], folder_of: Callable[[Run], Path]) -> None:
    """Predictions hold no ids and no labels: they are put to those of the set that is made here."""
    here: dict[str, str] = {}
    for back in every:
        if not back.run.test or not back.predictions:
            continue
        if back.run.data not in here:
            here[back.run.data] = fingerprint(folder_of(back.run))
        if back.made != here[back.run.data]:
            raise CandidError(
                f"{back.run.name}: ran on a set with fingerprint {back.made}, the one made here has "
                f"{here[back.run.data]}; expected the same: unpack at the commit that packed it, or run again"
            )


def _names(members: list[Back]) -> list[str]:
    return [member.run.name for member in members]


def _add_spread(rows: list[dict[str, Any]], names: list[str], view: str) -> None:
    """Add mean and spread of single runs to the last row, which puts them together."""
    single = [row["accuracy"] for row in rows if row["view"] == view and row["name"] in names]
    rows[-1] |= {"members": len(single), "mean": np.mean(single), "sd": np.std(single, ddof=1)}


def _test_part(back: Back, view: str, folder_of: Callable[[Run], Path]) -> tuple[Path, Floats]:
    return folder_of(back.run), back.predictions[f"test_{view}"]


def _score(run: Run, parts: list[tuple[Path, Floats]], place: Path, view: str) -> dict[str, Any]:
    """Do what evaluate does with the probabilities of a test part, or of those of several folds."""
    tests, found_leaks = [], []
    classes: list[str] = []
    for folder, _ in parts:
        data = folder / "data"
        splits = read_splits(data / "splits.csv")
        tests.append(test_faces(splits, read_faces(data / "faces.csv"), load_images(data / "faces.npy")))
        found_leaks.append(find_leaks(splits, read_kept(data / "kept.csv")))
        classes = class_order(splits["label"])
    test = pd.concat(tests, ignore_index=True)
    found = as_predictions(test, classes, np.concatenate([probabilities for _, probabilities in parts]))
    settings = run.params["evaluate"]
    leaks = Leaks(*map(np.concatenate, zip(*found_leaks, strict=True)))
    summary = summarise(found, leaks, settings["bootstrap"], settings["seed"])
    ending = "" if view == run.views[0] else f"-{view}"
    write_json(place / f"metrics{ending}.json", summary)
    write_csv(place / f"predictions{ending}.csv", predictions_table(test, found))
    kept = ("accuracy", "accuracy_low", "accuracy_high", "leaky", "faces")
    return {
        "name": run.name,
        "view": view,
        **{key: summary.get(key) for key in kept},
        "macro_f1": summary["macro"]["f1"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Lay the rows out in Markdown."""
    lines = [
        "| run | view | accuracy | macro F1 | validation | faces | leaky | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        accuracy = f"{100 * row['accuracy']:.2f} %" if "accuracy" in row else ""
        if row.get("accuracy_low") is not None:
            accuracy += f" ({100 * row['accuracy_low']:.1f} to {100 * row['accuracy_high']:.1f})"
        if "mean" in row:
            accuracy += f"; mean of {row['members']} {100 * row['mean']:.2f}, sd {100 * row['sd']:.2f}"
        validation = f"{100 * row['validation']:.2f} %" if "validation" in row else ""
        seconds = f"{row['seconds']:.0f}" if "seconds" in row else ""
        f1 = f"{row['macro_f1']:.3f}" if "macro_f1" in row else ""
        faces, leaky = str(row.get("faces", "")), str(row.get("leaky", "")).lower()
        cells = [row["name"], row["view"], accuracy, f1, validation, faces, leaky, seconds]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
