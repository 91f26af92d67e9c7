"""Puts faces, sets and runs into a folder that a bare machine can read with NumPy."""

from __future__ import annotations

import shutil
import zipfile
from collections import defaultdict
from collections.abc import Callable, Container, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.gpu.packages import ARCHIVE
from benchmarks.gpu.parts import read
from benchmarks.gpu.pool import Pool
from benchmarks.gpu.results import MODEL, accuracy
from benchmarks.gpu.runs import ROOT, Run
from benchmarks.gpu.sets import fingerprint
from stages.errors import CandidError
from stages.evaluate.provenance import revision
from stages.faces import load_images, read_faces, read_splits
from stages.files import read_json, write_json, writing
from stages.train.inputs import training_set

MIB = 1 << 20
OWN = ("faces-*.npz", "set-*.npz", "*.keras", "runs.json", ARCHIVE)
"""What `pack` and `fetch` write."""


@dataclass(frozen=True)
class Earlier:
    """Runs of the list that came back from earlier trips."""

    folder: Path = Path()
    """Where `unpack` wrote."""
    runs: dict[str, Run] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name -> result.json."""


def read_earlier(listed: list[Run], folder: Path) -> Earlier:
    """Find what is done: of the same settings, and with its model where that is to come back."""
    found = Earlier(folder)
    for run in listed:
        path = folder / run.name / "result.json"
        result = read_json(path) if path.is_file() else {}
        if result.get("digest") == run.digest and (not run.keep or path.with_name(MODEL).is_file()):
            found.runs[run.name], found.results[run.name] = run, result
    return found


def left(listed: list[Run], only: list[str] | None, done: Container[str]) -> list[Run]:
    """Runs that are asked for and not done, and those that they need, in the order of the list.

    Args:
        listed: the whole list.
        only: how the names of those asked for begin; None: all are.
    """
    asked = [run for run in listed if only is None or run.name.startswith(tuple(only))]
    taken = {run.name for run in asked if run.name not in done}
    for run in reversed(listed):  # what a run needs stands before it
        if run.name in taken:
            taken.update(name for name in run.needed if name not in done)
    return [run for run in listed if run.name in taken]


def pack(
    runs: list[Run],
    folder_of: Callable[[Run], Path],
    out: Path,
    beside: Path | None = None,
    earlier: Earlier | None = None,
) -> dict[str, int]:
    """Write faces-<size>-<number>.npz, set-<name>.npz, <run>.keras and runs.json, in place of earlier ones.

    Args:
        runs: the most important first: faces that only later runs need come in later files.
        folder_of: gives the folder with data/ of a run.
        beside: an earlier pack, whose faces are left out.
        earlier: has the models from which runs start, and the accuracies by which they are chosen, of runs
            that are not among `runs`.

    Returns:
        file -> bytes.
    """
    out.mkdir(parents=True, exist_ok=True)
    for pattern in OWN:
        for path in out.glob(pattern):
            path.unlink()
    pools: dict[str, Pool] = defaultdict(Pool)
    for path in beside.glob("faces-*-0.npz") if beside else []:
        size = path.name.split("-")[1]
        while (found := path.with_name(f"faces-{size}-{pools[size].earlier}.npz")).is_file():
            pools[size].know(read(found.read_bytes()))
    sets: dict[str, str] = {}
    made: dict[str, str] = {}
    for run in runs:
        if run.benchmark is None and run.data not in sets:
            folder = folder_of(run)
            sets[run.data] = _write_set(folder, pools, out / f"set-{run.data}.npz")
            made[run.data] = fingerprint(folder)
    for size, pool in pools.items():
        for number, content in enumerate(pool.files, pool.earlier):
            with writing(out / f"faces-{size}-{number}.npz") as aside:
                aside.write_bytes(content)
    earlier = earlier or Earlier()
    for name in {run.pretrained for run in runs if run.pretrained} & set(earlier.results):
        shutil.copyfile(earlier.folder / name / MODEL, out / f"{name}.keras")
    known = {**earlier.runs, **{run.name: run for run in runs}}
    listed = [
        {
            **asdict(run),
            "data": run.data,
            "digest": run.digest,
            "set": made.get(run.data),
            "chosen": {name: _candidate(known[name], earlier.results.get(name)) for name in run.chosen},
        }
        for run in runs
    ]
    faces = {size: pool.digest for size, pool in pools.items()}
    told = {"revision": revision(ROOT), "faces": faces, "sets": sets, "runs": listed}
    write_json(out / "runs.json", told)
    return {path.name: path.stat().st_size for path in sorted(out.rglob("*")) if path.is_file()}


def check_size(sizes: Mapping[str, int], limit: float) -> None:
    """Stop where a pack is larger than what a machine takes.

    Args:
        sizes: file -> bytes.
        limit: MiB.

    Raises:
        CandidError: with the largest files.
    """
    total = sum(sizes.values()) / MIB
    if total > limit:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        told = ", ".join(f"{name} {sizes[name] / MIB:.1f}" for name in largest)
        raise CandidError(
            f"the pack has {total:.1f} MiB, most of it in {told}; expected at most {limit:g} (--limit): name "
            "fewer runs with --only, and go twice with --beside (docs/gpu.md)"
        )


def _candidate(run: Run, result: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "arch": run.params["model"]["arch"],
        "accuracy": accuracy(run.views, result) if result else None,
    }


def _write_set(folder: Path, pools: dict[str, Pool], path: Path) -> str:
    """Write one set; returns the size of its faces, by which their files are called."""
    images = load_images(folder / "data/faces.npy")
    splits = read_splits(folder / "data/splits.csv")
    # A face is stood for by its row here, so that the order is training's own.
    rows = cast(Any, np.arange(len(images))[:, None, None])
    data = training_set(rows, splits, read_json(folder / "data/class_weights.json"))
    test = splits[splits["part"] == "test"].sort_values("id", kind="stable")
    size = "x".join(str(side) for side in images.shape[1:])
    used = np.sort(splits["id"].to_numpy())
    places = np.full(len(images), -1, np.int32)
    sources = read_faces(folder / "data/faces.csv")["source"].to_numpy()[used]
    places[used] = pools[size].add(np.asarray(images[used]), _reader(folder / "data/raw", sources))
    index = {name: number for number, name in enumerate(data.classes)}
    arrays: dict[str, Any] = {
        "faces": places[data.faces[:, 0, 0, 0]],
        "labels": data.labels,
        "classes": np.array(data.classes),
        "class_weights": data.class_weights,
        "train": np.array(data.train),
        "test": places[test["id"].to_numpy()],
        "test_labels": np.array([index[name] for name in test["label"]], np.int32),
    }
    with writing(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return size


def _reader(folder: Path, sources: Any) -> Callable[[int], bytes | None]:
    """Find the picture's file of a row in the archives as published."""
    members: dict[str, zipfile.ZipFile] = {}
    for path in sorted(folder.glob("*.zip")):
        archive = zipfile.ZipFile(path)
        members.update(dict.fromkeys(archive.namelist(), archive))

    def read_file(row: int) -> bytes | None:
        archive = members.get(sources[row])
        return archive.read(sources[row]) if archive else None

    return read_file
