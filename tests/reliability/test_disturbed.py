"""A full disk, a closed folder, Ctrl-C, too little memory: one line wherever it happens, and nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.ingest.made import encoded, face, zipped
from tests.reliability.forked import NOBODY, Done, Forked
from tests.reliability.killing import Killer
from tests.reliability.tiny import ROOT, Undisturbed, left_aside
from tests.reliability.trap import Trap

DATA_STAGES = ("download", "ingest", "dedup", "split", "class_weights")
HINT = "earlier results are kept: `dvc checkout` brings them back"
FAULTS = {
    "ENOSPC": (1, "No space left on device at "),
    "EROFS": (1, "Read-only file system at "),
    "EACCES": (1, "Permission denied at "),
    "interrupt": (130, "interrupted"),
    "memory": (1, "out of memory"),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed.make(tmp_path_factory.mktemp("undisturbed"), DATA_STAGES)


def one_line(done: Done, stage: str, status: int, words: str) -> None:
    assert done.status == status, (done.status, done.out, done.err)
    line = done.told()
    assert line.startswith(f"candid {stage}: ")
    assert words in line
    assert line.endswith(f"; {HINT}\n")


@pytest.mark.parametrize("how", FAULTS)
@pytest.mark.parametrize("stage", ["ingest", "split"])
def test_a_fault_at_any_change_is_one_line_and_the_next_run_is_whole(
    stage: str, how: str, forked: Forked, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """From that change on the disk stays full, or closed."""
    killer = Killer(forked, undisturbed, tmp_path, stage)
    changes = killer.undisturbed_run().changes
    status, words = FAULTS[how]
    for at in range(1, len(changes) + 1):
        folder = killer.new_folder()
        done = killer.run(folder, Trap((f"{folder}/",), at, how))
        if how == "ENOSPC" and done.status == 0:  # nothing that followed took room
            assert changes[at - 1].startswith(("remove", "chmod")), changes[at - 1]
        else:
            one_line(done, stage, status, words)
        assert undisturbed.broken(stage, folder) == []
        if how in ("ENOSPC", "interrupt", "memory"):  # a closed folder keeps what can't be removed
            assert left_aside(folder) == []
        killer.check(folder, killer.run(folder), f"{how} at change {at}")
        shutil.rmtree(folder)
    assert killer.tally.faults == []


@pytest.mark.parametrize("stage", DATA_STAGES)
def test_a_disk_that_fills_up_within_a_file_is_one_line(
    stage: str, forked: Forked, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """A limit on the size of files: write() itself fails, as on a full disk."""
    killer = Killer(forked, undisturbed, tmp_path, stage)
    for size in {len(content) // 2 for content in undisturbed.wanted(stage).values()} - {0}:
        folder = killer.new_folder()
        one_line(
            killer.run(folder, Trap((f"{folder}/",), how="EFBIG", size=size)), stage, 1, "File too large"
        )
        assert undisturbed.broken(stage, folder) == []
        assert left_aside(folder) == []


@pytest.mark.parametrize("stage", DATA_STAGES)
def test_a_folder_that_cannot_be_written_to_is_one_line(
    stage: str, forked: Forked, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """As a user who owns nothing here."""
    if os.getuid() != 0:
        pytest.skip("only root can run a stage as somebody else; EACCES and EROFS are tried above")
    killer = Killer(forked, undisturbed, tmp_path, stage)
    folder = killer.new_folder()
    for above in (folder, *folder.parents):
        if above.is_relative_to(Path("/tmp")) and above != Path("/tmp"):
            above.chmod(0o755)
    done = forked.run(stage, folder, user=NOBODY)
    one_line(done, stage, 1, "Permission denied at ")
    assert undisturbed.broken(stage, folder) == []


FULL = """
set -e
mount -t tmpfs -o size=200k none "$1"
cp params.yaml "$1"; mkdir -p "$1/data/raw"; cp data/raw/folder.zip "$1/data/raw"
head -c 90000 /dev/zero > "$1/filler"
cd "$1"
status=0; "$2" -m stages.ingest || status=$?
ls -A "$1/data" >&2
exit $status
"""


def test_a_disk_that_is_really_full_is_one_line(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """A file system of 200 kB, where this machine lets one be made."""
    unshare = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]
    if subprocess.run(
        [*unshare, "mount", "-t", "tmpfs", "none", str(tmp_path)], capture_output=True
    ).returncode:
        pytest.skip("no file system can be mounted here: RLIMIT_FSIZE and ENOSPC are tried above")
    done = subprocess.run(
        [*unshare, "sh", "-c", FULL, "sh", str(tmp_path), sys.executable],
        cwd=undisturbed.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    line, *listed = done.stderr.splitlines()
    assert line.startswith("candid ingest: No space left on device")
    assert line.endswith(HINT)
    assert listed == ["raw"]


def test_too_little_memory_in_a_worker_is_one_line(
    forked: Forked, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    folder = undisturbed.before("ingest", tmp_path / "project")
    large = encoded(np.zeros((3000, 3000, 4), np.uint8))
    zipped(folder / "data/raw/folder.zip", {"happy/1.png": face(), "sad/2.png": large})
    done = forked.run("tests.reliability.acts:ingest_in_workers_with_little_memory", folder)
    one_line(done, "ingest_in_workers_with_little_memory", 1, "out of memory")
    assert undisturbed.broken("ingest", folder) == []
    assert left_aside(folder) == []
