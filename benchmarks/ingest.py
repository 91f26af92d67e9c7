"""Ingest of FER2013 against plain Pillow decoding of the same files.

    CANDID_MIRROR=<folder with fer2013.zip> python benchmarks/ingest.py [--rounds 5]

Each is a command of its own, start of Python included, and they take turns, so that what else the machine
does falls on all of them. `plain` is the shortest way to an array: zipfile, Image.open, convert("L"), one
file after the other in one process; no checks, no labels, no files written. `plain on all cores` is the same
in one forked process a core, each with its share of the files (Linux only). Printed: the median time of each
in seconds, its CPU seconds (which other work on the machine hardly changes), and the ratios of `ingest` to
both, as the median over the rounds.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
TARGET = 1.5
PLAIN, CORES, INGEST = "plain", "plain on all cores", "ingest"


def decode_share(path: str, share: int, shares: int) -> int:
    """Decode every `shares`-th file from number `share` on; gives how many."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()[share::shares]
        faces = np.empty((len(names), 48, 48), np.uint8)
        for i, name in enumerate(names):
            faces[i] = np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("L"))
    return len(faces)


def plain(path: str, processes: int) -> None:
    """The baseline, in this process or in forked ones."""
    if processes == 1:
        decode_share(path, 0, 1)
        return
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        pool.starmap(decode_share, [(path, share, processes) for share in range(processes)])


def measure(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(
        command,
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Take turns and print."""
    parser = argparse.ArgumentParser(description="ingest against plain Pillow decoding")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain", nargs=2, metavar=("ZIP", "PROCESSES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        plain(options.plain[0], int(options.plain[1]))
        return
    archive = Path(os.environ.get("CANDID_MIRROR", ROOT.parent / "shared" / "data")) / "fer2013.zip"
    if not archive.is_file():
        sys.exit(f"{archive}: no such file; set CANDID_MIRROR to the folder that holds fer2013.zip")
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data/raw").mkdir(parents=True)
        shutil.copy(archive, folder / "data/raw")
        text = (
            (ROOT / "params.yaml")
            .read_text(encoding="utf-8")
            .replace("dataset: sample", "dataset: fer2013", 1)
        )
        (folder / "params.yaml").write_text(text, encoding="utf-8")
        zipped = str(folder / "data/raw/fer2013.zip")
        this = [sys.executable, str(Path(__file__).resolve()), "--plain", zipped]
        commands = {
            PLAIN: [*this, "1"],
            CORES: [*this, str(cores)],
            INGEST: [sys.executable, "-m", "stages.ingest"],
        }
        times: dict[str, list[tuple[float, float]]] = {what: [] for what in commands}
        for _ in range(options.rounds):
            for what, command in commands.items():
                times[what].append(measure(command, folder))
    print(f"fer2013.zip, {cores} cores, {options.rounds} rounds, load {os.getloadavg()[0]:.1f} at the end")
    for what, taken in times.items():
        seconds, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
        print(f"{what:20} {seconds:6.2f} s {cpu:6.2f} s of CPU")
    for what in (PLAIN, CORES):
        ratio = statistics.median(a[0] / b[0] for a, b in zip(times[INGEST], times[what], strict=True))
        cpu_ratio = statistics.median(a[1] / b[1] for a, b in zip(times[INGEST], times[what], strict=True))
        print(f"ingest / {what:20} {ratio:.2f} (wanted: at most {TARGET}); in CPU seconds {cpu_ratio:.2f}")


if __name__ == "__main__":
    main()
