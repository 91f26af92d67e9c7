"""Makes metrics and tables, as evaluate does, of the predictions that came back."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.gpu.results import Finished, Results
from benchmarks.gpu.runs import Run
from benchmarks.gpu.sets import fingerprint
from stages.errors import CandidError
from stages.evaluate.leaks import Leaks, find_leaks
from stages.evaluate.scores import Floats
from stages.evaluate.summary import summarise
from stages.evaluate.table import as_predictions, predictions_table, test_faces
from stages.faces import class_order, load_images, read_faces, read_kept, read_splits
from stages.files import md5, write_csv, write_json, writing
from stages.lineage import Digests, digests, met

Earlier = dict[str, Digests]
"""Name of a run -> the faces that the model had met from which it started."""
UNKNOWN = (
    "{}: started from a model of {} that is not here: leaks of faces which that had met are not counted; "
    "expected its pieces beside the results"
)


@dataclass(frozen=True)
class Back:
    """A run that came back."""

    run: Run
    result: dict[str, Any]
    predictions: dict[str, Floats]
    """<part>_<view> -> N x K."""
    asked: dict[str, Any]
    """What it was told; empty: it does not say."""
    came_in: Path
    """Folder of its archive."""

    @property
    def made(self) -> str | None:
        """Fingerprint of the set that it saw; None: it does not say."""
        return self.asked.get("set")


def read_back(folder: Path) -> tuple[list[Back], dict[str, dict[str, bytes]]]:
    """Read all results-<number>.zip in a folder and those below, in the order of their paths.

    Returns:
        runs that ended well: of two of one name the later; name -> file -> content of those that did not.
    """
    found: dict[str, Back] = {}
    broken: dict[str, dict[str, bytes]] = {}
    for place in sorted({path.parent for path in folder.rglob("results-*.zip")}):
        results = Results(place)
        found |= {name: _back(one) for name, one in results.finished().items()}
        broken |= results.broken()
    return list(found.values()), {name: files for name, files in broken.items() if name not in found}


def _back(one: Finished) -> Back:
    place = one.archive.parent
    if "scores" not in one.result:  # a benchmark
        return Back(Run(one.name, one.params, [], benchmark=[]), one.result, {}, one.asked, place)
    with zipfile.ZipFile(one.archive) as archive:
        content = archive.read(f"{one.name}/predictions.npz")
    with np.load(io.BytesIO(content)) as stored:
        predictions = {key: stored[key].astype(np.float64) for key in stored.files}
    part = "validation_"
    views = [key.removeprefix(part) for key in predictions if key.startswith(part)]
    test = any(key.startswith("test_") for key in predictions)
    run = Run(one.name, one.params, views, one.asked.get("pretrained"), test=test)
    return Back(run, one.result, predictions, one.asked, place)


def unpack(folder: Path, folder_of: Callable[[Run], Path], out: Path) -> list[dict[str, Any]]:
    """Write metrics.json, predictions.csv, history.csv, result.json and model.keras of each run.

    Runs of one net that differ in train.seed alone are also put together: their probabilities averaged, as
    <name>-ensemble. So are those that differ in split.fold alone: their test faces in one table, as
    <name>-<number>-folds. Of runs that failed or were cut their log is written.

    Args:
        folder: holds what came back, or a folder for each trip.
        folder_of: gives the folder with data/ of a run.

    Returns:
        a row a run: name, net, view, accuracy on validation, seconds; where it predicted the test part
        accuracy there with its interval, macro F1, leaks and faces as well. Of one that did not end well
        its name and, as view, `failed or cut`.

    Raises:
        CandidError: there is no result, or a run predicted the test faces of another set than is made here.
    """
    every, broken = read_back(folder)
    if not every and not broken:
        raise CandidError(f"{folder}: no results-*.zip with a run, there or below; expected what --run wrote")
    _check_sets(every, folder_of)
    rows: list[dict[str, Any]] = []
    seeds: dict[tuple[str, str], list[Back]] = defaultdict(list)
    folds: dict[tuple[str, str], list[Back]] = defaultdict(list)
    for back in every:
        place = out / back.run.name
        model = Results(back.came_in).model(back.run.name) if back.asked.get("model") else None
        if model:
            with writing(place / "model.keras") as aside:
                aside.write_bytes(model)
        if back.predictions:
            write_csv(place / "history.csv", pd.DataFrame(back.result["history"]))
    earlier = {back.run.name: _met_before(back, out) for back in every if back.run.test}
    for back in every:
        net, place = back.run.params.get("model", {}).get("arch", ""), out / back.run.name
        for view in back.run.views:
            row: dict[str, Any] = {"name": back.run.name, "view": view}
            if back.run.test:
                row = _score(back.run, [_tested(back, view, folder_of, earlier)], place, view)
            validation = back.result["scores"][f"validation_{view}"]["val_accuracy"]
            rows.append({**row, "net": net, "validation": validation, "seconds": back.result["seconds"]})
        # Last, since --pack takes it to say that all is there.
        write_json(place / "result.json", {**back.result, "digest": back.asked.get("digest")})
        if back.run.test and back.predictions:
            seeds[re.sub(r"-seed\d+", "", back.run.name), net].append(back)
            folds[re.sub(r"-f\d+$", "", back.run.name), net].append(back)
    for (name, net), members in seeds.items():
        for view in members[0].run.views if len(members) > 1 else []:
            mean = np.mean([member.predictions[f"test_{view}"] for member in members], axis=0)
            run = Run(f"{name}-ensemble", members[0].run.params, [view])
            met_by_any = np.concatenate([earlier[one] for one in _names(members)])
            part = Tested(folder_of(run), mean, met_by_any)
            rows.append({**_score(run, [part], out / run.name, view), "net": net})
            _add_spread(rows, _names(members), view)
    for (name, net), members in folds.items():
        for view in members[0].run.views if len(members) > 1 else []:
            run = Run(f"{name}-{len(members)}-folds", members[0].run.params, [view])
            parts = [_tested(member, view, folder_of, earlier) for member in members]
            rows.append({**_score(run, parts, out / run.name, view), "net": net})
            _add_spread(rows, _names(members), view)
    for name, files in broken.items():
        for file, content in files.items():
            with writing(out / name / file) as aside:
                aside.write_bytes(content)
        rows.append({"name": name, "view": f"failed or cut: {_last_line(files)}"})
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


@dataclass(frozen=True)
class Tested:
    """Test faces of one run with what it said of them."""

    folder: Path
    """With data/."""
    probabilities: Floats
    earlier: Digests
    """Faces that the model had met from which the run started."""


def _tested(back: Back, view: str, folder_of: Callable[[Run], Path], earlier: Earlier) -> Tested:
    return Tested(folder_of(back.run), back.predictions[f"test_{view}"], earlier[back.run.name])


def _met_before(back: Back, out: Path) -> Digests:
    """Give what the model had met from which a run started; nothing, and a line, where that is not here."""
    start = back.result.get("made", {}).get("started_from")
    if start is not None:
        model = out / str(back.run.pretrained) / "model.keras"
        found = met(model) if model.is_file() and md5(model) == start["md5"] else None
        if found is not None:
            return found
        print(f"candid gpu_runs: {UNKNOWN.format(back.run.name, back.run.pretrained)}", file=sys.stderr)
    return np.zeros(0, np.uint64)


def _last_line(files: dict[str, bytes]) -> str:
    lines = files.get("log.txt", b"").decode(errors="replace").strip().splitlines()
    return lines[-1].replace("|", "/")[:100] if lines else "it said nothing"


def _score(run: Run, parts: list[Tested], place: Path, view: str) -> dict[str, Any]:
    """Do what evaluate does with the probabilities of a test part, or of those of several folds."""
    tests, found_leaks = [], []
    classes: list[str] = []
    for part in parts:
        data = part.folder / "data"
        splits, images = read_splits(data / "splits.csv"), load_images(data / "faces.npy")
        tests.append(test_faces(splits, read_faces(data / "faces.csv"), images))
        again = np.flatnonzero(np.isin(digests(images), part.earlier)) if len(part.earlier) else None
        found_leaks.append(find_leaks(splits, read_kept(data / "kept.csv"), again))
        classes = class_order(splits["label"])
    test = pd.concat(tests, ignore_index=True)
    found = as_predictions(test, classes, np.concatenate([part.probabilities for part in parts]))
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
        "| run | net | view | accuracy | macro F1 | validation | faces | leaky | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
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
        cells = [
            row["name"],
            row.get("net", ""),
            row["view"],
            accuracy,
            f1,
            validation,
            faces,
            leaky,
            seconds,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
