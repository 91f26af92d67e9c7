"""metrics/provenance.json: what made the metrics that stand beside it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from candid.backend import versions
from candid.files import md5

WRITTEN_BY_THE_PIPELINE = ("dvc.lock", "metrics", "plots")


def provenance(
    backend: str, devices: list[str], seeds: dict[str, int], inputs: Iterable[str]
) -> dict[str, Any]:
    """Versions, machine, seeds by stage, md5 of the inputs (those that dvc.lock holds), and git's state."""
    made_by = versions()
    del made_by["devices"]
    gpus = any("cpu" not in name.lower() for name in devices)
    names = (_ask("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or "") if gpus else ""
    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": int(made_by.pop("threads")),
        "devices": [*devices, *names.splitlines()],
    }
    return {
        "versions": made_by,
        "backend": backend,
        "device": machine,
        "seeds": seeds,
        "md5": {path: md5(path) for path in inputs},
        **revision(),
    }


def processor() -> str:
    """Model name of the CPU, from Linux, else what Python knows."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def revision(folder: str | Path = ".") -> dict[str, Any]:
    """Commit of the folder's git repository, and whether the tree differs from it; empty without git.

    What the pipeline itself writes does not count as a difference.
    """
    commit = _ask("git", "-C", str(folder), "rev-parse", "HEAD")
    if not commit:
        return {}
    excluded = [f":(exclude){name}" for name in WRITTEN_BY_THE_PIPELINE]
    git = ("git", "-C", str(folder), "--no-optional-locks")
    changes = _ask(*git, "status", "--porcelain", "--", ".", *excluded)
    return {"revision": commit, "dirty": bool(changes)}


def _ask(*command: str) -> str | None:
    """Standard output of a command; None where it is missing, fails, or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
