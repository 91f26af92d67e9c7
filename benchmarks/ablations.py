"""What helps and what does not: one change each, measured on validation faces; no test face is read.

    CANDID_MIRROR=/absolute/folder python -m benchmarks.ablations [--faces 6000] [--seeds 2] [--seconds 480]

The list is benchmarks/ablations.yaml: settings of params.yaml, the first run the one that the others are
held against. DVC makes what ingest to class_weights write, once for each different set. Every run trains on
a fixed share of its training faces (equal in number in all; the same ones where the sets agree), with the
code of the stages in a process of its own, and is validated on the faces that validate the first one.
Runs that are done are kept in --out and not done again while their settings, faces and labels are those that
are asked for, so it can be cut and called again; the table of what there is comes at the end, or at once
with --seconds 0.

The interval of a difference is paired: over validation faces, each seed's answers against the first run's
with the same seed. It holds for these faces; what another seed changes is printed below the table. The
epoch is chosen by accuracy on the same faces, for all alike, so accuracies are a little too high.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmarks.gpu.runs import DATA_SECTIONS, Params, Run, read_runs
from stages.errors import CandidError, run
from stages.faces import load_images, read_kept, read_splits
from stages.files import read_json, write_json, writing
from stages.train.inputs import TrainingSet, training_set

ROOT = Path(__file__).resolve().parent.parent
LEAST = 20.0  # seconds below which no run is worth starting


@dataclass(frozen=True)
class Share:
    """The faces of a run."""

    data: TrainingSet
    """Its faces are rows of faces.npy: N x 1 x 1 x 1."""
    copied: NDArray[np.bool_]
    """For each validation face: is a near-duplicate of it among the training faces?"""

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows in faces.npy, those of the training faces first."""
        return np.asarray(self.data.faces[:, 0, 0, 0], np.int64)

    @property
    def validation(self) -> NDArray[np.int64]:
        """Rows of the validation faces."""
        return self.rows[self.data.train :]


def share(folder: Path, count: int, validation: NDArray[np.int64] | None = None) -> Share:
    """Take `count` training faces of a set and its validation faces.

    The training faces are the first of an order that is the same for all sets over the same faces.

    Args:
        folder: with data/.
        validation: rows that validate; all of the part if None.

    Raises:
        CandidError: a face of `validation` is not in the part, or there are fewer training faces.
    """
    splits = read_splits(folder / "data/splits.csv")
    images = load_images(folder / "data/faces.npy")
    place = np.random.default_rng(0).permutation(len(images))
    train = splits[splits["part"] == "train"]["id"].to_numpy()
    chosen = train[np.argsort(place[train])][:count]
    held = splits[splits["part"] == "validation"]["id"].to_numpy()
    validation = held if validation is None else validation
    if len(chosen) < count or not np.isin(validation, held).all():
        raise CandidError(
            f"{folder}: {len(chosen)} training faces, {np.isin(validation, held).sum()} validation faces; "
            f"expected {count} and {len(validation)}"
        )
    taken = splits[splits["id"].isin(chosen) | splits["id"].isin(validation)].sort_values("id")
    # A face is stood for by its row.
    rows = cast(Any, np.arange(len(images))[:, None, None])
    data = training_set(rows, taken, read_json(folder / "data/class_weights.json"))
    group = np.full(len(images), -1)
    kept = read_kept(folder / "data/kept.csv")
    group[kept["id"]] = kept["group"]
    seen = np.asarray(data.faces[:, 0, 0, 0], np.int64)
    ours, theirs = group[seen[: data.train]], group[seen[data.train :]]
    return Share(data, np.isin(theirs, ours[ours >= 0]))


def _params(one: Run, seed: int) -> Params:
    return {**one.params, "train": {**one.params["train"], "seed": seed}}


def _asked(one: Run) -> dict[str, Any]:
    """Content of run.json."""
    return {"name": one.name, "views": one.views, "model": False, "test": False}


def _arrays(given: Share) -> dict[str, NDArray[Any]]:
    """Content of set.npz."""
    return {
        "faces": given.rows,
        "labels": given.data.labels,
        "classes": np.array(given.data.classes),
        "class_weights": given.data.class_weights,
        "train": np.array(given.data.train),
    }


