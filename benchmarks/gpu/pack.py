"""Puts faces, sets and runs into a folder that a bare machine can read with NumPy."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.gpu.parts import read
from benchmarks.gpu.pool import Pool
from benchmarks.gpu.runs import Run
from benchmarks.gpu.sets import fingerprint
from stages.faces import load_images, read_faces, read_splits
from stages.files import read_json, write_json, writing
from stages.train.inputs import training_set


def pack(
    runs: list[Run], folder_of: Callable[[Run], Path], out: Path, beside: Path | None = None
) -> dict[str, int]:
    """Write faces-<size>-<number>.npz, set-<name>.npz and runs.json.

    Args:
        runs: the most important first: faces that only later runs need come in later files.
        folder_of: gives the folder with data/ of a run.
        beside: an earlier pack, whose faces are left out.

    Returns:
        file -> bytes.
    """
    out.mkdir(parents=True, exist_ok=True)
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
    listed = [{**asdict(run), "data": run.data, "set": made.get(run.data)} for run in runs]
    write_json(out / "runs.json", {"sets": sets, "runs": listed})
    return {path.name: path.stat().st_size for path in sorted(out.rglob("*")) if path.is_file()}


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
