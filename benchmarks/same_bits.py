"""Do two fresh clones give the same bits, the model's too? PYTHONPATH=. python benchmarks/same_bits.py

Clones the last commit twice, each with an empty cache, runs `dvc repro` in both and compares dvc.lock. The
second run has another locale, time zone and hash seed. --set train.epochs=1 (any number of them) changes
settings in both, so that it takes less time. What the data stages make must also be as committed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from candid.settings import read_yaml

ROOT = Path(__file__).resolve().parent.parent
DATA_STAGES = ("download", "ingest", "dedup", "split", "class_weights")
OTHER = {
    **{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    **{"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "99"},
}


def outputs(lock: Path) -> dict[tuple[str, str], str]:
    """(Stage, output) -> hash."""
    stages = read_yaml(lock)["stages"]
    return {(name, out["path"]): out["md5"] for name, entry in stages.items() for out in entry["outs"]}


def reproduce(folder: Path, changes: list[str], environment: dict[str, str]) -> dict[tuple[str, str], str]:
    """Clone, run, give what dvc.lock says then."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    command = ["dvc", "exp", "run", *(word for change in changes for word in ("-S", change))]
    started = time.monotonic()
    subprocess.run(
        command if changes else ["dvc", "repro"],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": "",
            "CANDID_STATE": str(folder.parent / f"{folder.name}-state"),
            **environment,
        },
        check=True,
        stdout=subprocess.DEVNULL,
    )
    print(f"{folder.name}: {time.monotonic() - started:.0f} s", flush=True)
    return outputs(folder / "dvc.lock")


def main() -> None:
    """Run twice and print a line for each output; status 1 where one differs."""
    parser = argparse.ArgumentParser(description="two fresh clones, bit for bit")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        first = reproduce(Path(name) / "first", options.set, {})
        second = reproduce(Path(name) / "second", options.set, OTHER)
    committed = outputs(ROOT / "dvc.lock")
    data_changed = any(change.startswith(("data", "dedup", "split", "class")) for change in options.set)
    differ = first.keys() != second.keys()
    for key, md5 in first.items():
        equal, known = second.get(key) == md5, committed.get(key) == md5
        words = "equal" if equal else "DIFFERENT", "as committed" if known else "not as committed"
        print(f"{key[0]:14} {key[1]:24} {md5:36} {', '.join(words)}")
        differ |= not equal or (key[0] in DATA_STAGES and not data_changed and not known)
    sys.exit(differ)


if __name__ == "__main__":
    main()
