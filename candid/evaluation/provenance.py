"""metrics/provenance.json: what made the metrics that stand beside it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from candid.backend import threads
from candid.files import md5

WRITTEN_BY_THE_PIPELINE = ("dvc.lock", "metrics", "plots")


def provenance(
    backend: str, devices: list[str], seeds: dict[str, int], inputs: Iterable[str]
) -> dict[str, Any]:
    """Versions, machine, seeds, md5 of the inputs (the same that dvc.lock holds), and git's state.

    Args:
        backend: of Keras.
        devices: that Keras computed on, by name.
        seeds: by the stage that takes them.
        inputs: files to fingerprint.
    """
    packages = ("keras", "keras-hub", "torch" if backend == "torch" else backend, "numpy")
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "backend": backend,
        "device": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": processor(),
            "cores": os.cpu_count(),
            "threads": threads(),
            "devices": [*devices, *_gpu_names(devices)],
        },
        "seeds": seeds,
        "md5": {path: md5(path) for path in inputs},
        **revision(),
    }


def processor() -> str:
    """Model name of the CPU, as Linux tells it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def revision(folder: str | Path = ".") -> dict[str, Any]:
    """Commit of the folder's git repository, and whether the tree differs from it; empty without git.

    What the pipeline itself writes does not count as a difference.
    """
    commit = _ask("git", "-C", str(folder), "rev-parse", "HEAD")
    if not commit:
        return {}
    excluded = [f":(exclude){name}" for name in WRITTEN_BY_THE_PIPELINE]
    changes = _ask(
        "git", "-C", str(folder), "--no-optional-locks", "status", "--porcelain", "--", ".", *excluded
    )
    return {"revision": commit, "dirty": bool(changes)}


def _gpu_names(devices: list[str]) -> list[str]:
    if all("cpu" in name.lower() for name in devices):
        return []
    return (_ask("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or "").splitlines()


def _ask(*command: str) -> str | None:
    """Standard output of a command; None where it is missing, fails, or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