def is_done(one: Run, seed: int, given: Share, folder: Path) -> bool:
    """Whether a folder holds the result of this run: of the settings that it reads, and of its faces."""
    if not all((folder / name).is_file() for name in ("result.json", "run.json", "params.yaml", "set.npz")):
        return False
    read = (*DATA_SECTIONS, "model", "train")
    had, wanted = read_json(folder / "params.yaml"), _params(one, seed)
    net = wanted["model"]["arch"]
    if any(had.get(name) != wanted[name] for name in read):
        return False
    if had["archs"].get(net) != wanted["archs"][net] or read_json(folder / "run.json") != _asked(one):
        return False
    with np.load(folder / "set.npz", allow_pickle=False) as stored:
        return all(np.array_equal(stored[name], array) for name, array in _arrays(given).items())


def train(one: Run, seed: int, given: Share, faces: Path, folder: Path) -> None:
    """Train and predict the validation faces under each view: result.json and predictions.npz in a folder.

    What was in the folder goes first.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(json.dumps(_params(one, seed)), encoding="utf-8")  # JSON is YAML
    write_json(folder / "run.json", _asked(one))
    with writing(folder / "set.npz") as aside, aside.open("wb") as file:
        np.savez_compressed(file, **_arrays(given))  # type: ignore[arg-type]
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    with (folder / "log.txt").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.gpu.one", "set.npz", str(faces.absolute())],
            cwd=folder,
            env={**kept, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        last = (folder / "log.txt").read_text(errors="replace").strip().splitlines()[-1:]
        raise CandidError(f"{one.name}, seed {seed}: {' '.join(last)}")


def right(folder: Path, view: str) -> NDArray[np.bool_]:
    """Which validation faces a run names rightly."""
    with np.load(folder / "predictions.npz") as stored, np.load(folder / "set.npz") as given:
        labels = given["labels"][int(given["train"]) :]
        return np.asarray(stored[f"validation_{view}"].argmax(axis=1) == labels)


def difference(ours: list[NDArray[np.bool_]], theirs: list[NDArray[np.bool_]]) -> tuple[float, float, float]:
    """Difference of two accuracies over the same faces and seeds, with its paired 95 % interval over faces.

    For each face the share of seeds that are right, ours less theirs; Student's t over the faces.
    """
    gaps = np.asarray(np.mean(ours, axis=0, dtype=np.float64) - np.mean(theirs, axis=0, dtype=np.float64))
    middle = float(gaps.mean())
    half = float(student.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / math.sqrt(len(gaps)))
    return middle, middle - half, middle + half


@dataclass(frozen=True)
class Done:
    """What there is of a run: a folder for each seed."""

    run: Run
    folders: dict[int, Path]

    def answers(self, view: str, seeds: list[int]) -> list[NDArray[np.bool_]]:
        """For each seed, which validation faces are named rightly."""
        return [right(self.folders[seed], view) for seed in seeds]


def look(runs: list[Run], shares: dict[str, Share], out: Path) -> list[Done]:
    """Find what is done; results of other settings or faces are left out.

    Args:
        shares: name of a run -> its faces.
    """
    found = []
    for one in runs:
        folders = {
            int(path.name.rpartition("seed")[2]): path for path in sorted(out.glob(f"{one.name}-seed*"))
        }
        done = {seed: path for seed, path in folders.items() if is_done(one, seed, shares[one.name], path)}
        found.append(Done(one, done))
    return found


def table(found: list[Done], copied: dict[str, NDArray[np.bool_]]) -> str:
    """Lay out every run and view against the first, over the seeds that both have.

    Args:
        copied: name of a run -> which validation faces have a near-duplicate among its training faces.
    """
    first, plain = found[0], found[0].run.views[0]
    lines = ["| run | view | accuracy | difference in points | each seed |", "|---|---|---|---|---|"]
    notes: list[str] = []
    revisions: set[str] = set()
    spreads: list[float] = []
    for one in found:
        seeds = [seed for seed in sorted(one.folders) if seed in first.folders]
        theirs = first.answers(plain, seeds)
        revisions |= {_revision(one.folders[seed]) for seed in seeds}
        for view in one.run.views if seeds else []:
            ours = one.answers(view, seeds)
            each = [100 * float(rights.mean()) for rights in ours]
            gap = ""
            if (one, view) != (first, plain):
                middle, low, high = (100 * value for value in difference(ours, theirs))
                gap = f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"
            cells = [one.run.name, view, f"{np.mean(each):.1f} %", gap, ", ".join(f"{x:.1f}" for x in each)]
            lines.append(f"| {' | '.join(cells)} |")
            if view == one.run.views[0] and len(each) > 1:
                spreads.append(float(np.var(each, ddof=1)))
            if view == plain and copied[one.run.name].any():
                notes += _by_copies(one.run.name, copied[one.run.name], ours, theirs)
    if spreads:
        notes.append(
            f"Another seed: standard deviation {math.sqrt(np.mean(spreads)):.2f} points of one accuracy, "
            f"pooled over {len(spreads)} runs."
        )
    if revisions:
        notes.append(f"Trained at {', '.join(sorted(revisions))}.")
    return "\n\n".join(["\n".join(lines), *notes])


def _revision(folder: Path) -> str:
    """Git's revision of the code that trained a run; `+` where the tree differed from it."""
    made = read_json(folder / "result.json").get("made", {})
    return str(made.get("revision", "no git"))[:12] + ("+" if made.get("dirty") else "")


