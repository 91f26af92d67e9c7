"""A full disk, a closed folder, Ctrl-C, too little memory: one line wherever it happens, and nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.errors import RECOVER
from tests.ingest.made import encoded, face, zipped
from tests.reliability.forked import NOBODY, Done, Forked
from tests.reliability.killing import FAULTS, Killer, at_each_change, within_writes
from tests.reliability.tiny import ROOT, Undisturbed, left_aside

DATA_STAGES = ("download", "ingest", "dedup", "split", "class_weights")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed.make(tmp_path_factory.mktemp("undisturbed"), DATA_STAGES)


def one_line(done: Done, stage: str, words: str) -> None:
    assert done.status == 1, (done.status, done.out, done.err)
    assert done.told().startswith(f"candid {stage}: ")
    assert words in done.told()
    assert done.told().endswith(f"; {RECOVER}\n")


@pytest.mark.parametrize(
    ("stage", "how"),
    [*(("split", how) for how in FAULTS if how != "EFBIG"), ("ingest", "ENOSPC"), ("ingest", "interrupt")],
)
def test_a_fault_at_any_change_is_one_line_and_the_next_run_is_whole(
    stage: str, how: str, forked: Forked, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """From that change on the disk stays full, or closed."""
    killer = Killer(forked, undisturbed, tmp_path, stage)
    for trap, where in at_each_change(killer.undisturbed_run().changes, every=1 if stage == "split" else 2):
        killer.disturb(how, trap, where)
    assert killer.tally.faults == []
    assert killer.tally.disturbed > 9


@pytest.mark.parametrize("stage", DATA_STAGES)
def test_a_disk_that_fills_up_within_a_file_is_one_line(
    stage: str, forked: Forked, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """A limit on the size of files: write() itself fails, as on a full disk."""
    killer = Killer(forked, undisturbed, tmp_path, stage)
    for trap, where in within_writes([len(content) for content in undisturbed.wanted(stage).values()]):
        killer.disturb("EFBIG", trap, where)
    assert killer.tally.faults == []
    assert killer.tally.disturbed > 0


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
    one_line(done, stage, "Permission denied at ")
    assert undisturbed.broken(stage, folder) == []


FULL = """
mount -t tmpfs -o size=1m none "$1" || exit 70
mkdir -p "$1/data/raw"; cp params.yaml "$1"; cp data/raw/folder.zip "$1/data/raw"
cat /dev/zero > "$1/filler" 2> /dev/null
truncate --size -20k "$1/filler"
cd "$1"
"$2" -m stages.ingest; status=$?
ls -A "$1/data" >&2
exit $status
"""


def test_a_disk_that_is_really_full_is_one_line(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """A file system with 20 kB left, where this machine lets one be made."""
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
    assert line.endswith(RECOVER)
    assert listed == ["raw"]


def test_too_little_memory_in_a_worker_is_one_line(
    forked: Forked, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    folder = undisturbed.before("ingest", tmp_path / "project")
    large = encoded(np.zeros((3000, 3000, 4), np.uint8))
    zipped(folder / "data/raw/folder.zip", {"happy/1.png": face(), "sad/2.png": large})
    done = forked.run("tests.reliability.acts:ingest_in_workers_with_little_memory", folder)
    one_line(done, "ingest_in_workers_with_little_memory", "out of memory")
    assert undisturbed.broken("ingest", folder) == []
    assert left_aside(folder) == []
