"""Carries the runs of a pack out, one process each, the most important first; needs NumPy alone itself."""

from __future__ import annotations

import copy
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
from benchmarks.gpu.parts import digest_of, read
from benchmarks.gpu.results import FILES, LOGS, MODEL, Finished, Results, accuracy
from stages.errors import CandidError
from stages.files import write_array

ROOT = Path(__file__).resolve().parents[2]
LEAST = 20.0  # seconds that a run takes beside its epochs; with fewer left none is worth starting
Listed = dict[str, Any]
"""A run as runs.json has it."""


@dataclass
class Going:
    """A run under way."""

    run: Listed
    folder: Path
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    since: float = field(default_factory=time.monotonic)


class Bare:
    """All runs of a pack."""

    def __init__(
        self, pack: Path, out: Path, scratch: Path, workers: int, seconds: float, beside: Path | None = None
    ) -> None:
        """See what is done, and lay out the packages.

        Args:
            pack: what `gpu_runs --pack` wrote.
            out: gets results-<number>.zip and pieces of models; runs that it holds are not done again.
            scratch: gets everything else: faces, packages, compiled steps, checkpoints. The next call goes
                on with what it finds there.
            workers: runs at a time.
            seconds: after which all ends.
            beside: the earlier pack with what this one leaves out.
        """
        self.deadline = time.monotonic() + seconds
        self.pack, self.scratch, self.workers = pack, scratch.absolute(), workers
        self.packs = [pack, beside] if beside else [pack]
        plan = json.loads((pack / "runs.json").read_text(encoding="utf-8"))
        self.runs, self.sets, self.faces = plan["runs"], plan["sets"], plan["faces"]
        self.revision = plan["revision"]
        self.results = Results(out)
        finished = self.results.finished()
        self.done = {
            run["name"]: finished[run["name"]]
            for run in self.runs
            if self._is_done(run, finished.get(run["name"]))
        }
        self.pace: dict[tuple[str, int], float] = {}
        for one in finished.values():
            self._learn_pace(one)
        self.site = install(self._find(ARCHIVE), self.scratch)

    def run(self) -> int:
        """Do what time allows; returns how many runs were not done."""
        waiting = [run for run in self.runs if run["name"] not in self.done]
        for size in {self.sets[run["data"]] for run in waiting if run["benchmark"] is None}:
            self._faces(size)
        going: list[Going] = []
        missed = 0
        while (waiting or going) and time.monotonic() < self.deadline:
            for one in [one for one in going if one.process.poll() is not None]:
                going.remove(one)
                missed += not self._finish(one)
            run = self._next(waiting) if len(going) < self.workers else None
            if run:
                waiting.remove(run)
                going.append(self._start(run))
            elif going:
                time.sleep(0.2)
            else:
                break
        for one in going:
            if one.process.poll() is not None:
                missed += not self._finish(one)
                continue
            one.process.kill()
            one.process.wait()
            self._keep_log(one)
            _say(f"{one.run['name']}: cut")
            missed += 1
        for run in waiting:
            _say(f"{run['name']}: left out: {self._lacking(run) or 'no time is left'}")
        return missed + len(waiting)

    def _is_done(self, run: Listed, one: Finished | None) -> bool:
        """Whether there is a result of the same settings and faces, and the model where it has to be."""
        if one is None or (one.asked.get("digest"), one.asked.get("set")) != (run["digest"], run["set"]):
            return False
        return not run["keep"] or self.results.model(run["name"]) is not None

    def _next(self, waiting: list[Listed]) -> Listed | None:
        """Give the most important run that ends in the time left; where none does, one that is begun."""
        left = self.deadline - time.monotonic()
        ready = [run for run in waiting if not self._lacking(run)]
        fitting = [run for run in ready if LEAST + self._seconds(run) <= left]
        return next(iter(fitting or ready), None) if left >= LEAST else None

    def _lacking(self, run: Listed) -> str:
        """Name what a run needs that is not here; "" if it can start."""
        parent = run["pretrained"]
        if parent and parent not in self.done and not (self.pack / f"{parent}.keras").is_file():
            return f"the model of {parent} is not here"
        open_ = [name for name in run["chosen"] if self._accuracy(run, name) is None]
        return f"nothing is chosen before {', '.join(open_)}" if open_ else ""

    def _accuracy(self, run: Listed, candidate: str) -> float | None:
        """Accuracy on validation faces of a run that this one is chosen among; None: not known yet."""
        if candidate in self.done:
            return accuracy(self.done[candidate].asked["views"], self.done[candidate].result)
        known: float | None = run["chosen"][candidate]["accuracy"]
        return known

    def _params(self, run: Listed) -> dict[str, Any]:
        """Complete the settings of a run that lacks nothing."""
        params: dict[str, Any] = copy.deepcopy(run["params"])
        if run["chosen"]:
            best = max(run["chosen"], key=lambda name: self._accuracy(run, name) or 0.0)
            params["model"]["arch"] = run["chosen"][best]["arch"]
        if run["pretrained"]:
            params["model"]["weights"] = f"{run['pretrained']}.keras"
        return params

    def _seconds(self, run: Listed) -> float:
        """How long its epochs take at most; 0 where nothing is known of such a net."""
        if run["benchmark"] is not None:
            return 0.0
        params = self._params(run)
        with np.load(self._set(run)) as stored:
            faces = int(stored["train"])
        return self.pace.get(_kind(params), 0.0) * faces * float(params["train"]["epochs"])

    def _learn_pace(self, one: Finished) -> None:
        """Note seconds a training face of a net."""
        if one.result.get("history"):
            seen = one.result["faces"] * len(one.result["history"])
            self.pace[_kind(one.params)] = one.result["seconds"] / seen

    def _start(self, run: Listed) -> Going:
        folder = self.scratch / "runs" / run["name"]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "params.yaml").write_text(json.dumps(self._params(run)), encoding="utf-8")  # JSON is YAML
        if run["pretrained"]:
            (folder / f"{run['pretrained']}.keras").write_bytes(self._model(run["pretrained"]))
        told = {key: run[key] for key in ("name", "views", "test", "set", "digest", "pretrained")}
        told |= {"model": run["keep"], **self.revision}
        (folder / "run.json").write_text(json.dumps(told), encoding="utf-8")
        if run["benchmark"] is None:
            given = [self._set(run).absolute(), self._faces(self.sets[run["data"]])]
            command = ["benchmarks.gpu.one", *map(str, given)]
        else:
            script, *arguments = run["benchmark"]
            command = [f"benchmarks.{script}", *arguments, "--json", "result.json"]
        log = (folder / "log.txt").open("wb")
        kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
        environment = {
            **kept,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.site), kept.get("PYTHONPATH", "")]),
            "CANDID_STATE": str(self.scratch / "state"),
            "JAX_COMPILATION_CACHE_DIR": str(self.scratch / "compiled"),
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
        return Going(run, folder, process, log)

    def _finish(self, one: Going) -> bool:
        """Take in what a run left; says whether it ended well."""
        name = one.run["name"]
        seconds = time.monotonic() - one.since
        if one.process.returncode:
            self._keep_log(one)
            last = (one.folder / "log.txt").read_text(errors="replace").strip().splitlines()[-1:]
            _say(f"{name}: failed after {seconds:.0f} s: {' '.join(last)}")
            return False
        one.log.close()
        if one.run["keep"]:  # before the result, which says that all is there
            self.results.add_model(name, one.folder / MODEL)
        self.results.add(name, [one.folder / file for file in FILES])
        self.done[name] = found = self.results.finished()[name]
        self._learn_pace(found)
        scores = found.result.get("scores", {})
        told = {part: f"{score['val_accuracy']:.4f}" for part, score in scores.items()}
        _say(f"{name}: {seconds:.0f} s  {json.dumps(told or found.result)}")
        return True

    def _keep_log(self, one: Going) -> None:
        """Keep what a run said that failed or was cut, and what a benchmark had measured so far."""
        one.log.close()
        measured = one.folder / "result.json"
        if one.run["benchmark"] is not None and measured.is_file():
            measured.rename(one.folder / "partial.json")
        self.results.add(one.run["name"], [one.folder / file for file in LOGS])

    def _model(self, name: str) -> bytes:
        """Give the model of an earlier run: it came along in the pack, or is among the results."""
        packed = self.pack / f"{name}.keras"
        content = packed.read_bytes() if packed.is_file() else self.results.model(name)
        assert content is not None, f"{name} is done, so its model is there"
        return content

    def _set(self, run: Listed) -> Path:
        return self.pack / f"set-{run['data']}.npz"

    def _find(self, name: str) -> Path:
        """Where a file is, or would be."""
        return next((pack / name for pack in self.packs if (pack / name).is_file()), self.pack / name)

    def _faces(self, size: str) -> Path:
        """Lay the faces of one size out as an array in a file, unless an earlier call did.

        Raises:
            CandidError: they are not those to which the sets of this pack refer.
        """
        path = self.scratch / f"faces-{self.faces[size]}.npy"
        if not path.is_file():
            parts: list[Any] = []
            while (found := self._find(f"faces-{size}-{len(parts)}.npz")).is_file():
                parts.append(read(found.read_bytes()))
            faces = np.concatenate(parts) if parts else np.empty(0, np.uint8)
            if digest_of(faces) != self.faces[size]:
                where = " and ".join(map(str, self.packs))
                raise CandidError(
                    f"{where}: {len(faces)} faces of {size} that are not those of runs.json; expected the "
                    "files of one --pack, and with --beside the pack that it was made beside"
                )
            write_array(path, faces)
        return path


def _kind(params: dict[str, Any]) -> tuple[str, int]:
    return params["model"]["arch"], params["train"]["batch_size"]


def _say(line: str) -> None:
    print(line, flush=True)
