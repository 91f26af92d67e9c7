"""The audit on a cluster of several worker processes: the same pairs as here, even where one is killed."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from candid.audit import cluster, command
from candid.audit.images import read_images
from candid.audit.sources import open_source
from candid.data.images import open_picture
from candid.duplicates import candidates, find
from candid.duplicates.settings import Aligned
from candid.duplicates.views import search_views
from candid.errors import CandidError
from tests.audit.sets import encoded, known_set, packed, photo

STEPS = ("read_batch", "scan_cells", "verify_batch", "compare")
MANY = 50  # images; the index has some 28 cells
COPIES = {  # of every so many pictures
    "crop": (5, lambda image: encoded(image.crop((6, 5, 112, 95)), "JPEG", quality=80)),
    "frame": (7, lambda image: encoded(ImageOps.expand(image, 14, "white"))),
    "equal": (11, encoded),
    "mirror": (13, lambda image: encoded(ImageOps.mirror(image))),
}

WARNINGS = ("ResourceWarning", "DeprecationWarning", "pytest.PytestUnraisableExceptionWarning")
pytestmark = [pytest.mark.filterwarnings(f"ignore::{warning}") for warning in WARNINGS]  # of Ray itself


@pytest.fixture(scope="module")
def workers():
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'candid-fer[ray]'")
    cluster.connect()
    yield
    ray.shutdown()
    gc.collect()  # here, where warnings of open files are ignored


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures with COPIES, turned ones that only the originals show, and one as JPEG and PNG."""
    large = encoded(photo(200, 900, 800), "JPEG")
    files = {"large.jpg": large, "large.png": encoded(open_picture(large).convert("RGB"))}
    files |= {"flat.png": encoded(Image.new("RGB", (64, 64), (90, 90, 90))), "cut.jpg": large[:500]}
    for i in range(100):
        files[f"{i:03}.png"] = encoded(photo(i))
        files |= {f"{i:03}{kind}.png": make(photo(i)) for kind, (n, make) in COPIES.items() if i % n == 0}
    for i in range(5):
        image = photo(300 + i, 144, 144)
        files |= {f"detailed{i}.png": encoded(image), f"turned{i}.png": encoded(image.rotate(5))}
    folder = tmp_path_factory.mktemp("set")
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def dying(name: str, flag: Path):
    """A function of the cluster whose worker is killed the first time that it is called."""

    def work(*arguments, **options):
        if not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(cluster, name)(*arguments, **options)

    return work


@pytest.mark.slow
@pytest.mark.parametrize("killed", [(), STEPS], ids=["calm", "killed"])
def test_a_cluster_finds_what_one_machine_finds(folder, workers, killed, monkeypatch, tmp_path):
    monkeypatch.setattr(find, "candidate_pairs", partial(candidates.candidate_pairs, many=MANY))
    monkeypatch.setattr(candidates, "MANY", MANY)
    with open_source(folder) as source:
        here, mirror = read_images(source), not killed
        expected, plain = (
            find.find_duplicates(here.pixels, "aligned", mirror, here.digests, originals=originals)
            for originals in (here.originals, None)
        )
        for name in killed:
            monkeypatch.setattr(cluster, name, dying(name, tmp_path / name))
        there, found = cluster.read_and_search(source, Aligned(), mirror)
        np.testing.assert_array_equal(there.pixels[np.arange(len(here.pixels))], here.pixels)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(killed)
    assert (plain.pairs["kind"] == "near").sum() > 30
    assert len(expected.pairs) >= len(plain.pairs) + 4  # the turned ones
    for one, two in (
        *((getattr(expected, name), getattr(found, name)) for name in ("pairs", "rejected")),
        *((getattr(here, name), getattr(there, name)) for name in ("images", "skipped")),
    ):
        pd.testing.assert_frame_equal(one, two, check_dtype=False)
    np.testing.assert_array_equal([expected.groups, expected.flat], [found.groups, found.flat])


@pytest.mark.slow
def test_a_full_cell_is_reported_and_archives_are_refused(tmp_path, workers, monkeypatch, capsys):
    known_set(tmp_path / "set")
    monkeypatch.setattr(cluster, "MOST_ROWS", 300)
    address, out = (tmp_path / "set").as_uri(), tmp_path / "out"
    assert command.main([address, "--engine", "ray", "--out", str(out), "--plant", "5"]) == 0
    said = json.loads((out / "audit.json").read_text())
    assert (said["images"], said["exact_copies"], said["classes"]) == (20, 1, 2)
    left = (1 + len(search_views())) * 18 - 300  # neither the flat one nor the second of the equal ones
    assert f"the search left out {left} entries of cells with more than 300" in capsys.readouterr().err
    archive = packed(tmp_path / "set", "zip", tmp_path / "set.zip")
    with pytest.raises(CandidError, match="set.zip: --engine ray reads files only; expected a folder"):
        command.main([str(archive), "--engine", "ray", "--out", str(out)])


def test_faults_are_one_line(tmp_path, monkeypatch):
    known_set(tmp_path / "set")
    monkeypatch.setitem(sys.modules, "ray", None)
    far = "nowhere://set: Protocol not known: nowhere; expected the address of a folder"
    for path, line in ((str(tmp_path / "set"), "needs Ray: pip install 'candid-fer[ray]'"), (far[:13], far)):
        with pytest.raises(CandidError, match=re.escape(line)):
            command.main([path, "--engine", "ray", "--out", str(tmp_path / "out")])
