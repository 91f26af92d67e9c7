"""Whether the backends of Keras train alike: the same seeds and settings on each, on the sample.

    python -m benchmarks.backends [--backends tensorflow jax torch] [--seeds 3] [--epochs 6] [--json FILE]

Needs the backends installed (pip install jax torch) and what `dvc repro class_weights` writes in --data.
Each run is `python -m stages.train` in a folder of its own, with params.yaml as it stands but for backend,
seed and epochs. TensorFlow, JAX and PyTorch draw different numbers from one seed, so equal bits can't be
expected, but equal accuracy can. Printed: the accuracy on validation of each run's best epoch, mean and
standard deviation over the seeds for each backend, and for each pair the difference of the means with the
95 % interval that the spread over seeds gives (Welch). With --json runs are kept in that file as they end,
and those that it has of the same params.yaml and faces are not done again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from scipy.stats import t as student

from stages.errors import CandidError, run
from stages.files import write_json

ROOT = Path(__file__).resolve().parent.parent
INPUTS = ("faces.npy", "splits.csv", "class_weights.json")


def train(backend: str, seed: int, epochs: int, data: Path, folder: Path) -> dict[str, Any]:
    """Run the stage in a folder; best validation accuracy, loss there, seconds."""
    (folder / "data").mkdir(parents=True)
    for name in INPUTS:
        (folder / "data" / name).symlink_to((data / name).resolve())
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["train"].update({"backend": backend, "seed": seed, "epochs": epochs})
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment = {**kept, "PYTHONPATH": str(ROOT), "CANDID_STATE": str(folder / "state")}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "stages.train"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CandidError(f"{backend}, seed {seed}: {done.stderr.strip()[-500:]}")
    with (folder / "plots/history.csv").open(encoding="utf-8") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    best = max(rows, key=lambda row: row["val_accuracy"])
    return {
        "backend": backend,
        "seed": seed,
        "accuracy": best["val_accuracy"],
        "loss": best["val_loss"],
        "last_accuracy": rows[-1]["val_accuracy"],
        "seconds": round(time.perf_counter() - started, 1),
    }


def state(data: Path, epochs: int) -> str:
    """Name what the runs depend on besides backend and seed: settings, faces, epochs."""
    digest = hashlib.sha256(str(epochs).encode())
    for path in [ROOT / "params.yaml", *(data / name for name in INPUTS)]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def difference(first: list[float], second: list[float]) -> tuple[float, float]:
    """Difference of the means and half of its 95 % interval (Welch 1947)."""
    gap = float(np.mean(first) - np.mean(second))
    variances = [float(np.var(one, ddof=1)) / len(one) for one in (first, second)]
    total = sum(variances)
    if total == 0:
        return gap, 0.0
    freedom = total**2 / sum(
        variance**2 / (len(one) - 1) for variance, one in zip(variances, (first, second), strict=True)
    )
    return gap, float(student.ppf(0.975, freedom)) * math.sqrt(total)


def main() -> int:
    """Train, then compare; status 1 where an interval leaves zero out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", nargs="+", default=["tensorflow", "jax", "torch"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument(
        "--data", type=Path, default=ROOT / "data", help="folder with the sample's arrays and tables"
    )
    parser.add_argument("--json", type=Path, help="write every run to this file as well")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("--seeds: expected at least 2")
    for name in INPUTS:
        if not (options.data / name).is_file():
            raise CandidError(
                f"{options.data / name}: no such file; expected what `dvc repro class_weights` writes"
            )
    of = state(options.data, options.epochs)
    kept = (
        json.loads(options.json.read_text(encoding="utf-8"))
        if options.json and options.json.is_file()
        else []
    )
    done = {(row["backend"], row["seed"]): row for row in kept if row["of"] == of}
    others = [row for row in kept if row["of"] != of]
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(options.seeds):  # in turns, so that what else the machine does falls on all
            for backend in options.backends:
                row = done.get((backend, seed))
                if row is None:
                    folder = Path(scratch) / f"{backend}-{seed}"
                    row = {**train(backend, seed, options.epochs, options.data, folder), "of": of}
                found.append(row)
                print("  ".join(f"{key} {value}" for key, value in row.items() if key != "of"), flush=True)
                if options.json:
                    done[backend, seed] = row
                    write_json(options.json, [*others, *done.values()])
    accuracy = {
        name: [row["accuracy"] for row in found if row["backend"] == name] for name in options.backends
    }
    for name, values in accuracy.items():
        print(f"{name:10}  {np.mean(values):.4f}  sd {np.std(values, ddof=1):.4f}  over {len(values)} seeds")
    apart = False
    for one, other in combinations(options.backends, 2):
        gap, half = difference(accuracy[one], accuracy[other])
        apart |= abs(gap) > half
        print(f"{one} - {other}: {gap:+.4f} ({gap - half:+.4f} to {gap + half:+.4f})")
    return int(apart)


if __name__ == "__main__":
    run("backends", main, hint="")
