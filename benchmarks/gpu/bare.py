"""Carries the runs of a pack out, one process each, the most important first; needs NumPy alone itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.gpu.packages import ARCHIVE, install
from benchmarks.gpu.parts import read
from benchmarks.gpu.results import MODEL, Results

ROOT = Path(__file__).resolve().parents[2]
RESULT = ("result.json", "predictions.npz", "params.yaml", "run.json")
LEAST = 20.0  # seconds below which no run is worth starting


@dataclass
class Going:
    """A run under way."""

    run: dict[str, Any]
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    since: float = field(default_factory=time.monotonic)


class Bare:
    """All runs of a pack."""

    def __init__(
        self, pack: Path, out: Path, scratch: Path, workers: int, seconds: float, beside: Path | None = None
    ) -> None:
        """Unpack faces and packages.

        Args:
            pack: what `gpu_runs --pack` wrote.
            out: gets results-<number>.zip and pieces of models.
            scratch: gets everything else.
            workers: runs at a time.
            seconds: after which all ends.
            beside: the earlier pack with what this one leaves out.
        """
        self.deadline = time.monotonic() + seconds
        self.pack, self.scratch, self.workers = pack, scratch, workers
        self.packs = [pack, beside] if beside else [pack]
        plan = json.loads((pack / "runs.json").read_text(encoding="utf-8"))
        self.runs, self.sets = plan["runs"], plan["sets"]
        self.results = Results(out)
        self.took: dict[tuple[str, str], float] = {}
        install(self._find(ARCHIVE), scratch / "site")
        self.counts = {size: self._faces(size) for size in set(self.sets.values())}

    def run(self) -> int:
        """Do what time allows; returns how many runs were not done."""
        done = self.results.done()
        waiting = [run for run in self.runs if run["name"] not in done]
        going: list[Going] = []
        missed = 0
        while waiting or going:
            for one in [one for one in going if one.process.poll() is not None]:
                going.remove(one)
                missed += not self._finish(one)
            if time.monotonic() > self.deadline:
                break
            if waiting and len(going) < self.workers:
                run = waiting.pop(0)
                reason = self._hindrance(run, [one.run["name"] for one in going])
                if reason == "wait":
                    waiting.insert(0, run)
                elif reason:
                    _say(f"{run['name']}: left out: {reason}")
                    missed += 1
                else:
                    going.append(self._start(run))
                    continue
            time.sleep(0.2)
        for one in going:
            one.process.kill()
            one.process.wait()
            _say(f"{one.run['name']}: cut")
        return missed + len(waiting) + len(going)

    def _hindrance(self, run: dict[str, Any], going: list[str]) -> str:
        """Why a run can't start; "" if it can, "wait" if it can when another is done."""
        if run["pretrained"]:
            if run["pretrained"] in going:
                return "wait"
            if not (self.scratch / run["pretrained"] / MODEL).is_file():
                return f"the model of {run['pretrained']} is not here"
        left = self.deadline - time.monotonic()
        needed = self.took.get(_kind(run), 0) * run["params"]["train"]["epochs"]
        if left < max(LEAST, needed):
            return f"{left:.0f} s are left, it takes about {needed:.0f} s"
        if run["benchmark"] is None:
            with np.load(self.pack / f"set-{run['data']}.npz") as stored:
                last = max(int(stored["faces"].max()), int(stored["test"].max(initial=-1)))
            if last >= self.counts[self.sets[run["data"]]]:
                return "not all of its faces are in the pack"
        return ""

    def _start(self, run: dict[str, Any]) -> Going:
        folder = self.scratch / run["name"]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        params = run["params"]
        if run["pretrained"]:
            params["model"]["weights"] = str((self.scratch / run["pretrained"] / MODEL).absolute())
        (folder / "params.yaml").write_text(json.dumps(params), encoding="utf-8")  # JSON is YAML
        needed = run["keep"] or any(other["pretrained"] == run["name"] for other in self.runs)
        (folder / "run.json").write_text(
            json.dumps({**{key: run[key] for key in ("name", "views", "test", "set")}, "model": needed}),
            encoding="utf-8",
        )
        if run["benchmark"] is None:
            size = self.sets[run["data"]]
            given = [self.pack / f"set-{run['data']}.npz", self.scratch / f"faces-{size}.npy"]
            command = ["benchmarks.gpu.one", *(str(path.absolute()) for path in given)]
        else:
            script, *arguments = run["benchmark"]
            command = [f"benchmarks.{script}", *arguments, "--json", "result.json"]
        log = (folder / "log.txt").open("wb")
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [str(ROOT), str((self.scratch / "site").absolute()), os.environ.get("PYTHONPATH", "")]
            ),
            "JAX_COMPILATION_CACHE_DIR": str((self.scratch / "compiled").absolute()),
            "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / self.workers:.2f}",
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        return Going(run, process, log)

    def _finish(self, one: Going) -> bool:
        """Take in what a run left; says whether it ended well."""
        one.log.close()
        name, folder = one.run["name"], self.scratch / one.run["name"]
        seconds = time.monotonic() - one.since
        if one.process.returncode:
            last = (folder / "log.txt").read_text(errors="replace").strip().splitlines()[-1:]
            _say(f"{name}: failed after {seconds:.0f} s: {' '.join(last)}")
            self.results.add(name, [folder / "log.txt"])
            return False
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        self.results.add(name, [folder / file for file in RESULT])
        if one.run["keep"]:
            self.results.add_model(name, folder / MODEL)
        if one.run["benchmark"] is None:
            self.took[_kind(one.run)] = seconds / len(result["history"])
            result = {part: f"{score['val_accuracy']:.4f}" for part, score in result["scores"].items()}
        _say(f"{name}: {seconds:.0f} s  {json.dumps(result)}")
        return True

    def _find(self, name: str) -> Path:
        """Where a file is, or would be."""
        return next((pack / name for pack in self.packs if (pack / name).is_file()), self.pack / name)

    def _faces(self, size: str) -> int:
        """Lay the faces of one size out as an array in a file; returns how many there are."""
        parts: list[Any] = []
        while (path := self._find(f"faces-{size}-{len(parts)}.npz")).is_file():
            parts.append(read(path.read_bytes()))
        if not parts:
            return 0
        self.scratch.mkdir(parents=True, exist_ok=True)
        np.save(self.scratch / f"faces-{size}.npy", np.concatenate(parts))
        return sum(map(len, parts))


def _kind(run: dict[str, Any]) -> tuple[str, str]:
    return run["params"]["model"]["arch"], run["data"]


def _say(line: str) -> None:
    print(line, flush=True)