def _by_copies(
    name: str, twins: NDArray[np.bool_], ours: list[NDArray[np.bool_]], theirs: list[NDArray[np.bool_]]
) -> list[str]:
    """Split a run's accuracy by whether a face has a copy among its training faces."""
    told = []
    for faces, what in ((twins, "a copy"), (~twins, "no copy")):
        if faces.sum() < 2:  # one face has no interval
            continue
        middle, low, high = (
            100 * value for value in difference([x[faces] for x in ours], [x[faces] for x in theirs])
        )
        told.append(
            f"{faces.sum()} faces with {what} among its training faces "
            f"{100 * np.mean([x[faces] for x in ours]):.1f} %, {middle:+.1f} ({low:+.1f} to {high:+.1f})"
        )
    return [f"{name}: {'; '.join(told)}."] if told else []


def main() -> int:
    """Train what is not done yet and print the table; status 1 where runs are left."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", type=Path, default=ROOT / "benchmarks/ablations.yaml")
    parser.add_argument("--faces", type=int, default=6000, help="training faces of each run")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=math.inf, help="start no run that ends later")
    parser.add_argument("--out", type=Path, default=Path(".candid/ablations"))
    parser.add_argument("--sets", type=Path, default=Path(".candid/gpu/sets"), help="as gpu_runs keeps them")
    options = parser.parse_args()
    from benchmarks.gpu.sets import prepare

    runs = read_runs(options.list, ROOT / "params.yaml")
    folders = {one.name: prepare(one, options.sets) for one in runs}
    started, longest = time.monotonic(), LEAST
    shares: dict[str, Share] = {}
    for one in runs:
        held = next(iter(shares.values())).validation if shares else None
        shares[one.name] = share(folders[one.name], options.faces, held)
    out = options.out / f"{options.faces}-faces"
    left = 0
    for seed, one in itertools.product(range(options.seeds), runs):
        folder = out / f"{one.name}-seed{seed}"
        if is_done(one, seed, shares[one.name], folder):
            continue
        if time.monotonic() - started + longest > options.seconds:
            left += 1
            continue
        began = time.monotonic()
        train(one, seed, shares[one.name], folders[one.name] / "data/faces.npy", folder)
        longest = max(longest, time.monotonic() - began)
        print(f"{folder.name}: {time.monotonic() - began:.0f} s", flush=True)
    print(table(look(runs, shares, out), {name: given.copied for name, given in shares.items()}))
    return int(left > 0)


if __name__ == "__main__":
    run("ablations", main, hint="")
