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
from stages.evaluate.leaks import find_leaks
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
                views = [key.removeprefix("test_") for key in predictions if key.startswith("test_")]
                found.append(Back(Run(name, params, views), result, predictions))
    return found


def unpack(folder: Path, folder_of: Callable[[Run], Path], out: Path) -> list[dict[str, Any]]:
    """Write metrics.json, predictions.csv, history.csv, result.json and model.keras of each run.

    Runs that differ in train.seed alone are also put together: their probabilities averaged, as
    <name>-ensemble.

    Args:
        folder: what came back.
        folder_of: gives the folder with data/ of a run.

    Returns:
        a row a run: name, accuracy with its interval, macro F1, leaks, faces, seconds.
    """
    rows: list[dict[str, Any]] = []
    alike: dict[str, list[Back]] = defaultdict(list)
    for back in read_back(folder):
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
            row = _score(back.run, back.predictions[f"test_{view}"], folder_of(back.run), place, view)
            validation = back.result["scores"][f"validation_{view}"]["val_accuracy"]
            rows.append({**row, "validation": validation, "seconds": back.result["seconds"]})
        alike[re.sub(r"-seed\d+", "", back.run.name)].append(back)
    for name, members in alike.items():
        for view in members[0].run.views if len(members) > 1 else []:
            mean = np.mean([member.predictions[f"test_{view}"] for member in members], axis=0)
            run = Run(f"{name}-ensemble", members[0].run.params, [view])
            rows.append(_score(run, mean, folder_of(run), out / run.name, view))
            single = [
                row["accuracy"] for row in rows if row["view"] == view and row["name"] in _names(members)
            ]
            rows[-1] |= {"members": len(single), "mean": np.mean(single), "sd": np.std(single, ddof=1)}
    return rows


def _names(members: list[Back]) -> list[str]:
    return [member.run.name for member in members]


def _score(run: Run, probabilities: Floats, folder: Path, place: Path, view: str) -> dict[str, Any]:
    """Do what evaluate does with the probabilities of the test part."""
    data = folder / "data"
    splits = read_splits(data / "splits.csv")
    test = test_faces(splits, read_faces(data / "faces.csv"), load_images(data / "faces.npy"))
    leaks = find_leaks(splits, read_kept(data / "kept.csv"))
    found = as_predictions(test, class_order(splits["label"]), probabilities)
    settings = run.params["evaluate"]
    summary = summarise(found, leaks.leaked, leaks.copied, settings["bootstrap"], settings["seed"])
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
        accuracy = f"{100 * row['accuracy']:.2f} %"
        if row["accuracy_low"] is not None:
            accuracy += f" ({100 * row['accuracy_low']:.1f} to {100 * row['accuracy_high']:.1f})"
        if "mean" in row:
            accuracy += f"; mean of {row['members']} {100 * row['mean']:.2f}, sd {100 * row['sd']:.2f}"
        validation = f"{100 * row['validation']:.2f} %" if "validation" in row else ""
        seconds = f"{row['seconds']:.0f}" if "seconds" in row else ""
        cells = [row["name"], row["view"], accuracy, f"{row['macro_f1']:.3f}", validation, str(row["faces"])]
        lines.append(f"| {' | '.join([*cells, str(row['leaky']).lower(), seconds])} |")
    return "\n".join(lines)
